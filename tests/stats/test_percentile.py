"""Percentile intervals of bootstrap distributions and their p-values."""

from __future__ import annotations

import numpy as np
import pytest

from bench.stats.percentile import far_tail_probability, percentile_interval, tail_probability


def test_percentile_interval_leaves_out_what_is_no_number() -> None:
    draws = np.r_[np.arange(100.0), np.nan]
    assert percentile_interval(draws) == percentile_interval(np.arange(100.0))
    assert percentile_interval(np.r_[np.arange(90.0), np.full(10, np.nan)]).method == "none"


def test_percentile_interval_is_wider_for_few_samples() -> None:
    draws = np.random.default_rng(0).normal(size=20_000)
    plain, few = percentile_interval(draws), percentile_interval(draws, samples=10)
    assert few.high == pytest.approx(2.262 * np.sqrt(10 / 9), rel=0.03)  # t(9)
    assert plain.high == pytest.approx(1.96, rel=0.03)


@pytest.mark.parametrize("samples", [None, 15])
def test_p_value_and_interval_say_the_same(samples: int | None) -> None:
    draws = np.random.default_rng(1).normal(size=5000)
    low = percentile_interval(draws, samples=samples).low
    assert low is not None
    assert tail_probability(draws, low - 0.05, samples) < 0.025 < tail_probability(draws, low + 0.05, samples)


def test_p_value_is_never_zero() -> None:
    assert tail_probability(np.full(999, 5.0), 0.0) == pytest.approx(1 / 1000)
    assert tail_probability(np.full(999, -5.0), 0.0) == pytest.approx(1 - 1 / 1000)
    assert tail_probability(np.zeros(999), 0.0) == pytest.approx(0.5)
    assert tail_probability(np.arange(1.0, 10), 2.5) == pytest.approx(0.25)  # 2 of 9 below


def test_a_far_tail_goes_on_where_the_draws_end() -> None:
    """Ten thousand draws of a skewed mean beside a million, at 1e-5, where their own share ends at 1e-4."""
    random = np.random.default_rng(7)
    values = random.exponential(1, 60)
    many = np.concatenate([random.multinomial(60, [1 / 60] * 60, 50_000) @ values / 60 for _ in range(20)])
    for sign in (1, -1):
        threshold = float(np.quantile(sign * many, 1e-5))
        found = [far_tail_probability(sign * many[i : i + 10_000], threshold) for i in range(0, 100_000, 10_000)]
        assert 1e-6 < np.median(found) < 5e-5
    near = float(np.quantile(many, 0.01))
    assert far_tail_probability(many[:10_000], near, 60) == tail_probability(many[:10_000], near, 60)
    assert far_tail_probability(np.ones(500), 0.0) == tail_probability(np.ones(500), 0.0)
