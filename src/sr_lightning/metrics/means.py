"""The mean of scores. Tables, checkpoints, metrics and reports share this rule."""

import math
from collections.abc import Iterable


def counted(values: Iterable[float]) -> list[float]:
    """The values that the mean takes: all but infinity, or infinity if there is nothing else.

    A picture without any error has an infinite PSNR, which would hide the others. NaN, as of a network that diverged,
    and minus infinity stay.

    Example:
        >>> counted([30.0, math.inf, math.nan]), counted([math.inf])
        ([30.0, nan], [inf])
    """
    values = list(values)
    return [value for value in values if value != math.inf] or values


def mean_score(values: Iterable[float]) -> float:
    """The mean of what is ``counted``; NaN if there is nothing.

    Example:
        >>> mean_score([30.0, 32.0, math.inf]), mean_score([30.0, math.nan]), mean_score([])
        (31.0, nan, nan)
    """
    kept = counted(values)
    return sum(kept) / len(kept) if kept else math.nan
