"""Resamples as weights, percentile intervals and their p-values."""

from __future__ import annotations

import numpy as np
import pytest

from bench.stats.resampling import (
    bootstrap_weights,
    far_tail_probability,
    percentile_interval,
    resampled_means,
    tail_probability,
)


def test_weights_are_multinomial_counts() -> None:
    weights = bootstrap_weights(50, 4000, seed=3)
    assert weights.shape == (4000, 50)
    assert weights.dtype == np.float64
    assert (weights.sum(axis=1) == 50).all()
    assert np.abs(weights.mean(axis=0) - 1).max() < 5 * np.sqrt(0.98 / 4000)
    assert weights.var(axis=0).mean() == pytest.approx(0.98, rel=0.02)  # n p (1 - p) with p = 1/50
    assert np.corrcoef(weights[:, 0], weights[:, 1])[0, 1] == pytest.approx(-1 / 49, abs=0.06)


def test_weights_are_shared_seeded_and_read_only() -> None:
    first = bootstrap_weights(20, 100, 0)
    assert bootstrap_weights(20, 100, 0) is first
    assert not np.array_equal(bootstrap_weights(20, 100, 1), first)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 7
    state = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    bootstrap_weights.__wrapped__(20, 100, 0)
    assert np.array_equal(np.random.get_state()[1], state)  # type: ignore[index]


def test_weights_do_not_depend_on_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap_weights(30, 64)
    monkeypatch.setattr("bench.stats.resampling.CHUNK", 300)
    assert np.array_equal(bootstrap_weights.__wrapped__(30, 64), whole)
    values = np.random.default_rng(0).normal(size=30)
    assert np.allclose(resampled_means(values, whole), whole.astype(float) @ values / 30)


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        bootstrap_weights(0, 10)


def test_resampled_means_of_one_and_of_many_and_without_events() -> None:
    weights = np.array([[2.0, 0, 1], [0, 3, 0]])
    assert resampled_means(np.array([1.0, 10, 4]), weights).tolist() == [2.0, 10.0]
    table = resampled_means(np.array([[1.0, 10, 4], [1, 0, 1]]), weights)
    assert table.tolist() == [[2.0, 10.0], [1.0, 0.0]]
    with pytest.raises(ValueError, match="4 values"):
        resampled_means(np.ones(4), weights)


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
