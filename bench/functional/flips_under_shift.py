"""Where two networks part: flips on shifted images beside flips on clean ones, and which samples flip.

A flip is another class of one network than of the reference. Claims of Hu et al., arXiv 2204.04220.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def classes_differ(a: NDArray[np.int64], b: NDArray[np.int64]) -> Float:
    """Share of a sample's versions that have other classes: (n, ...) each to (n,), from 0 to 1.

    >>> classes_differ(np.array([[1, 2]]), np.array([[1, 3]])).tolist()
    [0.5]
    """
    return np.asarray((a != b).reshape(len(a), -1).mean(axis=1))


def classes_wrong(classes: NDArray[np.int64], labels: NDArray[np.int64]) -> Float:
    """Share of a sample's versions that have another class than its label: (n, ...) and (n,) to (n,), from 0 to 1.

    >>> classes_wrong(np.array([[1, 2]]), np.array([1])).tolist()
    [0.5]
    """
    return classes_differ(classes, np.broadcast_to(labels.reshape(-1, *[1] * (classes.ndim - 1)), classes.shape))


def flip_ratio(shifted: Float, clean: Float, weights: Float) -> Float:
    """Flips on shifted images over flips on clean ones, ``Σ w_i s_i / Σ w_i c_i``: (B,); NaN without clean flips.

    Args:
        shifted: share of each sample's shifted versions that flip, (n,).
        clean: 1 where the clean sample flips, else 0, (n,).
        weights: (B, n).

    >>> flip_ratio(np.array([0.5, 1.0]), np.array([1.0, 0.0]), np.array([[1.0, 1.0], [0.0, 2.0]])).tolist()
    [1.5, nan]
    """
    above, below = weights @ shifted, weights @ clean
    return np.asarray(np.divide(above, below, out=np.full(len(weights), np.nan), where=below > 0))


def flip_auroc(score: Float, flips: Float, weights: Float) -> Float:
    """How well a sample's score tells which of its versions flip: P(score of a flip > of none) + ½ P(equal), (B,).

    Each sample stands for a share ``flips`` of positives and the rest of negatives, all of one score; NaN where nothing
    flips, or all.

    Args:
        score: higher where a flip is expected, (n,).
        flips: share of each sample's versions that flip, (n,).
        weights: (B, n).

    >>> flip_auroc(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0]), np.ones((1, 3))).tolist()
    [1.0]
    >>> flip_auroc(np.array([1.0, 2.0]), np.array([0.5, 1.0]), np.ones((1, 2))).round(9).tolist()  # (1 + ½ · ½) / 1.5
    [0.833333333]
    """
    order = np.argsort(score, kind="stable")
    ordered, share = score[order], flips[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    own = np.asarray(weights, dtype=np.float64)[:, order]
    positives = np.add.reduceat(own * share, starts, axis=1)
    negatives = np.add.reduceat(own * (1.0 - share), starts, axis=1)
    above = (positives * (np.cumsum(negatives, axis=1) - 0.5 * negatives)).sum(axis=1)
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return np.asarray(np.divide(above, pairs, out=np.full(len(own), np.nan), where=pairs > 0))


def flip_auroc_difference(score: Float, other: Float, flips: Float, weights: Float) -> Float:
    """``flip_auroc`` of a score less that of another: (B,), above 0 where the first tells more.

    >>> one, two = np.array([1.0, 2.0]), np.array([2.0, 1.0])
    >>> flip_auroc_difference(one, two, np.array([0.0, 1.0]), np.ones((1, 2))).tolist()
    [1.0]
    """
    return flip_auroc(score, flips, weights) - flip_auroc(other, flips, weights)


class ClusteredAuroc(NamedTuple):
    """An area under the curve over versions of samples, and each sample's influence on it (n,), of mean 0.

    >>> ClusteredAuroc(0.5, np.zeros(2)).area
    0.5
    """

    area: float
    influence: Float


def clustered_auroc(scores: Float, flips: NDArray[np.bool_]) -> ClusteredAuroc | None:
    """How well each version's own score tells whether it flips; None where none flips, or all do.

    With U_i the versions that sample i's flips outscore and V_i the flips that outscore its others, ties half,
    the influence is ``n (U_i + V_i − θ (P_i N + N_i P)) / (P N)``: versions of one sample go together (Obuchowski 1997,
    doi 10.2307/2533958).

    Args:
        scores: of every version, higher where a flip is expected, (n, m).
        flips: whether it flips, (n, m).

    >>> clustered_auroc(np.array([[1.0, 3.0], [2.0, 0.0]]), np.array([[False, True], [True, False]])).area
    1.0
    """
    positives, negatives = np.sort(scores[flips]), np.sort(scores[~flips])
    if not len(positives) or not len(negatives):
        return None

    def outscored(other: Float, values: Float) -> Float:
        return np.asarray(0.5 * (np.searchsorted(other, values, "left") + np.searchsorted(other, values, "right")))

    won = np.where(flips, outscored(negatives, scores), len(positives) - outscored(positives, scores)).sum(axis=1)
    flipped, pairs = flips.sum(axis=1), len(positives) * len(negatives)
    area = float(outscored(negatives, positives).sum() / pairs)
    expected = flipped * len(negatives) + (flips.shape[1] - flipped) * len(positives)
    return ClusteredAuroc(area, len(scores) * (won - area * expected) / pairs)
