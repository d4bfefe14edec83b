"""How far scores are from another class: what attacks without gradients raise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def _parts(scores: Float, labels: NDArray[np.int64]) -> tuple[Float, Float]:
    rows = np.arange(len(scores))
    others = np.array(scores, dtype=np.float64)
    own = others[rows, labels]
    others[rows, labels] = -np.inf
    return own, others


def wrong_score_margin(scores: Float, labels: NDArray[np.int64]) -> Float:
    """Largest wrong score less the label's: (n, classes) and (n,) to (n,); above 0 where the label is not predicted.

    It is the same for logits and for the log-probabilities that a softmax makes of them.

    >>> wrong_score_margin(np.array([[2.0, 0.5, 1.0]]), np.array([1])).tolist()
    [1.5]
    """
    own, others = _parts(scores, labels)
    return np.asarray(others.max(axis=1) - own)


def score_log_odds(scores: Float, labels: NDArray[np.int64]) -> Float:
    """Log-odds against the label, ``log Σ_{j≠y} e^{z_j} − z_y``: (n, classes) and (n,) to (n,).

    It is the same for logits and for log-probabilities; a small change of the input changes it where the network is
    sure too.

    >>> score_log_odds(np.array([[2.0, 0.5]]), np.array([0])).tolist()
    [-1.5]
    """
    from scipy.special import logsumexp

    own, others = _parts(scores, labels)
    return np.asarray(logsumexp(others, axis=1) - own)
