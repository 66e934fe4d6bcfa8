"""Confidence intervals and paired tests over the pictures of a set.

Everything is deterministic: random sign flips come from a fixed seed.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Signs = NDArray[np.float64]

#: Up to so many pictures all sign patterns are enumerated.
EXACT = 16
FLIPS = 20_000


def t_quantile(degrees: int, level: float = 0.95) -> float:
    """Half-width, in standard errors, of a two-sided t interval; the density is integrated by the trapezoid rule.

    Example:
        >>> round(t_quantile(4), 4)
        2.7764
    """
    x = np.linspace(0, 70, 700_001)
    log_scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - 0.5 * math.log(degrees * math.pi)
    density = np.exp(log_scale - (degrees + 1) / 2 * np.log1p(x * x / degrees))
    area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * (x[1] - x[0]))])
    return float(np.interp(level / 2, area, x))


_quantile = lru_cache(t_quantile)


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
    return mean, _quantile(array.size - 1, level) * float(array.std(ddof=1)) / math.sqrt(array.size)


def sign_flip_test(differences: ArrayLike) -> float:
    """Two-sided p-value of the paired permutation test of a mean difference of 0.

    If two methods were equally good, the sign of each picture's difference would be a coin's. The p-value is the
    share of sign patterns whose mean is at least as far from 0 as the observed one: all ``2 ** n`` patterns up to
    16 pictures, 20,000 random ones beyond. With n pictures it cannot be below ``2 / 2 ** n``.

    Example:
        >>> sign_flip_test([0.1, 0.2, 0.3, 0.1, 0.2])
        0.0625
    """
    array = np.asarray(differences, dtype=np.float64)
    if not array.size or np.isnan(array).any():
        return math.nan
    exact = array.size <= EXACT
    extreme = np.abs(_signs(array.size) @ array) >= abs(array.sum()) - 1e-9 * np.abs(array).sum()
    # Random patterns do not hold the observed one for certain, so that it is counted in.
    return float(extreme.mean() if exact else (extreme.sum() + 1) / (extreme.size + 1))


@lru_cache(maxsize=4)
def _signs(count: int) -> Signs:
    """Sign patterns ``(patterns, count)`` of +1 and -1."""
    if count <= EXACT:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    else:
        bits = np.random.default_rng(0).integers(0, 2, (FLIPS, count))
    return bits.astype(np.float64) * 2 - 1


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's method; nan stays nan and does not count.

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
