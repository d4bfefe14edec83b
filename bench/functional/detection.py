"""Telling two sets of samples apart by a score: areas under curves, their influence functions, rates at a threshold.

Positive is the second set (out of distribution), by convention, and a higher score speaks for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.resampling import Resamples

Float = NDArray[np.float64]

RATE = 0.95  # of positives that must be found, for the false positive rate
DRAWS = 2_000  # resamples for a rate at a threshold


class Influence(NamedTuple):
    """Each sample's influence on a figure: how far it moves, to first order, with the sample's weight; means are 0."""

    negatives: Float  # (n,)
    positives: Float  # (m,)


def _placements(negatives: Float, positives: Float) -> tuple[Float, Float]:
    """Of each sample the share of the other set on its right side, ties counted half: (n,), (m,)."""
    first, second = np.sort(negatives), np.sort(positives)
    below = np.searchsorted(first, positives, side="left") + np.searchsorted(first, positives, side="right")
    above = np.searchsorted(second, negatives, side="left") + np.searchsorted(second, negatives, side="right")
    return 1 - above / (2 * len(second)), below / (2 * len(first))


def auroc(negatives: Float, positives: Float) -> float:
    """The area under the receiver operating characteristic: P(positive > negative) + ½ P(equal), higher is better.

    From 0 to 1; ½ where the scores say nothing (Hanley & McNeil 1982, doi 10.1148/radiology.143.1.7063747).

    Args:
        negatives: Scores of samples in distribution, (n,).
        positives: Scores of samples out of distribution, (m,).

    >>> auroc(np.array([0.1, 0.4]), np.array([0.4, 0.9]))  # three pairs and a half of four
    0.875
    """
    return float(_placements(negatives, positives)[1].mean())


def auroc_influence(negatives: Float, positives: Float) -> Influence:
    """Influence on ``auroc``: placements less their mean (DeLong et al. 1988, doi 10.2307/2531595).

    >>> [part.tolist() for part in auroc_influence(np.array([0.1, 0.4]), np.array([0.4, 0.9]))]
    [[0.125, -0.125], [-0.125, 0.125]]
    """
    first, second = _placements(negatives, positives)
    return Influence(first - first.mean(), second - second.mean())


def _shares(negatives: Float, positives: Float) -> tuple[Float, Float]:
    """At each positive, ascending: the shares of positives and of negatives that score as high or higher, (m,) each."""
    first, second = np.sort(negatives), np.sort(positives)
    found = 1 - np.searchsorted(second, second, side="left") / len(second)
    false = 1 - np.searchsorted(first, second, side="left") / len(first)
    return found, false


def average_precision(negatives: Float, positives: Float) -> float:
    """The area under the precision-recall curve, Σ (R_k − R_{k−1}) P_k over distinct scores: higher is better.

    The mean over positives of the precision at their score; ties are one step, nothing is interpolated (Davis &
    Goadrich 2006, doi 10.1145/1143844.1143874). It depends on the sizes of both sets: at chance it is m / (n + m).

    Args:
        negatives: Scores of samples in distribution, (n,).
        positives: Scores of samples out of distribution, (m,).

    >>> average_precision(np.array([0.1, 0.5]), np.array([0.4, 0.9])) == (1 + 2 / 3) / 2
    True
    """
    found, false = _shares(negatives, positives)
    return float((found / (found + false * len(negatives) / len(positives))).mean())


def average_precision_influence(negatives: Float, positives: Float) -> Influence:
    """Influence on ``average_precision`` at fixed sizes of both sets, by the derivatives of the precision.

    With P = S₁ / (S₁ + c S₀), c = n / m: a positive z has P(z) − AP + mean_x ∂P/∂S₁ (1[z ≥ x] − S₁), a negative
    mean_x ∂P/∂S₀ (1[z ≥ x] − S₀), x over positives.

    >>> first, second = average_precision_influence(np.array([0.1, 0.5]), np.array([0.4, 0.9]))
    >>> bool(abs(first.sum()) < 1e-15 and abs(second.sum()) < 1e-15)
    True
    """
    found, false = _shares(negatives, positives)
    c, m = len(negatives) / len(positives), len(positives)
    precision, square = found / (found + c * false), (found + c * false) ** 2
    by_found, by_false = c * false / square, -c * found / square
    ordered = np.sort(positives)

    def reached(slope: Float, scores: Float) -> Float:
        """The sum of slopes at all positives up to each score."""
        sums = np.concatenate([[0.0], np.cumsum(slope)])
        return np.asarray(sums[np.searchsorted(ordered, scores, side="right")])

    own = precision[np.searchsorted(ordered, positives, side="left")]
    second = own - precision.mean() + (reached(by_found, positives) - (by_found * found).sum()) / m
    first = (reached(by_false, negatives) - (by_false * false).sum()) / m
    return Influence(first - first.mean(), second - second.mean())


def false_positive_rate(negatives: Float, positives: Float) -> float:
    """The share of negatives at or above the highest threshold that finds 95 % of positives: lower is better.

    The first point of the curve with a true positive rate of .95 or more; ties are one step (FPR95; Liang et al. 2018,
    arXiv 1706.02690, without interpolation).

    Args:
        negatives: Scores of samples in distribution, (n,).
        positives: Scores of samples out of distribution, (m,).

    >>> false_positive_rate(np.array([0.1, 0.2, 0.6, 0.8]), np.array([0.5, 0.7, 0.9]))  # the threshold is .5
    0.5
    """
    ordered = np.sort(positives)[::-1]
    needed = -(-len(ordered) * 95 // 100)
    return float((negatives >= ordered[needed - 1]).mean())


def false_positive_rate_draws(negatives: Float, positives: Float, draws: int = DRAWS) -> Float:
    """``false_positive_rate`` where both sets are resampled: (B,); the shared resamples, those of positives reversed.

    >>> false_positive_rate_draws(np.zeros(20), np.ones(20), 5).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    threshold = _threshold_draws(positives, draws)[::-1]
    order, rates, start = np.argsort(-negatives, kind="stable"), [], 0
    last = np.searchsorted(-negatives[order], -threshold, side="right")  # negatives at or above the threshold
    for weights in Resamples(len(negatives), draws).blocks():
        own = last[start : (start := start + len(weights))]
        least, most = int(own.min()), int(own.max())
        taken = weights[:, order[:least]].sum(axis=1, dtype=np.int64)  # a sum costs a tenth of running sums
        between = np.cumsum(weights[:, order[least:most]], axis=1, dtype=np.int64)
        if most > least:
            more = np.take_along_axis(between, np.maximum(own - least - 1, 0)[:, None], axis=1)[:, 0]
            taken = taken + np.where(own > least, more, 0)
        rates.append(taken / len(negatives))
    return np.concatenate(rates)


def _threshold_draws(positives: Float, draws: int) -> Float:
    """The highest threshold that finds 95 % of resampled positives, (B,): the lowest score above what may be missed."""
    rising, m = np.argsort(positives, kind="stable"), len(positives)
    ordered, missed = positives[rising], m - -(-m * 95 // 100)
    few = min(m, missed + int(10 * np.sqrt(missed)) + 30)  # nearly always enough of the lowest
    places = []
    for weights in Resamples(m, draws).blocks():
        below = np.cumsum(weights[:, rising[:few]], axis=1, dtype=np.int64)
        if (below[:, -1] <= missed).any():
            below = np.cumsum(weights[:, rising], axis=1, dtype=np.int64)
        places.append((below <= missed).sum(axis=1))
    return np.asarray(ordered[np.concatenate(places)])


def overlapping(negatives: Float, positives: Float) -> int:
    """Samples that are not on the right side of every one of the other set.

    >>> overlapping(np.array([0.1, 0.5]), np.array([0.4, 0.9]))
    2
    """
    return int((negatives >= positives.min()).sum() + (positives <= negatives.max()).sum())
