"""Why no interval of plug-in calibration error is offered, and which one stands in for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.stats.harm import harm_without_interval
from bench.stats.percentile import percentile_interval
from bench.stats.resampling import Resamples

Float = NDArray[np.float64]
BINS = 15


def _bins(confidence: Float) -> Float:
    """Membership (n, BINS) in bins of equal mass; edges frozen on the sample itself."""
    order = np.empty(confidence.size, dtype=int)
    order[np.argsort(confidence, kind="stable")] = np.arange(confidence.size) * BINS // confidence.size
    return np.eye(BINS)[order]


def _table(confidence: Float, right: Float, weights: Float) -> tuple[Float, Float, Float]:
    """Counts, mean confidence and accuracy of each bin in each resample, (B, BINS) each."""
    member = _bins(confidence)
    counts = np.maximum(weights @ member, 1e-9)
    return counts, weights @ (member * confidence[:, None]) / counts, weights @ (member * right[:, None]) / counts


def _plug_in(confidence: Float, right: Float, weights: Float) -> Float:
    counts, mean, accuracy = _table(confidence, right, weights)
    return (counts * np.abs(mean - accuracy)).sum(axis=1) / confidence.size


def _debiased(confidence: Float, right: Float, weights: Float) -> Float:
    counts, mean, accuracy = _table(confidence, right, weights)
    noise = accuracy * (1 - accuracy) / np.maximum(counts - 1, 1)
    return (counts * ((mean - accuracy) ** 2 - noise)).sum(axis=1) / confidence.size


def _sigmoid(logit: Float) -> Float:
    return 1 / (1 + np.exp(-logit))


def _networks(random: np.random.Generator, n: int) -> tuple[Float, Float, Float]:
    """Confidence of a calibrated reference, of an over-confident variant, and whether they are right."""
    logit = np.abs(random.normal(1.5, 1.2, n))
    right = (random.random(n) < _sigmoid(logit)).astype(float)
    return _sigmoid(logit), _sigmoid(np.abs(1.5 * logit + 0.1 * random.normal(size=n))), right


def test_harm_of_plug_in_ece_is_missed_and_of_the_debiased_square_covered() -> None:
    """The plug-in error of a calibrated network is all bias, which an over-confident one has less of."""
    random = np.random.default_rng(0)
    n, trials = 1000, 150
    statistics = {"plug-in": _plug_in, "debiased": _debiased}
    reference, variant, right = _networks(random, 500_000)
    one = np.ones((1, right.size))
    truth = {name: (f(variant, right, one) - f(reference, right, one))[0] for name, f in statistics.items()}
    weights = np.concatenate([*Resamples(n, 400).blocks()]).astype(np.float64)
    covered = dict.fromkeys(statistics, 0)
    for _ in range(trials):
        reference, variant, right = _networks(random, n)
        for name, statistic in statistics.items():
            draws = statistic(variant, right, weights) - statistic(reference, right, weights)
            low, high, _ = percentile_interval(draws, samples=n)
            covered[name] += low <= truth[name] <= high  # type: ignore[operator]
    assert covered["plug-in"] <= 0.2 * trials
    assert covered["debiased"] >= 0.93 * trials


def test_percentile_interval_of_a_single_plug_in_ece_never_covers_a_calibrated_network() -> None:
    random = np.random.default_rng(1)
    weights = np.concatenate([*Resamples(1000, 400).blocks()]).astype(np.float64)
    for _ in range(30):
        reference, _, right = _networks(random, 1000)
        low = percentile_interval(_plug_in(reference, right, weights)).low
        assert low is not None
        assert low > 0  # the true error


def test_what_is_offered_instead_is_the_figure_without_an_interval() -> None:
    assert harm_without_interval(0.01, 0.03, better="lower").interval.method == "none"
