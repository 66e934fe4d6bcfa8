"""Which pairs train and which validate, where nobody said so."""

import math
import re
from collections.abc import Sequence

Range = tuple[int, int]  # first and last number, in the order of names

#: The authors' pairs to train and to validate on, by scale.
AUTHORS = {4: ((1, 1300), (1301, 1314)), 8: ((1, 482), (483, 497))}


def default_ranges(names: Sequence[str], scale: int, given: Range | None = None) -> tuple[Range, Range]:
    """First and last number of the pairs to train and to validate on.

    The authors' are for pairs as many as theirs, and named like theirs. Otherwise the last 5 % validate, rounded up to
    whole scenes, and those before them train; or those behind them, if there are none before. A single scene does both.

    Args:
        names: Of all pairs, in order: a scene's name and a shot's number.
        scale: 4 or 8.
        given: The pairs to validate on, if they were chosen.

    Example:
        >>> default_ranges(["at home_00003", "wood_00002", "wood_00003"], 4)
        ((1, 1), (2, 3))
        >>> default_ranges(["wood_00002", "wood_00003"], 4)
        ((1, 2), (1, 2))
    """
    count = len(names)
    if count >= AUTHORS[scale][1][1] and all(re.fullmatch(r"\d{5}_\d{5}", name) for name in names):
        return AUTHORS[scale][0], given or AUTHORS[scale][1]
    scenes = [name.rpartition("_")[0] for name in names]
    start = count - math.ceil(count / 20)
    while start > 0 and scenes[start - 1] == scenes[start]:
        start -= 1
    first, last = given or (start + 1, count)
    if first > 1:
        return (1, first - 1), (first, last)
    return ((last + 1, count) if last < count else (1, count)), (first, last)
