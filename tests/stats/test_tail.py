"""Tails: closed forms, what the scale makes of them, and coverage by simulation."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.stats.alarm import family_alarm
from bench.stats.change import change
from bench.stats.gap import gap
from bench.stats.resampling import Resamples
from bench.stats.tail import NEEDED, no_tail_interval, tail_change, tail_contributions

Law = Callable[[np.random.Generator, int], NDArray[np.float64]]


@pytest.mark.parametrize("n", [1, 7, 20, 360, 365, 1000])
def test_the_mean_is_that_of_the_worst(n: int) -> None:
    distances = np.random.default_rng(n).lognormal(size=n)
    ordered = np.sort(distances)[::-1]
    whole = int(0.05 * n + 1e-9)  # samples that count in full; the next one counts with what is left
    part = 0.05 * n - whole
    wanted = (ordered[:whole].sum() + (part * ordered[whole] if part > 1e-9 else 0)) / (0.05 * n)
    assert tail_contributions(distances).mean() == pytest.approx(wanted)


def test_no_cut_gives_a_smaller_mean() -> None:
    """Of all v, the ceil(.05 n)-th largest distance gives the least mean of h: its own error is of second order."""
    distances = np.random.default_rng(0).lognormal(size=410)
    own = tail_contributions(distances).mean()
    others = [(v + np.maximum(distances - v, 0) / 0.05).mean() for v in distances]
    assert min(others) == pytest.approx(own)


def test_order_shift_scale_and_the_whole() -> None:
    distances = np.random.default_rng(1).gamma(1, 1, 400)
    h = tail_contributions(distances)
    assert np.array_equal(tail_contributions(distances[::-1])[::-1], h)
    assert tail_contributions(3 * distances + 2) == pytest.approx(3 * h + 2)
    assert tail_contributions(distances, 1.0).mean() == pytest.approx(distances.mean())
    assert np.array_equal(tail_contributions(np.full(9, 0.4)), np.full(9, 0.4))


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_what_is_no_tail(share: float) -> None:
    with pytest.raises(ValueError, match="tail of"):
        tail_contributions(np.ones(40), share)
    with pytest.raises(ValueError, match="not finite"):
        tail_contributions(np.array([1.0, np.nan]))


def test_too_few_samples_have_a_figure_and_no_interval() -> None:
    distances = np.random.default_rng(2).gamma(1, 1, NEEDED)
    (estimate, interval), draws = tail_change(distances[1:], Resamples(NEEDED - 1, 50))
    assert interval.method == "none"
    assert estimate == pytest.approx(tail_contributions(distances[1:]).mean())
    assert draws.shape == (50,)
    assert "359 samples are 18: an interval needs 360" in no_tail_interval(NEEDED - 1)
    found, _ = tail_change(distances, Resamples(NEEDED, 50))
    assert found == change(tail_contributions(distances), Resamples(NEEDED, 50))


def test_a_gap_of_too_few_samples_is_a_point_without_a_part_in_alarms() -> None:
    random = np.random.default_rng(6)
    tails = np.array([*map(tail_contributions, random.gamma(2, 1, (5, 200)))])
    found = gap(tails[0], tails[1:], Resamples(200, 100), power=1)
    point = found.as_point(no_tail_interval(200))
    assert (point.gap, point.further, point.interval.method) == (found.gap, None, "none")
    assert "an interval needs 360" in point.reason
    assert family_alarm([point]).value is None
    assert family_alarm([found]).value is not None


def test_no_limit_lies_beyond_the_largest_distance() -> None:
    distances = np.random.default_rng(3).beta(0.05, 1, 400) * log(2)
    (estimate, interval), _ = tail_change(distances, Resamples(400, 500), largest=log(2))
    assert estimate <= interval.high <= log(2)  # type: ignore[operator]


def test_the_gap_of_a_tail_sees_what_the_mean_hides() -> None:
    """One sample in a hundred is surely wrong: the mean says as far as a retrained network."""
    random, n = np.random.default_rng(4), 1000
    yardsticks = random.gamma(2, 0.01, (4, n))
    variant = random.gamma(2, 0.007, n)
    variant[:10] = log(2)
    resamples = Resamples(n, 1000)
    mean = gap(variant, yardsticks, resamples, power=2)
    tail = gap(tail_contributions(variant), np.array([*map(tail_contributions, yardsticks)]), resamples, power=2)
    assert mean.gap == pytest.approx(1.0, abs=0.05)
    assert tail.gap > 1.5  # type: ignore[operator]
    assert tail.interval.low > 1
    assert tail.further > 1


def js_like(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    """A few samples move far, the others hardly."""
    far = random.beta(1, 2, n) * log(2)
    return np.where(random.random(n) < 0.06, far, np.minimum(np.exp(random.normal(-6, 1.5, n)), log(2)))


@pytest.mark.parametrize(
    ("law", "truth"),
    [
        (lambda random, n: random.exponential(1, n), 1 + log(20)),
        (lambda random, n: random.lognormal(0, 1, n), 8.5572),  # 20 exp(1/2) Phi(1 - 1.6449)
        (js_like, None),
    ],
    ids=["exponential", "log-normal", "like Jensen-Shannon"],
)
def test_intervals_cover_92_to_96_percent(law: Law, truth: float | None) -> None:
    """With 600 trials: 91 to 97. Long runs are in docs/design/statistics.md."""
    if truth is None:
        truth = float(tail_contributions(law(np.random.default_rng(9), 4_000_000)).mean())
    random, resamples, hits = np.random.default_rng(5), Resamples(NEEDED, 600), 0
    for _ in range(600):
        (_, (low, high, _)), _ = tail_change(law(random, NEEDED), resamples)
        hits += low <= truth <= high  # type: ignore[operator]
    assert 0.91 <= hits / 600 <= 0.97
