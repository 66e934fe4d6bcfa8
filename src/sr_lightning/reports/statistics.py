"""Confidence intervals and paired tests over the pictures of a set."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

#: Up to so many pictures all sign patterns are enumerated; beyond, as many random ones are drawn from a fixed seed.
EXACT = 16
FLIPS = 2**EXACT


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Mean and half-width of its t interval; the half-width of fewer than two values, or of infinite ones, is nan.

    A t interval and no bootstrap, because sets have as few as five pictures, where bootstrap intervals are too short.

    Example:
        >>> mean, half = mean_interval([1.0, 2.0, 3.0])
        >>> round(mean, 3), round(half, 3)
        (2.0, 2.484)
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        return math.nan, math.nan
    mean = float(array.mean())
    if array.size < 2 or not math.isfinite(mean):
        return mean, math.nan
    return mean, float(stats.t.ppf((1 + level) / 2, array.size - 1) * stats.sem(array))


def sign_flip_test(differences: ArrayLike) -> float:
    """Two-sided p-value of the paired permutation test of a mean difference of 0.

    If two methods were equally good, the sign of each picture's difference would be a coin's. The p-value is the
    share of sign patterns whose mean is at least as far from 0 as the observed one: all ``2 ** n`` patterns up to
    16 pictures, 65,536 random ones beyond. With n pictures it cannot be below ``2 / 2 ** n``.

    Example:
        >>> sign_flip_test([0.1, 0.2, 0.3, 0.1, 0.2])
        0.0625
    """
    array = np.asarray(differences, dtype=np.float64)
    if not array.size or np.isnan(array).any():
        return math.nan
    if array.size == 1:
        return 1.0  # one picture proves nothing

    def distance(flipped: NDArray[np.float64], axis: int) -> Any:
        return np.abs(flipped.sum(axis=axis))

    return float(
        stats.permutation_test(
            (array,),
            distance,
            permutation_type="samples",
            alternative="greater",  # of the distance from 0, which is two-sided
            vectorized=True,
            n_resamples=FLIPS,
            batch=4096,
            rng=np.random.default_rng(0),
        ).pvalue
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's method; nan stays nan and does not count.

    SciPy has no such correction: its ``false_discovery_control`` is for another error rate.

    **Paper:** S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    corrected, running = [math.nan] * len(p_values), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = running
    return corrected
