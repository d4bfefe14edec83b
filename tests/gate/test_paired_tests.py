"""Further draws of what gates judge together: how often they are drawn, and that they are those of every seed."""

import numpy as np
import pytest

from bench.gate.paired_tests import Figure, Pairing, _more_draws
from bench.stats import resampling
from bench.stats.resampling import Resamples, resampled_means
from bench.store.samples import ValueSamples

N = 120
RANDOM = np.random.default_rng(0)
DENSE, SPARSE = RANDOM.gamma(1, 1, (2, N)), RANDOM.gamma(1, 1, (2, N)) * (RANDOM.random((2, N)) < 0.3)


def test_further_draws_take_one_pass_a_round(monkeypatch):
    passes, drawn = [], resampling._drawn
    monkeypatch.setattr(resampling, "_drawn", lambda *place: passes.append(place) or drawn(*place))

    def mean(arrays, weights):
        return resampled_means(arrays["x"], weights)

    def pairing(table, figure):
        return Pairing(*(ValueSamples("mean", {"x": row}, better="lower") for row in table[:2]), N, 0.0, figure)

    resampling._kept_blocks.cache_clear()
    pairings = [pairing(DENSE, None), pairing(SPARSE, Figure(mean)), pairing(SPARSE, Figure(mean, recentre=True))]
    draws = _more_draws(pairings, N, 3)
    assert len(passes) == 3
    assert [len(first) for first, _ in draws] == [30_000] * 3
    once = np.concatenate([Resamples(N, seed=seed).means(SPARSE[0]) for seed in range(3)])
    assert np.array_equal(draws[1][0], once)
    assert draws[2][0].mean() == pytest.approx(SPARSE[0].mean())
