"""Two variants beside each other: by hand, what pairing gives, and coverage by simulation."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, sqrt

import numpy as np
import pytest

from bench.stats.gap import gap
from bench.stats.ratio import paired_ratio
from bench.stats.resampling import Resamples


def test_it_is_the_ratio_of_the_gaps(resamples: Resamples) -> None:
    random = np.random.default_rng(0)
    yardsticks, first, second = random.gamma(2, 1, (4, 300)), random.gamma(2, 1, 300), random.gamma(2, 3, 300)
    found = paired_ratio(first, second, resamples, power=2)
    gaps = [gap(row, yardsticks, resamples, power=2).gap for row in (first, second)]
    assert found.estimate == pytest.approx(gaps[0] / gaps[1])  # type: ignore[operator]
    assert found.estimate == pytest.approx(sqrt(first.mean() / second.mean()))
    turned = paired_ratio(second, first, resamples, power=2)
    assert turned.estimate == pytest.approx(1 / found.estimate)  # type: ignore[operator]
    assert turned.interval.low == pytest.approx(1 / found.interval.high)  # type: ignore[operator]


def test_intervals_of_gaps_overlap_where_the_ratio_is_sure(resamples: Resamples) -> None:
    """Two variants that are far on the same samples: their difference is known far better than either gap."""
    random = np.random.default_rng(1)
    difficulty = np.exp(random.normal(0, 1, 300))
    yardsticks = difficulty * np.exp(random.normal(0, 0.3, (4, 1)) + random.normal(0, 0.3, (4, 300)))
    nearer = difficulty * np.exp(random.normal(0, 0.1, 300))
    further = 1.2 * difficulty * np.exp(random.normal(0, 0.1, 300))
    first, second = (gap(row, yardsticks, resamples, power=1).interval for row in (nearer, further))
    assert first.high > second.low  # type: ignore[operator]
    assert paired_ratio(nearer, further, resamples, power=1).interval.high < 1  # type: ignore[operator]


def test_reasons(resamples: Resamples) -> None:
    some = np.random.default_rng(2).gamma(2, 1, 300)
    assert "second variant does not differ" in paired_ratio(some, np.zeros(300), resamples, power=1).reason
    assert "first variant does not differ" in paired_ratio(1e-9 * some, some, resamples, power=1, floor=1e-6).reason
    few, many = np.zeros(300), np.zeros(300)
    few[:9], many[:40] = 1, 1
    found = paired_ratio(few, many, resamples, power=1, count=True)
    assert found.estimate == pytest.approx(9 / 40)
    assert found.interval.method == "none"
    assert "in 9 samples; an interval needs 10" in found.reason
    with pytest.raises(ValueError, match="not paired"):
        paired_ratio(some, some[:10], resamples, power=1)


@pytest.mark.parametrize(
    ("law", "n", "power"), [("gamma", 300, 1), ("gamma", 100, 2), ("rare", 900, 2), ("flips", 900, 1)]
)
def test_intervals_cover_95_percent(law: str, n: int, power: int, at_least: Callable[[int, int, float], bool]) -> None:
    """Two variants that share what is difficult; the true ratio of the means is known."""
    random = np.random.default_rng(n + power)
    resamples, trials, hits = Resamples(n, 500), 1000, 0
    for _ in range(trials):
        if law == "flips":
            shared, own = random.random(n) < 0.04, random.random((2, n)) < [[0.01], [0.05]]
            first, second = (np.where(shared, 1.0, row) for row in own)
            truth = (0.04 + 0.96 * 0.01) / (0.04 + 0.96 * 0.05)
        else:
            shape = 0.7 if law == "gamma" else 0.1
            shared = random.gamma(shape, 1, n)
            first, second = shared + random.gamma(shape, 0.5, n), shared + random.gamma(shape, 1.5, n)
            truth = 1.5 / 2.5
        low, high, _ = paired_ratio(first, second, resamples, power=power, count=law == "flips").interval  # type: ignore[arg-type]
        hits += low <= exp(np.log(truth) / power) <= high  # type: ignore[operator]
    assert at_least(hits, trials, 0.94)
