"""Temperature scaling: what of a divergence is another sureness alone, and what is another function."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import exp, log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotApplicable

Float = NDArray[np.float64]

LOWEST, HIGHEST = 0.01, 100.0  # temperatures looked at
NOTHING = -745.0  # log of the least positive float64: what a probability of 0 counts as


class Tempered(NamedTuple):
    """Log-probabilities (n, classes) at a network's own temperature, and the temperature of each fold."""

    log_probabilities: Float
    temperatures: tuple[float, float]


def at_temperature(log_p: NDArray[Any], temperature: float | Float) -> Float:
    """``log softmax(log p / T)`` of log-probabilities (n, classes), in float64; T one number or one a sample (n,).

    >>> np.exp(at_temperature(np.log([[0.8, 0.2]]), 2.0)).round(6).tolist()  # sqrt(4) to 1
    [[0.666667, 0.333333]]
    """
    z = _finite(log_p) / np.reshape(temperature, (-1, 1))
    z -= z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def fit_temperature(log_p: NDArray[Any], labels: NDArray[Any]) -> float:
    """The temperature T at which ``softmax(log p / T)`` has the least negative log-likelihood, from 0.01 to 100.

    The loss is convex in 1/T, so it has one minimum in log T, where its slope ``mean(E_T[log p] - log p(label))``
    changes sign (Guo et al. 2017, arXiv 1706.04599): found by Brent's method to 1e-12 in log T, in float64.

    Where every label is the arg max the loss falls for ever as T does: 0.01, the lower bound. Where the network is
    worse than a uniform guess at every T: 100, the upper bound. Where T changes nothing (one class, uniform rows, no
    sample): 1. A probability of exactly 0 counts as exp(-745).

    Args:
        log_p: Log-probabilities or logits, (n, classes).
        labels: Classes, (n,).

    Raises:
        ValueError: If shapes disagree, or a log-probability is NaN or +infinite.

    >>> random = np.random.default_rng(0)
    >>> logits = random.normal(size=(4000, 3))
    >>> labels = (logits + random.gumbel(size=(4000, 3))).argmax(axis=1)  # classes drawn from softmax(logits)
    >>> 0.9 < fit_temperature(logits, labels) < 1.1 and 2.7 < fit_temperature(3 * logits, labels) < 3.3
    True
    """
    z, y = _finite(log_p), np.asarray(labels)
    if y.shape != z.shape[:1]:
        raise ValueError(f"{len(z)} samples and labels of shape {y.shape}: one label a sample is needed")
    if len(z) == 0:
        return 1.0
    z = z - z.max(axis=1, keepdims=True)
    wanted = float(z[np.arange(len(z)), y].mean())

    def slope(log_t: float) -> float:
        """Of the loss in 1/T: it rises with 1/T."""
        scaled = z * exp(-log_t)
        weight = np.exp(scaled)
        return float(((weight * z).sum(axis=1) / weight.sum(axis=1)).mean()) - wanted

    low, high = log(LOWEST), log(HIGHEST)
    if not z.any():
        return 1.0
    if slope(low) <= 0:
        return LOWEST
    if slope(high) >= 0:
        return HIGHEST
    from scipy.optimize import brentq

    return exp(brentq(slope, low, high, xtol=1e-12))


def folds(ids: Sequence[str]) -> NDArray[np.int64]:
    """The half that each sample belongs to, (n,) of 0 and 1: by a hash of its id, whatever the order or number.

    >>> folds(["digits/7", "digits/8"]).tolist() == folds(["digits/8", "digits/7"])[::-1].tolist()
    True
    """
    return np.array([hashlib.sha256(name.encode()).digest()[0] & 1 for name in ids], dtype=np.int64)


def cross_fitted(log_p: NDArray[Any], labels: NDArray[Any], ids: Sequence[str]) -> Tempered:
    """Log-probabilities at the network's own temperature, which each half of the samples takes from the other half.

    Two networks that differ by a temperature alone are equal afterwards: Jensen-Shannon of two networks so scaled is
    fidelity apart from calibration. The halves depend on the samples' ids alone, so both networks have the same.
    A half whose other half is empty keeps T = 1.

    Args:
        log_p: Log-probabilities or logits, (n, classes).
        labels: Classes, (n,).
        ids: Stable names of the samples, n.

    Returns:
        Log-probabilities (n, classes), and the temperatures that halves 0 and 1 were scaled by.

    Raises:
        ValueError: If shapes disagree, or a log-probability is NaN or +infinite.

    >>> cross_fitted(np.zeros((2, 1)), np.zeros(2, dtype=int), ["a", "b"]).temperatures  # one class: nothing to fit
    (1.0, 1.0)
    """
    table, y = np.asarray(log_p), np.asarray(labels)
    half = folds(ids)
    if half.shape != table.shape[:1] or y.shape != table.shape[:1]:
        raise ValueError(f"{len(table)} samples, {y.size} labels and {half.size} ids are not of the same samples")
    first, second = (fit_temperature(table[half != fold], y[half != fold]) for fold in (0, 1))
    return Tempered(at_temperature(table, np.where(half == 0, first, second)), (first, second))


def temperatures(log_p: NDArray[Any], labels: NDArray[Any], ids: Sequence[str]) -> Float:
    """The temperatures (2,) of both halves of ``cross_fitted``, each found on the other half.

    >>> temperatures(np.zeros((2, 1)), np.zeros(2, dtype=int), ["a", "b"]).tolist()
    [1.0, 1.0]
    """
    return np.array(cross_fitted(log_p, labels, ids).temperatures)


def tempered(log_p: NDArray[Any], own: NDArray[Any], ids: Sequence[str]) -> Float:
    """Log-probabilities (n, classes) with each half of the samples at its temperature of ``own`` (2,).

    >>> np.exp(tempered(np.log([[0.8, 0.2]]), np.array([2.0, 2.0]), ["a"])).round(6).tolist()
    [[0.666667, 0.333333]]
    """
    return at_temperature(log_p, np.asarray(own)[folds(ids)])


def at_own_temperature(log_p: NDArray[Any], own: NDArray[Any], ids: Sequence[str]) -> Float:
    """``tempered`` at temperatures that were found; one at an end of the range is none: ``NotApplicable``.

    >>> at_own_temperature(np.log([[0.8, 0.2]]), np.array([0.01, 2.0]), ["a"])
    Traceback (most recent call last):
    bench.errors.NotApplicable: no temperature fits: in one half of the samples every answer is right
    """
    if (own <= LOWEST).any():
        raise NotApplicable("no temperature fits: in one half of the samples every answer is right")
    if (own >= HIGHEST).any():
        raise NotApplicable("no temperature fits: in one half of the samples a uniform guess is better at every one")
    return tempered(log_p, own, ids)


def _finite(log_p: NDArray[Any]) -> Float:
    z = np.asarray(log_p, dtype=np.float64)
    if z.ndim != 2 or np.isnan(z).any() or np.isposinf(z).any():
        raise ValueError(f"log-probabilities of shape {z.shape}: (n, classes) without NaN or +infinity are needed")
    return np.where(np.isneginf(z), NOTHING, z)
