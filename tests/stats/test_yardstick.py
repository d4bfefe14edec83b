"""The yardsticks' scale and the prediction of a further one."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bench.stats.resampling import bootstrap_weights
from bench.stats.yardstick import log_error, predict_yardstick, scale_of


def test_scale_is_the_geometric_mean_with_the_spread_of_logs(weights: NDArray[np.float64]) -> None:
    means = np.array([1.0, 2.0, 4.0, 2.0])
    random = np.random.default_rng(0)
    shape = random.uniform(0.5, 1.5, (4, 300))
    table = means[:, None] * shape / shape.mean(axis=1, keepdims=True)
    scale = scale_of(table, weights)
    assert scale.log_mean == pytest.approx(np.log(means).mean())
    assert scale.spread == pytest.approx(np.log(means).std(ddof=1))
    wanted = np.log(table @ weights.T / 300).mean(axis=0)
    assert scale.log_draws == pytest.approx(wanted)
    assert scale.error(0.3) == pytest.approx(sqrt(0.09 + scale.spread**2 / 4))
    assert scale.quantile == pytest.approx(stats.t.ppf(0.975, 3))


def test_without_a_scale_there_is_a_reason(weights: NDArray[np.float64]) -> None:
    good = np.random.default_rng(1).uniform(0.5, 1.5, (3, 300))
    assert "no yardsticks" in scale_of(np.zeros((0, 300)), weights).reason
    assert "yardstick 4" in scale_of(np.vstack([good, np.zeros(300)]), weights).reason
    assert "numerical floor" in scale_of(good, weights, floor=1.1).reason
    assert scale_of(good, weights, floor=0.9).reason == ""
    counts = np.zeros((2, 300))
    counts[0, :10], counts[1, :9] = 1, 1
    assert scale_of(counts[:1], weights, count=True).reason == ""
    assert "1 yardsticks differ from the reference in 9 samples" in scale_of(counts[1:], weights, count=True).reason
    assert scale_of(counts, weights, count=True).reason == ""
    with pytest.raises(ValueError, match="yardsticks of shape"):
        scale_of(good[:, :5], weights)


def test_error_of_a_logarithm_is_not_ruled_by_clipped_draws() -> None:
    draws = np.random.default_rng(6).normal(0, 0.2, 2000)
    assert log_error(draws, clipped=False) == pytest.approx(draws.std())
    draws[:20] = -25.0
    assert log_error(draws, clipped=True) == pytest.approx(0.2, rel=0.2)


def test_prediction_by_hand() -> None:
    table = np.exp(np.array([0.0, 0.2, 0.4, 0.6]))[:, None] * np.ones((4, 5))
    low, high, method = predict_yardstick(table, np.ones((1, 5)), power=2)
    s = np.std([0.0, 0.2, 0.4, 0.6], ddof=1)
    half = stats.t.ppf(0.975, 3) * s * sqrt(1.25) / 2
    assert (log(low), log(high)) == pytest.approx((-half, half))  # type: ignore[arg-type]
    assert method == "t"
    assert predict_yardstick(table[:3], np.ones((1, 5)), power=2).method == "none"
    assert predict_yardstick(np.zeros((4, 5)), np.ones((1, 5)), power=1).method == "none"


@pytest.mark.parametrize("k", [4, 6])
def test_a_further_yardstick_is_inside_93_to_97_percent(k: int) -> None:
    """Networks are exchangeable log-normal draws, measured on the same 80 samples of unequal difficulty."""
    random = np.random.default_rng(k)
    weights = bootstrap_weights(80, 40).astype(np.float64)
    inside = 0
    for _ in range(2000):
        difficulty = random.normal(0, 0.8, 80)
        networks = random.normal(0, 0.3, (k + 1, 1))
        table = np.exp(networks + difficulty + random.normal(0, 0.5, (k + 1, 80)))
        low, high, _ = predict_yardstick(table[:k], weights, power=1)
        geometric = np.exp(np.log(table[:k].mean(axis=1)).mean())
        inside += low <= table[k].mean() / geometric <= high  # type: ignore[operator]
    assert 0.93 <= inside / 2000 <= 0.97
