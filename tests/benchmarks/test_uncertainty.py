"""Figures of calibration and selective prediction of ten variants, beside the products they cannot do without."""

import time

import numpy as np
from scipy.special import log_softmax

from bench.functional.calibration import (
    brier,
    debiased_squared_calibration_error,
    expected_calibration_error,
    negative_log_likelihood,
)
from bench.functional.predictions import correct, top_probability
from bench.functional.selective import augrc_influence, aurc_influence
from bench.stats.resampling import Resamples

N, CLASSES, VARIANTS, DRAWS, PART = 10_000, 10, 10, 10_000, 400
BINNED = (debiased_squared_calibration_error, expected_calibration_error)


def networks():
    random = np.random.default_rng(0)
    z = 3 * random.normal(size=(N, CLASSES))
    labels = (z + random.gumbel(size=z.shape)).argmax(axis=1)
    return [log_softmax(z + 0.3 * random.normal(size=z.shape), axis=1) for _ in range(VARIANTS)], labels


def test_means_and_binned_values_of_ten_variants(benchmark):
    """Beside one float64 product of the weights with the same arrays: per network two means and 15 bins of three sums.

    A part of the resamples is timed, as many times as make 10,000; drawing them is timed apart and belongs to neither.
    """
    tables, labels = networks()
    weights = np.concatenate([*Resamples(N, PART, seed=1).blocks()]).astype(np.float64)
    given = Resamples.of(weights)
    judged = [(top_probability(each), correct(each, labels)) for each in tables]
    scores = np.stack([f(each, labels) for each in tables for f in (negative_log_likelihood, brier)])
    statistics = [(function, *each) for each in judged for function in BINNED]

    started = time.perf_counter()
    Resamples(N, PART, seed=1).means(np.ones(N))
    drawing = time.perf_counter() - started
    place = [np.minimum((15 * sure).astype(int), 14) for sure, _ in judged]
    columns = np.concatenate(
        [
            scores.T,
            *(np.eye(15)[b] * x[:, None] for b, (c, r) in zip(place, judged, strict=True) for x in (1 + 0 * c, c, r)),
        ],
        axis=1,
    )
    started = time.perf_counter()
    weights @ columns
    bare = time.perf_counter() - started
    benchmark.pedantic(lambda: given.ahead([scores], statistics), rounds=3)
    taken = benchmark.stats.stats.median
    benchmark.extra_info["ratio to the bare product"] = round(taken / bare, 2)
    benchmark.extra_info["seconds of 10,000 draws"] = round(taken * DRAWS / PART, 1)
    benchmark.extra_info["seconds of drawing them"] = round(drawing * DRAWS / PART, 1)
    print(dict(benchmark.extra_info))
    assert taken < 3 * bare


def test_areas_by_influence_beside_the_bare_product(benchmark):
    """AURC and AUGRC of ten variants: two vectors a network, found once by a sort."""
    tables, labels = networks()
    weights = np.concatenate([*Resamples(N, PART, seed=1).blocks()]).astype(np.float64)
    given = Resamples.of(weights)
    judged = [(top_probability(each), correct(each, labels)) for each in tables]
    vectors = np.stack([f(*each) for each in judged for f in (aurc_influence, augrc_influence)])
    started = time.perf_counter()
    weights @ vectors.T
    bare = time.perf_counter() - started
    benchmark.pedantic(
        lambda: given.ahead([np.stack([f(*each) for each in judged for f in (aurc_influence, augrc_influence)])]),
        rounds=3,
    )
    taken = benchmark.stats.stats.median
    benchmark.extra_info["ratio to the bare product"] = round(taken / bare, 2)
    benchmark.extra_info["seconds of 10,000 draws"] = round(taken * DRAWS / PART, 1)
    print(dict(benchmark.extra_info))
