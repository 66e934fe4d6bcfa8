"""When training on one picture lowers its learning rate, and when it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from sr_lightning.errors import ConfigError
from sr_lightning.limits import check_settings


@runtime_checkable
class Policy(Protocol):
    """Decides after every iteration; training ends when the learning rate falls below ``stop``."""

    stop: float

    def lowered(self, rate: float, iteration: int, changed: int, tests: Sequence[tuple[int, float]]) -> float:
        """The learning rate from now on.

        Args:
            rate: So far.
            iteration: Just done, counted from 1.
            changed: At which the rate was last changed, or 0.
            tests: Iteration and mean squared error of every reconstruction of the picture so far.
        """
        ...


@dataclass
class LineFit:
    """Lowers the rate when a straight line through the latest errors no longer falls beyond doubt.

    **Paper:** Shocher, Cohen, Irani, CVPR 2018, section 3.1. The authors' NumPy divided the residual of a fit by N - 4
    where today's divides by N - 2: for their five points, today's deviation is the square root of three too small.

    Args:
        ratio: The rate falls where ``-ratio * slope`` is below the slope's standard deviation.
        every: Iterations between two looks.
        window: Iterations that the line reaches back, and that must have passed since the last change.
        divisor: Of the rate.
        stop: The rate below which training ends.
    """

    ratio: PositiveFloat = 1.5
    every: PositiveInt = 60
    window: PositiveInt = 256
    divisor: Annotated[float, Field(gt=1)] = 10
    stop: float = 9e-6

    def __post_init__(self) -> None:
        check_settings(self, "zero_shot.policy.")

    def points(self, test_every: int) -> int:
        """How many tests of the picture the line goes through.

        Raises:
            ConfigError: If they are too few for one.
        """
        if self.window < 5 * test_every:
            raise ConfigError(
                f"zero_shot.policy.window={self.window} holds {self.window // test_every} tests of the picture, too "
                f"few for a line; zero_shot.test_every={self.window // 5} is the most for it"
            )
        return self.window // test_every

    def lowered(self, rate: float, iteration: int, changed: int, tests: Sequence[tuple[int, float]]) -> float:
        if iteration % self.every or iteration - changed <= self.window:
            return rate
        points = self.points(tests[-1][0] - tests[-2][0] if len(tests) > 1 else iteration)
        places, errors = zip(*tests[-points:], strict=True)
        slope, deviation = line(places, errors)
        return rate / self.divisor if -self.ratio * slope < deviation else rate


@dataclass
class Steps:
    """Lowers the rate at fixed intervals.

    Args:
        every: Iterations.
        divisor: Of the rate.
        stop: The rate below which training ends.
    """

    every: PositiveInt = 10_000
    divisor: Annotated[float, Field(gt=1)] = 10
    stop: float = 0.0

    def __post_init__(self) -> None:
        check_settings(self, "zero_shot.policy.")

    def lowered(self, rate: float, iteration: int, changed: int, tests: Sequence[tuple[int, float]]) -> float:
        return rate if iteration % self.every else rate / self.divisor


def line(places: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Slope of the least-squares line, and its standard deviation with the residual divided by N - 4.

    Example:
        >>> slope, deviation = line([0, 1, 2, 3, 4], [4, 3, 2, 1, 0])
        >>> round(slope, 9), round(deviation, 9)
        (-1.0, 0.0)
    """
    x, y = np.asarray(places, np.float64), np.asarray(errors, np.float64)
    centred = x - x.mean()
    spread = float((centred**2).sum())
    slope = float((centred * y).sum()) / spread
    residual = float(((y - y.mean() - slope * centred) ** 2).sum())
    return slope, (residual / (len(x) - 4) / spread) ** 0.5
