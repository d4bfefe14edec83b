"""Statistics beside the matrix products they cannot do without."""

import time
import tracemalloc

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


def test_a_pass_over_many_samples(benchmark):
    """Ten vectors of 50,000 samples: time beside the summing alone, peak memory beside the vectors themselves."""
    random, n, draws = np.random.default_rng(0), 50_000, 200
    vectors = random.gamma(1.0, size=(10, n))
    weights = np.concatenate([*Resamples(n, draws, seed=1).blocks()]).astype(np.float64)
    started = time.perf_counter()
    for vector in vectors:
        np.einsum("n,bn->b", vector, weights)
    summing = time.perf_counter() - started
    tracemalloc.start()
    Resamples(n, draws, seed=1).means(vectors)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    benchmark(Resamples(n, draws, seed=1).means, vectors)
    benchmark.extra_info["ratio to summing alone"] = round(benchmark.stats.stats.median / summing, 1)
    benchmark.extra_info["peak memory, ratio to the vectors"] = round(peak / vectors.nbytes, 1)
    assert peak < 5 * vectors.nbytes
