"""Figures of single samples from class probabilities: the class, whether it is right, how sure the network is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def correct(log_p: Float, labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """1 where the most probable class is the label, else 0: (n, classes) and (n,) to (n,); ties go to the first class.

    >>> correct(np.log([[0.25, 0.75], [0.5, 0.5]]), np.array([1, 1])).tolist()
    [1, 0]
    """
    return np.asarray(log_p.argmax(axis=1) == labels, dtype=np.uint8)


def top_probability(log_p: Float) -> Float:
    """Probability of the most probable class: (n, classes) to (n,), from 1 / classes to 1.

    >>> top_probability(np.log([[0.25, 0.75]])).round(6).tolist()
    [0.75]
    """
    return np.asarray(np.exp(log_p.max(axis=1)))


def absolute_difference(a: NDArray[Any], b: NDArray[Any]) -> Float:
    """``|a − b|`` sample by sample: (n,) each to (n,).

    >>> absolute_difference(np.array([0.5]), np.array([0.75])).tolist()
    [0.25]
    """
    return np.asarray(np.abs(a - b), dtype=np.float64)


def differ(a: NDArray[Any], b: NDArray[Any]) -> Float:
    """1 where two verdicts differ, else 0: (n,) each to (n,).

    >>> differ(np.array([1, 0]), np.array([1, 1])).tolist()
    [0.0, 1.0]
    """
    return np.asarray(a != b, dtype=np.float64)


def complement(events: NDArray[Any]) -> Float:
    """``1 − x`` of events of 0 and 1: (n,) to (n,).

    >>> complement(np.array([1, 0])).tolist()
    [0.0, 1.0]
    """
    return np.asarray(1.0 - events.astype(np.float64))


def too_few_errors(errors: float, samples: float, needed: int = 10, among: str = "samples") -> str:
    """Why a network's errors are too few to say what they depend on; empty where there are enough.

    >>> too_few_errors(1, 3), too_few_errors(10, 10)
    ('underpowered: 1 error in 3 samples, 10 are needed', '')
    """
    counted = f"{errors:.4g} error{'' if errors == 1 else 's'} in {samples:.4g} {among}"
    return "" if errors >= needed else f"underpowered: {counted}, {needed} are needed"


def errors_of(right: NDArray[Any]) -> int:
    """How many answers are wrong: (n,) of 0 and 1.

    >>> errors_of(np.array([1, 1, 0]))
    1
    """
    return len(right) - int(np.count_nonzero(right))
