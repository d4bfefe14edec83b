"""Conformal prediction: sets of classes that hold the right one with a promised probability."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotApplicable
from bench.stats.streams import generator

Float = NDArray[np.float64]

STREAM = "uncertainty.conformal"  # label of the random numbers of adaptive prediction sets


def conformal_rank(n: int, alpha: float) -> int:
    """``k = ⌈(n + 1)(1 − α)⌉`` of n calibration samples, by the decimal number that α is written as.

    Above n there is no threshold with that promise.

    >>> conformal_rank(99, 0.1), conformal_rank(9, 0.7), conformal_rank(8, 0.1)
    (90, 3, 9)
    """
    return n + 1 - floor((n + 1) * Fraction(repr(alpha)))


def conformal_threshold(scores: Float, labels: NDArray[np.int64], alpha: float) -> Float:
    """The k-th smallest score of the right class, ``k = ⌈(n + 1)(1 − α)⌉``: a number (0-d).

    Of a further sample the right class has a score at or below it with probability 1 − α or more, over calibration and
    further samples drawn alike (split conformal prediction; Papadopoulos et al. 2002, doi 10.1007/3-540-36755-1_29).
    Over thresholds the coverage is distributed as Beta(k, n + 1 − k) where no scores tie, and lies above it where some
    do.

    Args:
        scores: How badly each class fits each calibration sample, (n, classes).
        labels: The right classes, (n,).
        alpha: The share of right classes that may be missed.

    Raises:
        NotApplicable: k is above n.

    >>> float(conformal_threshold(np.array([[0.3], [0.1], [0.2]]), np.zeros(3, int), 0.5))  # the second of three
    0.2
    """
    n, k = len(scores), conformal_rank(len(scores), alpha)
    if k > n:
        least = ceil(1 / Fraction(repr(alpha))) - 1
        what = f"{n} calibration sample{'s' * (n != 1)}: too few for sets that miss a share of {alpha:g}"
        raise NotApplicable(f"{what}, at least {least} are needed")
    return np.asarray(np.partition(scores[np.arange(n), labels], k - 1)[k - 1])


def least_ambiguous_scores(log_p: Float) -> Float:
    """``−log p`` of each class (n, classes): the sets are those of the score 1 − p (LAC; Sadinle et al. 2019).

    The least ambiguous sets with bounded error (arXiv 1609.00451) hold the classes whose probability reaches a
    threshold. Near 1 the logarithm tells more probabilities apart.

    >>> least_ambiguous_scores(np.log([[0.25, 0.75]])).round(6).tolist()
    [[1.386294, 0.287682]]
    """
    return np.asarray(-log_p)


def adaptive_scores(log_p: Float, uniforms: Float) -> Float:
    """The probability of all likelier classes and a share u of the class's own: (n, classes), from 0 to 1.

    The randomised score of adaptive prediction sets (APS; Romano et al. 2020, arXiv 2006.02544): with u uniform in
    [0, 1] the coverage is exact; without it the sets of a sure network would be larger than promised. Classes of equal
    probability follow in their order.

    Args:
        log_p: Log-probabilities, (n, classes).
        uniforms: u, one a sample, (n,).

    >>> adaptive_scores(np.log([[0.25, 0.75]]), np.array([0.5])).round(6).tolist()
    [[0.875, 0.375]]
    """
    order = np.argsort(-log_p, axis=1, kind="stable")
    p = np.exp(np.take_along_axis(log_p, order, axis=1))
    likelier = np.cumsum(p, axis=1) - p
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, likelier + uniforms[:, None] * p, axis=1)
    return scores


def sample_uniforms(ids: NDArray[Any]) -> Float:
    """A number uniform in [0, 1) of each sample's own id (n,): the same for every network.

    >>> ids = np.array(["digits/1", "digits/2"])
    >>> bool((sample_uniforms(ids) == sample_uniforms(ids[::-1])[::-1]).all())
    True
    """
    return np.array([generator(STREAM, str(sample)).random() for sample in ids], dtype=np.float64)


def prediction_sets(scores: Float, threshold: Float | float) -> NDArray[np.bool_]:
    """The classes whose score is at or below the threshold: (n, classes); a set may be empty.

    >>> prediction_sets(np.array([[0.1, 0.3], [0.4, 0.5]]), 0.3).tolist()
    [[True, True], [False, False]]
    """
    return np.asarray(scores <= threshold)


def covered(sets: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """1 where the set holds the label, else 0: (n, classes) and (n,) to (n,).

    >>> covered(np.array([[True, False], [True, False]]), np.array([0, 1])).tolist()
    [1, 0]
    """
    return sets[np.arange(len(sets)), labels].astype(np.uint8)


def set_size(sets: NDArray[np.bool_]) -> Float:
    """The number of classes in each set: (n, classes) to (n,).

    >>> set_size(np.array([[True, True], [False, False]])).tolist()
    [2.0, 0.0]
    """
    return np.asarray(sets.sum(axis=1), dtype=np.float64)


def sets_differ(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> Float:
    """1 where two sets hold other classes, else 0: (n, classes) each to (n,).

    >>> sets_differ(np.array([[True, False], [True, False]]), np.array([[True, False], [True, True]])).tolist()
    [0.0, 1.0]
    """
    return np.asarray((a != b).any(axis=1), dtype=np.float64)
