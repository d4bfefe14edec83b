"""The yardsticks' scale and the prediction of a further one."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from bench.stats.resampling import Resamples
from bench.stats.yardstick import log_error, scale_of


def test_scale_is_the_geometric_mean_with_the_spread_of_logs(resamples: Resamples) -> None:
    means = np.array([1.0, 2.0, 4.0, 2.0])
    random = np.random.default_rng(0)
    shape = random.uniform(0.5, 1.5, (4, 300))
    table = means[:, None] * shape / shape.mean(axis=1, keepdims=True)
    scale = scale_of(table, resamples)
    assert scale.log_mean == pytest.approx(np.log(means).mean())
    assert scale.spread == pytest.approx(np.log(means).std(ddof=1))
    wanted = np.log(resamples.means(table)).mean(axis=0)
    assert scale.log_draws == pytest.approx(wanted)
    assert scale.error(0.3) == pytest.approx(sqrt(0.09 + scale.spread**2 / 4))
    assert scale.quantile == pytest.approx(stats.t.ppf(0.975, 3))


def test_without_a_scale_there_is_a_reason(resamples: Resamples) -> None:
    good = np.random.default_rng(1).uniform(0.5, 1.5, (3, 300))
    assert "no yardsticks" in scale_of(np.zeros((0, 300)), resamples).reason
    assert "yardstick 4" in scale_of(np.vstack([good, np.zeros(300)]), resamples).reason
    assert "numerical floor" in scale_of(good, resamples, floor=1.1).reason
    assert scale_of(good, resamples, floor=0.9).reason == ""
    counts = np.zeros((2, 300))
    counts[0, :10], counts[1, :9] = 1, 1
    assert scale_of(counts[:1], resamples, count=True).reason == ""
    assert "1 yardsticks differ from the reference in 9 samples" in scale_of(counts[1:], resamples, count=True).reason
    assert scale_of(counts, resamples, count=True).reason == ""
    with pytest.raises(ValueError, match="yardsticks of shape"):
        scale_of(good[:, :5], resamples)


def test_error_of_a_logarithm_is_not_ruled_by_clipped_draws() -> None:
    draws = np.random.default_rng(6).normal(0, 0.2, 2000)
    assert log_error(draws, clipped=False) == pytest.approx(draws.std())
    draws[:20] = -25.0
    assert log_error(draws, clipped=True) == pytest.approx(0.2, rel=0.2)
