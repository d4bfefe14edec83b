"""Holm and max-t: by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.stats.multiplicity import holm, holm_capacity, max_t_quantile, simultaneous_intervals
from bench.stats.resampling import bootstrap_weights, tail_probability


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.2])


def test_holm_holds_the_family_error() -> None:
    random = np.random.default_rng(0)
    shared = random.normal(size=(4000, 1))
    p_values = stats.norm.sf(np.sqrt(0.5) * shared + np.sqrt(0.5) * random.normal(size=(4000, 8)))
    p_values[:, :2] = 1e-9  # two true effects
    wrong = np.mean([min(holm(row.tolist())[2:]) <= 0.05 for row in p_values])
    assert wrong <= 0.05 + 2.33 * np.sqrt(0.05 * 0.95 / 4000)


def test_capacity_is_where_the_smallest_p_value_stops_rejecting() -> None:
    draws = np.full(999, 5.0)  # every resample above: as sure as 999 draws can be
    smallest = tail_probability(draws, 0.0)
    capacity = holm_capacity(999)
    assert holm([smallest] + [1.0] * (capacity - 1))[0] <= 0.05
    assert holm([smallest] + [1.0] * capacity)[0] > 0.05


def test_max_t_of_independent_normals() -> None:
    draws = np.random.default_rng(1).normal(size=(200_000, 5))
    assert max_t_quantile(draws) == pytest.approx(stats.norm.ppf(0.95 ** (1 / 5)), abs=0.02)
    copies = np.repeat(draws[:, :1], 5, axis=1)
    assert max_t_quantile(copies) == pytest.approx(1.645, abs=0.02)


def test_simultaneous_intervals_cover_all_at_once() -> None:
    random = np.random.default_rng(2)
    weights = bootstrap_weights(300, 500).astype(np.float64)
    hits = 0
    for _ in range(1000):
        values = 0.7 * random.normal(size=300) + random.normal(size=(4, 300))
        intervals = simultaneous_intervals(values.mean(axis=1), values @ weights.T / 300)
        hits += all(low <= 0 <= high for low, high, _ in intervals)  # type: ignore[operator]
    assert 0.93 <= hits / 1000 <= 0.97


def test_what_does_not_vary_is_a_point() -> None:
    assert simultaneous_intervals(np.array([2.0]), np.full((1, 9), 2.0))[0] == (2.0, 2.0, "bootstrap")
    with pytest.raises(ValueError, match="2 estimates"):
        simultaneous_intervals(np.zeros(2), np.zeros((3, 9)))
