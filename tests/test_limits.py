"""Settings are checked by their types, and errors say what a value must be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from sr_lightning.errors import ConfigError
from sr_lightning.limits import check_settings, check_value, number_or_range


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (PositiveInt, 0, "k=0: must be a whole number above 0"),
        (PositiveInt, True, "k=True: must be a whole number above 0"),
        (PositiveInt | None, 2.0, "k=2.0: must be a whole number above 0"),
        (NonNegativeInt, "all", "k=all: must be a whole number, 0 or more"),
        (PositiveFloat, float("inf"), "k=inf: must be a number above 0"),
        (Annotated[float, Field(ge=0, le=1)], 1.5, "k=1.5: must be a number from 0 to 1"),
        (Annotated[float, Field(gt=0, le=1)], 2, "k=2: must be a number above 0 and at most 1"),
        (Annotated[int, Field(ge=1, le=9, description="9 is small")], 0, "k=0: must be a whole number from 1 to 9; 9"),
        (tuple[PositiveInt, ...], (1, 0), "k=0: must be a whole number above 0"),
        (Annotated[Sequence[Literal["a", "b"]], Field(min_length=1)], [], "k=[]: needs at least one value"),
        (Sequence[Literal["a", "b", "c"]], ["d"], "k=d: must be a, b or c"),
        (bool, 1, "k=1: must be true or false"),
        (Annotated[Any, number_or_range(1, 9, odd=True)], (1, 4), "k=[1, 4]: must be an odd number or [lowest, "),
        (Annotated[Any, number_or_range(0)], [2, 1], "k=[2, 1]: must be a number or [lowest, highest], 0 or more"),
    ],
)  # fmt: skip
def test_what_a_value_must_be(kind: Any, value: Any, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_value("k", value, kind)
    assert str(error.value).startswith(words)


def test_values_are_checked_and_never_converted() -> None:
    @dataclass
    class Settings:
        sigma: Annotated[float | Sequence[float], number_or_range(0)]
        factor: PositiveFloat = 1
        made: int = field(init=False)

    settings = Settings([1, 2])
    check_settings(settings)
    assert settings.sigma == [1, 2] and type(settings.factor) is int
    with pytest.raises(ConfigError, match=r"^data\.factor=0: must be a number above 0$"):
        check_settings(Settings(1, 0), "data.")
