"""A threshold on confidence, found once and kept: which answers are taken, and how many of them are wrong."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotApplicable

Float = NDArray[np.float64]


def log_confidence(log_p: Float) -> Float:
    """The logarithm of the largest probability: (n, classes) to (n,), nats, ≤ 0; near 0 it ties less than p does.

    >>> log_confidence(np.log([[0.25, 0.75]])).round(6).tolist()
    [-0.287682]
    """
    return np.asarray(log_p.max(axis=1))


def confidence_threshold(confidence: Float, coverage: float) -> Float:
    """The ⌈c n⌉-th largest confidence: the highest threshold at which a share c of the samples is accepted (0-d).

    Accepted is what reaches the threshold. Thresholds lie at confidences that occur: of samples that tie at it all are
    accepted, so more than c of them may be.

    Args:
        confidence: Of the samples on which the threshold is found, (n,).
        coverage: c, above 0 and at most 1, by the decimal number that it is written as.

    Raises:
        NotApplicable: there is no sample.

    >>> float(confidence_threshold(np.array([0.9, 0.5, 0.7, 0.7, 0.6]), 0.4))  # three reach it, not two
    0.7
    """
    n = len(confidence)
    if n == 0:
        raise NotApplicable("needs samples on which the threshold is found; there are none")
    k = ceil(n * Fraction(repr(coverage)))
    return np.asarray(np.partition(confidence, n - k)[n - k])


def reaches(confidence: Float, threshold: Float | float) -> NDArray[np.uint8]:
    """1 where the confidence is at or above the threshold, else 0: (n,) to (n,).

    >>> reaches(np.array([0.7, 0.6]), 0.7).tolist()
    [1, 0]
    """
    return np.asarray(confidence >= threshold).astype(np.uint8)


def accepted_errors(accepted: NDArray[Any], correct: NDArray[Any]) -> NDArray[np.uint8]:
    """1 where an answer is accepted and wrong, else 0: (n,) each to (n,).

    >>> accepted_errors(np.array([1, 1, 0]), np.array([1, 0, 0])).tolist()
    [0, 1, 0]
    """
    return np.asarray((accepted == 1) & (correct == 0)).astype(np.uint8)


def selective_risk(accepted: NDArray[Any], errors: NDArray[Any], weights: NDArray[Any]) -> Float:
    """The share of wrong answers among accepted ones, under every row of weights: (B,), from 0 to 1, lower is better.

    ``Σ w e / Σ w a`` (El-Yaniv & Wiener 2010, JMLR 11:1605); NaN in a row that weights no accepted sample.

    Args:
        accepted: a, 0 or 1, (n,).
        errors: e, accepted and wrong, 0 or 1, (n,).
        weights: (B, n).

    Raises:
        NotApplicable: nothing is accepted.

    >>> selective_risk(np.array([1, 1, 0]), np.array([0, 1, 0]), np.ones((1, 3))).tolist()
    [0.5]
    """
    if not accepted.any():
        raise NotApplicable(f"none of {len(accepted)} samples reaches the threshold: there is no risk")
    both = np.stack([errors, accepted], axis=1).astype(np.float64)
    wrong, taken = (weights.astype(np.float64, copy=False) @ both).T
    with np.errstate(invalid="ignore"):
        return np.asarray(wrong / taken)
