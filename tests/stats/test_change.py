"""Change: closed forms, degenerate inputs, and coverage by simulation."""

from __future__ import annotations

from collections.abc import Callable
from math import exp

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bench.stats.change import change, independent_change
from bench.stats.mean import change_vectors, mean_interval
from bench.stats.resampling import Resamples

Law = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]

LOG_SCALE = 0.7156  # a log-normal of skewness 3.0
MILD: dict[str, tuple[Law, float]] = {  # law, mean; skewness at most 3
    "normal": (lambda random, shape: random.normal(1, 1, shape), 1.0),
    "skewness 2": (lambda random, shape: random.gamma(1, 1, shape), 1.0),
    "skewness 3": (lambda random, shape: random.gamma(4 / 9, 1, shape), 4 / 9),
    "log-normal, skewness 3": (lambda random, shape: random.lognormal(0, LOG_SCALE, shape), exp(LOG_SCALE**2 / 2)),
}
HARSH: dict[str, tuple[Law, float]] = {
    "log-normal, skewness 6.2": (lambda random, shape: random.lognormal(0, 1, shape), exp(0.5)),
    "log-normal, skewness 33": (lambda random, shape: random.lognormal(0, 1.5, shape), exp(1.125)),
    "95 % zeros": (lambda random, shape: random.exponential(1, shape) * (random.random(shape) < 0.05), 0.05),
    "99 % zeros": (lambda random, shape: random.exponential(1, shape) * (random.random(shape) < 0.01), 0.01),
}


def _coverage(law: Law, mean: float, resamples: Resamples) -> tuple[float, float, float]:
    table = law(np.random.default_rng(11), (2000, resamples.n))
    known = resamples.ahead(map(change_vectors, table))  # one matrix product for all of them
    intervals = [change(row, known).interval for row in table]
    low, high = np.array([interval[:2] for interval in intervals], dtype=float).T
    return float(np.mean((low <= mean) & (mean <= high))), float(np.mean(low > mean)), float(np.mean(high < mean))


@pytest.mark.parametrize("law", MILD)
def test_95_percent_intervals_cover_93_to_97(law: str, resamples: Resamples) -> None:
    covered, above, below = _coverage(*MILD[law], resamples)
    assert 0.93 <= covered <= 0.97
    assert max(above, below) <= 0.045  # both tails: gates look at one side only


@pytest.mark.parametrize("law", HARSH)
def test_harsh_distances_are_covered_90_percent(law: str, resamples: Resamples) -> None:
    covered, _, _ = _coverage(*HARSH[law], resamples)
    assert covered >= 0.90


def test_counts_are_exact_and_never_a_point() -> None:
    resamples = Resamples.of(np.ones((2, 360)))
    flips = np.zeros(360)
    assert change(flips, resamples, count=True).interval == pytest.approx((0, 0.010195, "exact"), abs=1e-5)
    flips[:7] = 1
    estimate, interval = change(flips, resamples, count=True)
    assert estimate == pytest.approx(7 / 360)
    assert interval[:2] == pytest.approx(tuple(stats.binomtest(7, 360).proportion_ci(method="exact")))
    with pytest.raises(ValueError, match="0 or 1"):
        change(flips / 2, resamples, count=True)


def test_a_network_has_not_moved_from_itself(resamples: Resamples) -> None:
    assert change(np.zeros(300), resamples) == (0.0, (0.0, 0.0, "bootstrap"))


def test_one_small_distance_leaves_an_upper_limit_above_the_percentile(resamples: Resamples) -> None:
    distances = np.zeros(300)
    distances[4] = 1.0
    found = change(distances, resamples)
    assert found.interval.low == pytest.approx(0, abs=1e-6)
    share, size = 0.018443 * 300, 1 / -np.log(0.975)  # exact limit of 1 of 300; mean of one exponential value
    assert found.interval.high == pytest.approx(np.exp(np.hypot(np.log(share), np.log(size))) / 300, rel=1e-3)


def test_interval_moves_and_scales_with_the_values(resamples: Resamples) -> None:
    values = np.random.default_rng(0).gamma(1, 1, 300)
    low, high, _ = mean_interval(values, resamples)
    moved = mean_interval(1e6 + 1e-3 * values, resamples)
    assert moved[:2] == pytest.approx((1e6 + 1e-3 * low, 1e6 + 1e-3 * high), abs=1e-8)  # type: ignore[operator]
    flipped = mean_interval(-values, resamples)
    assert flipped[:2] == pytest.approx((-high, -low), rel=1e-2)  # type: ignore[operator]


def test_interval_of_a_normal_sample_is_students() -> None:
    values = np.random.default_rng(2).normal(size=25)
    low, high, _ = mean_interval(values, Resamples(25, 10_000))
    half = stats.t.ppf(0.975, 24) * values.std(ddof=1) / 5
    assert high - low == pytest.approx(2 * half, rel=0.12)  # type: ignore[operator]


@pytest.mark.parametrize("distances", [np.zeros(0), np.zeros((2, 2)), np.array([1.0, np.nan]), np.array([np.inf])])
def test_what_is_no_distance(distances: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="distances"):
        change(distances, Resamples.of(np.ones((1, 2))))


def test_independent_change_of_coins_is_squared_difference_of_their_laws() -> None:
    """Hamming distance of independent Bernoulli draws: E d(f,g') - E d(f,f')/2 - E d(g,g')/2 = (p - q)^2."""
    random = np.random.default_rng(3)
    p, q, n = 0.2, 0.5, 400_000
    f, f2 = (random.random((2, n)) < p).astype(float)
    g, g2 = (random.random((2, n)) < q).astype(float)
    contributions = independent_change(f != g2, f != f2, g != g2)
    assert contributions.mean() == pytest.approx((p - q) ** 2, abs=4 * contributions.std() / n**0.5)
    same = independent_change(f != f2, f != f2, f != f2)
    assert not same.any()


def test_independent_contributions_may_be_negative(resamples: Resamples) -> None:
    contributions = np.random.default_rng(4).normal(0, 1, 300)
    interval = change(contributions, resamples).interval
    assert interval.low < 0 < interval.high  # type: ignore[operator]


def test_no_limit_leaves_the_quantitys_range() -> None:
    """Of five divergences the studentised bootstrap says [-0.06, 38.6]; there is none beyond log 2."""
    divergences = np.array([0.001, 0.6862, 0.0099, 0.0027, 0.6823])
    resamples, largest = Resamples(5), float(np.log(2))
    assert mean_interval(divergences, resamples).high > 1  # type: ignore[operator]
    assert change(divergences, resamples, largest=largest).interval == (0.0, largest, "bootstrap")
    contributions = divergences - np.array([0.7, 0.0, 0.0, 0.0, 0.0])  # of independent draws: they may be negative
    low, high, _ = change(contributions, resamples, largest=largest).interval
    assert -largest <= low < high <= largest  # type: ignore[operator]
