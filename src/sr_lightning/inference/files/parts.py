"""``part=2/10``: one of several commands that share the pictures among them."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from sr_lightning.errors import ConfigError

Item = TypeVar("Item")


def check_part(part: Any) -> tuple[int, int] | None:
    """Which part, from 1 on, of how many; None if there are no parts.

    Raises:
        ConfigError: If it is none.

    Example:
        >>> check_part("2/10")
        (2, 10)
    """
    if part is None:
        return None
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(part))
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise ConfigError(f"part={part}: must be one part of several, such as part=1/10, and up to part=10/10")
    return number, count


def part_of(items: Sequence[Item], part: tuple[int, int] | None) -> list[Item]:
    """Every ``count``-th of the items, so that neighbours, which are often alike, are shared evenly.

    Args:
        items: In an order that all parts see.
        part: What ``check_part`` gives.

    Example:
        >>> [part_of("abcdefg", (number, 3)) for number in (1, 2, 3)]
        [['a', 'd', 'g'], ['b', 'e'], ['c', 'f']]
    """
    if part is None:
        return list(items)
    number, count = part
    return list(items[number - 1 :: count])
