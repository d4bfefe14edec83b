"""Scores of single samples that are higher where a network is less sure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def negative_log_confidence(log_p: Float) -> Float:
    """``−log max_c p_c``: (n, classes) to (n,), nats, ≥ 0; ordered as 1 − max p is, with fewer ties near 1.

    >>> negative_log_confidence(np.log([[0.25, 0.75]])).round(6).tolist()
    [0.287682]
    """
    return np.asarray(-log_p.max(axis=1))


def predictive_entropy(log_p: Float) -> Float:
    """``−Σ_c p_c log p_c``: (n, classes) to (n,), nats, from 0 to log classes; a probability of 0 adds nothing.

    >>> predictive_entropy(np.log([[0.5, 0.5]])).round(6).tolist()
    [0.693147]
    """
    p = np.exp(log_p)
    return np.asarray(-(p * np.where(p > 0, log_p, 0.0)).sum(axis=1))


def lack_of_margin(log_p: Float) -> Float:
    """``1 − (p₁ − p₂)``, of the two most probable classes: (n, classes) to (n,), from 0 to 1.

    Summed as ``2 p₂ + p₃ + ...``, so that margins near 1 are told apart.

    >>> lack_of_margin(np.log([[0.25, 0.125, 0.625]])).tolist()
    [0.625]
    """
    p = np.sort(np.exp(log_p), axis=1)[:, :-1]
    return np.asarray(p.sum(axis=1) + p[:, -1])


def negative(figures: Float) -> Float:
    """``−x``: (n,) to (n,), so that a largest logit or a log-partition speaks for out of distribution where it is low.

    >>> negative(np.array([2.0])).tolist()
    [-2.0]
    """
    return np.asarray(-figures)
