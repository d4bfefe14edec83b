"""Distances of two sets of predictions, sample by sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
LARGEST_DIVERGENCE = float(np.log(2.0))  # Jensen-Shannon, in nats: of predictions without a common class


def log_mean_probabilities(logits: NDArray[Any]) -> Float:
    """Log of the mean softmax over members: logits (members, n, classes) to log-probabilities (n, classes), nats.

    ``log (1/M) Σ_m softmax(z_m)``, in float64, by log-sum-exp: finite for every finite logit. Raises
    ``FloatingPointError`` where logits are not finite.

    >>> np.exp(log_mean_probabilities(np.zeros((2, 1, 4)))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    z = logits.astype(np.float64)
    bad = ~np.isfinite(z).all(axis=(0, 2))
    if bad.any():
        raise FloatingPointError(f"the network gives NaN or infinite logits on {bad.sum()} of {bad.size} samples")
    z = z - z.max(axis=2, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=2, keepdims=True))
    if log_p.shape[0] == 1:
        return np.asarray(log_p[0])
    top = log_p.max(axis=0)
    return np.asarray(top + np.log(np.exp(log_p - top).mean(axis=0)))


def centred(logits: NDArray[Any]) -> Float:
    """Logits (n, classes) less their mean over classes: a shift common to all classes changes no probability.

    >>> centred(np.array([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """
    z = logits.astype(np.float64)
    return np.asarray(z - z.mean(axis=1, keepdims=True))


def flips(a: NDArray[Any], b: NDArray[Any]) -> Float:
    """1 where the arg max over classes differs, else 0: logits (n, classes) each to (n,).

    Ties go to the first class, in both alike.

    >>> flips(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 2.0], [0.0, 9.0]])).tolist()
    [1.0, 0.0]
    """
    return np.asarray(a.argmax(axis=1) != b.argmax(axis=1), dtype=np.float64)


def jensen_shannon(log_p: Float, log_q: Float) -> Float:
    """Jensen-Shannon divergence of log-probabilities (n, classes), in nats: (n,), from 0 to log 2.

    ``½ KL(p ‖ m) + ½ KL(q ‖ m)`` with ``m = ½ (p + q)`` (Lin 1991, doi 10.1109/18.61115). Summed as ``Σ m φ(h)``,
    ``h = ½ (log p − log q)``, ``φ(h) = h tanh h − log cosh h``: every term is ≥ 0 and even in h, so the result is
    exactly symmetric, exactly 0 for equal rows, and keeps its relative precision for rows that are nearly equal.

    >>> jensen_shannon(np.log([[1e-300, 1.0]]), np.log([[1.0, 1e-300]])).round(6).tolist()
    [0.693147]
    """
    h = 0.5 * np.abs(log_p - log_q)
    middle = 0.5 * (np.exp(log_p) + np.exp(log_q))
    small = np.minimum(h, 1.0)
    near = small * np.tanh(small) - 0.5 * np.log1p(np.sinh(small) ** 2)
    decay = np.exp(-2.0 * h)
    far = np.log(2.0) - np.log1p(decay) - 2.0 * h * decay / (1.0 + decay)
    # probabilities sum to 1 up to rounding, which may lead a hair beyond the largest
    return np.asarray(np.minimum((middle * np.where(h < 1.0, near, far)).sum(axis=1), LARGEST_DIVERGENCE))


def relative_difference(a: Float, b: Float) -> Float:
    """Size of the difference over the mean size of the two: vectors (n, d) each to (n,), from 0 to 2.

    ``‖a − b‖ / (½ (‖a‖ + ‖b‖))``, and 0 where both are zero.

    >>> relative_difference(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 0.0]])).tolist()
    [2.0, 0.0]
    """
    # scaled first: squares of very large or very small entries neither overflow nor vanish
    scale = np.maximum(np.abs(a).max(axis=1), np.abs(b).max(axis=1))
    safe = np.where(scale > 0, scale, 1.0)[:, None]
    a, b = a / safe, b / safe
    size = 0.5 * (np.linalg.norm(a, axis=1) + np.linalg.norm(b, axis=1))
    return np.asarray(np.linalg.norm(a - b, axis=1) / np.where(scale > 0, size, 1.0))


def sure(log_p: Float, least: float = 0.9) -> NDArray[np.bool_]:
    """Samples to whose first class a network gives at least this probability: log-probabilities (n, classes) to (n,).

    Of the reference: the mask for flips where it was sure. Those samples are the value's own n.

    >>> sure(np.log([[0.95, 0.05], [0.6, 0.4]])).tolist()
    [True, False]
    """
    return np.asarray(log_p.max(axis=1) >= np.log(least))
