"""Names of a package that are imported at first use."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def imported_at_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package, for what is slow to import and seldom needed.

    Args:
        package: Its ``__name__``.
        homes: The module within the package that each name is in.

    Example:
        >>> find = imported_at_first_use("sr_lightning", {"nearest": "errors"})
        >>> find("nearest")("spam", ["span", "rdn"])
        "did you mean 'span'?"
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return find
