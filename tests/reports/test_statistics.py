"""Intervals and tests against tables, against enumeration, and against numbers that a hand can check."""

import math

import numpy as np
import pytest
from scipy import stats

from sr_lightning.reports.statistics import EXACT, FLIPS, holm, mean_interval, sign_flip_test


@pytest.mark.parametrize("count", [2, 5, 14, 100])
def test_interval(count: int) -> None:
    values = np.random.default_rng(count).normal(30, 3, count)
    mean, half = mean_interval(values)
    # Student's quantiles as printed tables have them.
    quantile = {2: 12.706, 5: 2.776, 14: 2.160, 100: 1.984}[count]
    assert mean == pytest.approx(values.mean())
    assert half == pytest.approx(quantile * values.std(ddof=1) / count**0.5, rel=3e-4)


def test_interval_of_too_few_and_of_infinite_values() -> None:
    assert mean_interval([3.0])[0] == 3
    assert math.isnan(mean_interval([3.0])[1])
    assert mean_interval([3.0, math.inf])[0] == math.inf
    assert math.isnan(mean_interval([3.0, math.inf])[1])
    assert math.isnan(mean_interval([])[0])


@pytest.mark.parametrize("count", [2, 5, 9, 14, EXACT])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_exact_sign_flips(count: int, shift: float) -> None:
    differences = np.random.default_rng(count).normal(shift, 1, count)
    bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    expected = np.mean(np.abs((bits * 2 - 1) @ differences) >= abs(differences.sum()) - 1e-9)
    assert sign_flip_test(differences) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.2])
def test_random_sign_flips_are_near_the_normal_limit(shift: float) -> None:
    differences = np.random.default_rng(3).normal(shift, 1, 100)
    assert differences.size > EXACT
    expected = stats.ttest_1samp(differences, 0).pvalue
    p = sign_flip_test(differences)
    assert p == pytest.approx(expected, abs=0.02)
    assert p == sign_flip_test(differences)


def test_random_sign_flips_count_the_observed_pattern() -> None:
    """Phipson and Smyth 2010: (n + 1) / (N + 1), as SciPy has it, so that no p-value of random flips is 0."""
    certain = np.ones(60)  # one random pattern in 2 ** 59 is as extreme
    ours = sign_flip_test(certain)
    assert ours == 1 / (FLIPS + 1)
    differences = np.random.default_rng(3).normal(0.1, 1, EXACT + 1)
    found = sign_flip_test(differences) * (FLIPS + 1)
    assert found == pytest.approx(round(found), abs=1e-6)
    bits = (np.arange(2**differences.size)[:, None] >> np.arange(differences.size)) & 1
    exact = np.mean(np.abs((bits * 2 - 1) @ differences) >= abs(differences.sum()) - 1e-9)
    assert found / (FLIPS + 1) == pytest.approx(exact, abs=0.02)


def test_ties_and_zeros() -> None:
    assert sign_flip_test([0.0, 0.0, 0.0]) == 1
    assert sign_flip_test([0.1] * 5) == 2 / 32
    assert sign_flip_test([0.1]) == 1  # one picture proves nothing
    assert math.isnan(sign_flip_test([]))


def test_holm() -> None:
    # Holm's rule by hand: 4 * .005, max(that, 3 * .01), max(that, 2 * .03), max(that, 1 * .04).
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    corrected = holm([math.nan, 0.02])
    assert math.isnan(corrected[0])
    assert corrected[1] == 0.02
