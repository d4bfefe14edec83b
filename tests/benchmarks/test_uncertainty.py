"""Figures of calibration and selective prediction of ten variants, beside the products they cannot do without."""

import time

import numpy as np
from scipy.special import log_softmax

from bench.functional.calibration import brier, debiased_squared_calibration_error, negative_log_likelihood
from bench.functional.calibration_errors import resolution
from bench.functional.predictions import correct, top_probability
from bench.functional.selective import area_under_risk_coverage, augrc_influence, aurc_influence
from bench.stats.resampling import Resamples

N, CLASSES, VARIANTS, DRAWS, PART = 10_000, 10, 10, 10_000, 400
BINNED = (debiased_squared_calibration_error, resolution)  # those that are resampled


def seconds(work):
    """The median of three runs."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return sorted(taken)[1]


def networks():
    random = np.random.default_rng(0)
    z = 3 * random.normal(size=(N, CLASSES))
    labels = (z + random.gumbel(size=z.shape)).argmax(axis=1)
    return [log_softmax(z + 0.3 * random.normal(size=z.shape), axis=1) for _ in range(VARIANTS)], labels


def columns(judged):
    """What a binned value sums: in each of 15 bins the samples, their confidences and the right ones, (n, 45)."""
    confidence, right = judged
    place = np.eye(15)[np.argsort(np.argsort(confidence)) * 15 // N]
    return np.concatenate([place, place * confidence[:, None], place * right[:, None]], axis=1)


def test_means_and_binned_values_of_ten_variants(benchmark):
    """Beside one float64 product of the weights with the same arrays: two means a network, 45 sums a binned value.

    A part of the resamples is timed; drawing them is timed apart. Both binned values have the same bins, but each sums
    them itself: the ratio to the product of all distinct arrays is shown too.
    """
    tables, labels = networks()
    weights = np.concatenate([*Resamples(N, PART, seed=1).blocks()]).astype(np.float64)
    given = Resamples.of(weights)
    judged = [(top_probability(each), correct(each, labels)) for each in tables]
    scores = np.stack([f(each, labels) for each in tables for f in (negative_log_likelihood, brier)])
    statistics = [(function, *each) for each in judged for function in BINNED]
    distinct = np.concatenate([scores.T, *map(columns, judged)], axis=1)
    every = np.concatenate([distinct, *map(columns, judged)], axis=1)
    drawing, once, bare = (
        seconds(work)
        for work in (
            lambda: list(Resamples(N, PART, seed=1).blocks()),
            lambda: weights @ distinct,
            lambda: weights @ every,
        )
    )
    benchmark.pedantic(lambda: given.ahead([scores], statistics), rounds=3)
    taken = benchmark.stats.stats.median
    benchmark.extra_info["ratio to the bare product"] = round(taken / bare, 2)
    benchmark.extra_info["ratio to that of distinct arrays"] = round(taken / once, 2)
    benchmark.extra_info["seconds of 10,000 draws"] = round(taken * DRAWS / PART, 1)
    benchmark.extra_info["seconds of drawing them"] = round(drawing * DRAWS / PART, 1)
    print(benchmark.extra_info)
    assert taken < 3 * bare


def test_areas_by_influence_beside_the_bare_product(benchmark):
    """AURC and AUGRC of ten variants: two vectors a network, found once by a sort."""
    tables, labels = networks()
    weights = np.concatenate([*Resamples(N, PART, seed=1).blocks()]).astype(np.float64)
    given = Resamples.of(weights)
    judged = [(top_probability(each), correct(each, labels)) for each in tables]
    vectors = np.stack([f(*each) for each in judged for f in (aurc_influence, augrc_influence)])
    bare = seconds(lambda: weights @ vectors.T)
    resampled = seconds(lambda: area_under_risk_coverage(*judged[0], weights))
    benchmark.pedantic(
        lambda: given.ahead([np.stack([f(*each) for each in judged for f in (aurc_influence, augrc_influence)])]),
        rounds=3,
    )
    taken = benchmark.stats.stats.median
    benchmark.extra_info["ratio to the bare product"] = round(taken / bare, 2)
    benchmark.extra_info["seconds of 10,000 draws"] = round(taken * DRAWS / PART, 1)
    benchmark.extra_info["seconds of 10,000 areas of one network"] = round(resampled * DRAWS / PART, 1)
    print(benchmark.extra_info)
    assert taken < resampled  # ten variants, two areas each, beside one area of one network
