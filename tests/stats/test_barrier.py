"""Barriers: closed forms, and intervals that cover where the largest of many means does not."""

from __future__ import annotations

import numpy as np
import pytest

from bench.stats.barrier import barrier
from bench.stats.resampling import Resamples


def shares(points):
    t = np.linspace(0, 1, points)
    return np.stack([1 - t, t], axis=1)


def test_a_barrier_is_what_lies_above_the_interpolation_of_unequal_ends() -> None:
    ends = np.array([[1.0, 3.0, 2.0], [5.0, 7.0, 6.0]])
    share = shares(5)
    losses = share @ ends
    losses[3] += 0.75
    found = barrier(losses, share, ends, Resamples(3, 50))
    assert (found.estimate, found.index) == (pytest.approx(0.75), 3)
    assert found.interval[:2] == pytest.approx((0.75, 0.75))


def test_a_valley_has_no_barrier_and_no_limit_below_0() -> None:
    random = np.random.default_rng(0)
    ends = random.exponential(size=(2, 80))
    share = shares(7)
    losses = share @ ends - 0.3
    losses[[0, -1]] = ends
    found = barrier(losses, share, ends, Resamples(80, 500))
    assert (found.estimate, *found.interval[:2]) == (0.0, 0.0, 0.0)


def test_intervals_cover_the_largest_of_many_equal_rises() -> None:
    """Skewed losses, 19 independent points of one true rise: its estimate is biased upward, the interval holds."""
    random = np.random.default_rng(1)
    share, n, true, trials = shares(21), 60, 0.2, 150
    covered, resampled, estimates = 0, 0, []
    for _ in range(trials):
        ends = random.exponential(size=(2, n))
        losses = share @ ends
        losses[1:-1] += true + 0.5 * (random.exponential(size=(19, n)) - 1)
        weights = random.multinomial(n, np.full(n, 1 / n), size=300)
        found = barrier(losses, share, ends, Resamples.of(weights))
        estimates.append(found.estimate)
        covered += found.interval.low <= true <= found.interval.high
        again = (weights @ (losses - share @ ends).T / n).max(axis=1)
        low, high = np.quantile(again, [0.025, 0.975])
        resampled += low <= true <= high
    assert np.mean(estimates) > true + 0.05
    assert covered >= 0.93 * trials
    assert resampled < 0.3 * trials  # the maximum of every resample: it adds the bias once more


def test_refusals() -> None:
    share, ends = shares(3), np.zeros((2, 4))
    with pytest.raises(ValueError, match="do not go together"):
        barrier(np.zeros((4, 4)), share, ends, Resamples(4, 10))
    with pytest.raises(ValueError, match="not finite"):
        barrier(np.full((3, 4), np.nan), share, ends, Resamples(4, 10))
