"""Why no interval of plug-in calibration error is offered, and which one stands in for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.stats.harm import harm_without_interval
from bench.stats.resampling import bootstrap_weights, percentile_interval

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


def test_percentile_interval_of_plug_in_ece_never_covers_a_calibrated_network() -> None:
    """True error 0: the plug-in interval misses always, the one of the signed debiased square covers."""
    random = np.random.default_rng(0)
    n, trials = 1000, 100
    weights = bootstrap_weights(n, 400).astype(np.float64)
    covered = {"plug-in": 0, "debiased": 0}
    for _ in range(trials):
        confidence = random.uniform(0.5, 1, n)
        right = (random.random(n) < confidence).astype(float)
        for name, statistic in (("plug-in", _plug_in), ("debiased", _debiased)):
            low, high, _ = percentile_interval(statistic(confidence, right, weights), samples=n)
            covered[name] += low <= 0 <= high  # type: ignore[operator]
    assert covered["plug-in"] == 0
    assert covered["debiased"] >= 93


def test_what_is_offered_instead_is_the_figure_without_an_interval() -> None:
    assert harm_without_interval(0.01, 0.03, better="lower").interval.method == "none"
