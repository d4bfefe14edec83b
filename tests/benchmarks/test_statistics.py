"""Statistics beside the matrix products they cannot do without."""

import time

import numpy as np

from bench.stats.gap import gap_on
from bench.stats.resampling import Resamples
from bench.stats.yardstick import scale_of


def test_a_gap(benchmark):
    random = np.random.default_rng(0)
    resamples = Resamples(900)
    weights = np.concatenate([*resamples.blocks()]).astype(np.float32)
    distances = random.gamma(1.0, size=(5, 900))
    scale = scale_of(distances[1:], resamples)
    started = time.perf_counter()
    for _ in range(5):
        weights @ distances.T.astype(np.float32)
    product = (time.perf_counter() - started) / 5
    benchmark(gap_on, scale, distances[0], resamples, 2)
    benchmark.extra_info["ratio to one product of the resamples"] = round(benchmark.stats.stats.median / product, 1)
