"""Limits of settings: types declare them, pydantic checks them, and this file words what is wrong."""

import math
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from pydantic import ConfigDict, PlainValidator, TypeAdapter, ValidationError

from sr_lightning.errors import ConfigError

_NUMBERS = ("int_", "float_", "greater_", "less_", "finite_")  # how pydantic's names of wrong numbers begin


def check_settings(settings: Any, prefix: str = "") -> None:
    """Checks every field of a dataclass against its type.

    Args:
        settings: The dataclass. Values are checked, never converted.
        prefix: What comes before the field's name on the command line.

    Raises:
        ConfigError: If a value is not of its type; the message says what it must be.

    Example:
        >>> from dataclasses import dataclass
        >>> from pydantic import PositiveInt
        >>> @dataclass
        ... class Patches:
        ...     size: PositiveInt
        >>> check_settings(Patches(0), "data.")
        Traceback (most recent call last):
        sr_lightning.errors.ConfigError: data.size=0: must be a whole number above 0
    """
    kind: Any = type(settings)
    hints = _hints(kind)
    for field in fields(settings):
        if field.init:
            check_value(prefix + field.name, getattr(settings, field.name), hints[field.name])


def check_value(key: str, value: Any, kind: Any) -> None:
    """Checks one value against a type, which may be annotated with limits.

    Raises:
        ConfigError: If the value is not of the type.

    Example:
        >>> from typing import Literal
        >>> check_value("border", "wrap", Literal["replicate", "reflect"])
        Traceback (most recent call last):
        sr_lightning.errors.ConfigError: border=wrap: must be replicate or reflect
    """
    adapter = _adapter(kind)
    try:
        adapter.validate_python([value])
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        wrong = first["input"]
        shown = str(list(wrong) if isinstance(wrong, tuple) else wrong)[:200]
        raise ConfigError(f"{key}={shown}: {_sentence(first, adapter)}") from None


def number_or_range(low: float, high: float = float("inf"), *, whole: bool = False, odd: bool = False) -> Any:
    """Limits of a setting that is a number, or the two ends of the range that it is drawn from.

    Args:
        low: The smallest number.
        high: The largest number.
        whole: Whether the numbers are whole.
        odd: Whether the numbers are whole and odd.

    Example:
        >>> from typing import Annotated
        >>> check_value("quality", [95, 30], Annotated[int, number_or_range(1, 100, whole=True)])
        Traceback (most recent call last):
        sr_lightning.errors.ConfigError: quality=[95, 30]: must be a whole number or [lowest, highest], from 1 to 100
    """
    number = "an odd number" if odd else "a whole number" if whole else "a number"
    limits = f"{low:g} or more" if high == float("inf") else f"from {low:g} to {high:g}"

    def fits(n: Any) -> bool:
        right = isinstance(n, int if whole or odd else int | float) and not isinstance(n, bool)
        return right and math.isfinite(n) and low <= n <= high and not (odd and n % 2 == 0)

    def check(value: Any) -> Any:
        ends = value if isinstance(value, Sequence) and not isinstance(value, str) else [value, value]
        if len(ends) != 2 or not all(map(fits, ends)) or ends[0] > ends[1]:
            raise ValueError(f"must be {number} or [lowest, highest], {limits}")
        return value

    return PlainValidator(check)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # A list of one, because pydantic takes no config for a type that is a dataclass.
    return TypeAdapter(list[kind], config=ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False))


def _sentence(error: dict[str, Any], adapter: TypeAdapter[Any]) -> str:
    kind, context = str(error["type"]), error.get("ctx", {})
    if kind == "value_error":  # of one of our own validators
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected'].replace(chr(39), '')}"
    if kind == "bool_type":
        return "must be true or false"
    if kind == "too_short":
        return "needs at least one value"
    if kind.startswith(_NUMBERS):
        return f"must be {_number(adapter.json_schema()['items'])}"
    return str(error["msg"]).replace("Input should be", "must be")


def _number(schema: dict[str, Any]) -> str:
    """A number in words, from the JSON schema of its type, of a list of it, or of it or none."""
    parts = [part.get("items", part) for part in (schema, *schema.get("anyOf", ()))]
    number = next(part for part in parts if part.get("type") in ("integer", "number"))
    words = "a whole number" if number["type"] == "integer" else "a number"
    low, above, high = (number.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    if low is not None:
        words += f", {low:g} or more" if high is None else f" from {low:g} to {high:g}"
    if above is not None:
        words += f" above {above:g}" + ("" if high is None else f" and at most {high:g}")
    return "; ".join([words, *filter(None, [number.get("description")])])
