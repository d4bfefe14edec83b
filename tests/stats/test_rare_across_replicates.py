"""Few events over replicates: in closed form where replicates agree, and by simulation of crossed events."""

from __future__ import annotations

from collections.abc import Callable
from math import hypot, sqrt

import numpy as np
import pytest
from scipy import stats

from bench.stats.proportions import PairedTable, clopper_pearson, paired_difference
from bench.stats.rare_across_replicates import rare_across_replicates, rare_on_own_samples


def with_events(*samples: int, n: int = 360, replicates: int = 5) -> np.ndarray:
    """The same samples have an event in every replicate."""
    table = np.zeros((replicates, n))
    table[:, list(samples)] = 1
    return table


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_replicates_that_agree_know_what_one_knows(count: int) -> None:
    table = with_events(*range(count))
    found = rare_across_replicates(table, signed=False)
    exact = clopper_pearson(count, 360)
    assert found is not None
    assert (found.estimate, *found.interval[:2]) == pytest.approx((count / 360, exact.low, exact.high))
    harm = rare_across_replicates(table, signed=True)
    score = paired_difference(PairedTable(count, 0, 360))
    assert harm is not None
    assert (harm.estimate, *harm.interval[:2]) == pytest.approx((count / 360, score.low, score.high))
    assert (harm.p_value == 1.0) is (count == 0)


def test_by_hand() -> None:
    table = np.zeros((5, 360))
    table[0, 7] = 1  # one sample, in one replicate of five
    found = rare_across_replicates(table, signed=False)
    exact = clopper_pearson(1, 360)
    spread = stats.t.ppf(0.975, 4) * np.std([1 / 360, 0, 0, 0, 0], ddof=1) / sqrt(5)
    assert found is not None
    assert found.interval.high == pytest.approx(1 / 1800 + hypot((exact.high - 1 / 360) / 5, spread))


def test_harms_cancel() -> None:
    table = np.zeros((5, 360))
    table[:, 3], table[:, 4] = 1, -1
    found = rare_across_replicates(table, signed=True)
    score = paired_difference(PairedTable(1, 1, 360))
    assert found is not None
    assert found.interval[:2] == pytest.approx((score.low, score.high))
    assert found.p_value == 1.0


def test_ten_samples_and_four_replicates_are_left_to_the_t_interval() -> None:
    assert rare_across_replicates(with_events(*range(10)), signed=False) is None
    assert rare_across_replicates(with_events(1, replicates=4), signed=False) is None
    assert rare_on_own_samples([np.ones(2)] * 5) is None
    assert rare_on_own_samples([np.zeros(9)] * 4) is None


def test_what_is_no_event() -> None:
    with pytest.raises(ValueError, match="no event"):
        rare_across_replicates(-with_events(1), signed=False)
    with pytest.raises(ValueError, match="no event"):
        rare_across_replicates(with_events(1) / 2, signed=True)


def test_other_samples_in_each_replicate_are_as_wide_as_their_own_limits() -> None:
    found = rare_on_own_samples([np.zeros(n) for n in (100, 200, 300, 400, 500)])
    assert found is not None
    highs = [clopper_pearson(0, n).high for n in (100, 200, 300, 400, 500)]
    assert found.interval[:2] == pytest.approx((0.0, np.mean(highs)))


@pytest.mark.parametrize("signed", [False, True], ids=["change", "harm"])
@pytest.mark.parametrize(("events", "agree"), [(0.5, 0.9), (1, 0.05), (3, 0.5), (6, 0.9)])
def test_intervals_cover(
    events: float, agree: float, signed: bool, at_least: Callable[[int, int, float], bool]
) -> None:
    """Some samples lie near a boundary, and have an event in each replicate with a probability of their own."""
    random, trials, hits, n = np.random.default_rng(7), 400, 0, 360
    near = events / n / (1 - (1 - agree) ** 5)
    truth = near * agree * (0.5 if signed else 1)
    for _ in range(trials):
        table = ((random.random((5, n)) < agree) & (random.random(n) < near)).astype(np.float64)
        if signed:
            table *= np.where(random.random(n) < 0.75, 1, -1)
        found = rare_across_replicates(table, signed=signed)
        if found is not None:  # of ten samples or more another interval tells
            low, high, _ = found.interval
            hits += low - 1e-12 <= truth <= high + 1e-12  # type: ignore[operator]
        else:
            trials -= 1
    assert at_least(hits, trials, 0.95)
