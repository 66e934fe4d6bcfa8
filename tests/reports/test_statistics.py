"""Intervals and tests against SciPy, and against numbers that a hand can check."""

import math

import numpy as np
import pytest

from sr_lightning.reports.statistics import EXACT, FLIPS, holm, mean_interval, sign_flip_test, t_quantile

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("degrees", [1, 2, 4, 13, 99])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_t_quantile(degrees: int, level: float) -> None:
    assert t_quantile(degrees, level) == pytest.approx(stats.t.ppf((1 + level) / 2, degrees), rel=1e-6)


@pytest.mark.parametrize("count", [2, 5, 14, 100])
def test_interval(count: int) -> None:
    values = np.random.default_rng(count).normal(30, 3, count)
    mean, half = mean_interval(values)
    low, high = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-7)


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
    expected = stats.permutation_test(
        (differences,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples",
        n_resamples=np.inf, vectorized=True,
    ).pvalue  # fmt: skip
    assert sign_flip_test(differences) == pytest.approx(min(1, expected), abs=1e-12)


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
    theirs = stats.permutation_test(
        (certain,), np.mean, permutation_type="samples", n_resamples=FLIPS, rng=np.random.default_rng(1)
    )
    assert ours == 1 / (FLIPS + 1)
    assert ours == pytest.approx(theirs.pvalue / 2)  # SciPy doubles the smaller tail
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
