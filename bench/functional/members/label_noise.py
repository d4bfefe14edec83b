"""Symmetric label noise, and the predictor that knows it: the yardstick of aleatoric uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.streams import generator

Float = NDArray[np.float64]


def bayes_probabilities(labels: NDArray[Any], classes: int, rate: float) -> Float:
    """Probabilities of the noisy label given the clean one: labels (n,) to (n, classes).

    ``1 − r`` for the clean class, ``r / (C − 1)`` for each other: r is the share of labels that are wrong, spread
    evenly over the wrong classes. (Not the convention that draws a label anew from all C classes, of which r/C stay
    right.) Where the input tells the clean class, no predictor has a lower expected NLL on noisy labels.

    Raises:
        ValueError: If there are fewer than two classes, a label is no class, or the rate is not from 0 to
            ``(C − 1) / C``, at which labels say nothing.

    >>> bayes_probabilities(np.array([0]), 5, 0.2).round(6).tolist()
    [[0.8, 0.05, 0.05, 0.05, 0.05]]
    """
    y = _checked(labels, classes, rate)
    table = np.full((len(y), classes), rate / (classes - 1))
    table[np.arange(len(y)), y] = 1.0 - rate
    return table


def noise_entropy(classes: int, rate: float) -> float:
    """Entropy of ``bayes_probabilities``, nats: the aleatoric uncertainty of every sample, from 0 to log C.

    ``−(1 − r) log (1 − r) − r log (r / (C − 1))``.

    >>> [round(noise_entropy(10, rate), 3) for rate in (0.1, 0.2, 0.4, 0.9)]
    [0.545, 0.94, 1.552, 2.303]
    """
    _checked(np.zeros(0, dtype=np.int64), classes, rate)
    return sum(p * log(1 / q) for p, q in ((1.0 - rate, 1.0 - rate), (rate, rate / (classes - 1))) if p > 0)


def noisy_labels(labels: NDArray[Any], classes: int, rate: float, ids: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Labels (n,) of which each is wrong with probability ``rate``, then any of the wrong classes alike.

    A sample's label depends on its id, the seed and its clean label alone. A sample that is wrong at one rate is
    wrong, and of the same class, at every higher one.

    Raises:
        ValueError: as ``bayes_probabilities``; or ids and labels differ in number.

    >>> noisy_labels(np.array([0, 1]), 3, 0.0, ["a", "b"], seed=0).tolist()
    [0, 1]
    """
    y = _checked(labels, classes, rate)
    if len(ids) != len(y):
        raise ValueError(f"{len(y)} labels and {len(ids)} ids are not of the same samples")
    noisy = y.copy()
    for i, name in enumerate(ids):
        random = generator("label noise", seed, name)
        wrong = random.random() < rate
        shift = int(random.integers(1, classes))
        if wrong:
            noisy[i] = (y[i] + shift) % classes
    return noisy


def _checked(labels: NDArray[Any], classes: int, rate: float) -> NDArray[np.int64]:
    y = np.asarray(labels)
    if classes < 2 or not 0.0 <= rate <= (classes - 1) / classes:
        raise ValueError(f"rate {rate} with {classes} classes: from 0 to (C - 1) / C, of at least two, is needed")
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer) or (y.size and not 0 <= y.min() <= y.max() < classes):
        raise ValueError(f"labels {y.dtype} {y.shape}: integers (n,) from 0 to {classes - 1} are needed")
    return y.astype(np.int64)
