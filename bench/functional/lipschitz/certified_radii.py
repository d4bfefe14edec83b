"""Radii within which a network surely keeps its answer, from margins and constants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def certified_radii(logits: Float, constants: Float) -> Float:
    """The l2 radius around each sample in which its most probable class surely stays: logits (n, classes) to (n,).

    ``min_{j ≠ y} (z_y − z_j) / L_yj``; 0 where two logits tie. In the units of the input.

    >>> certified_radii(np.array([[5.0, 1.0]]), np.array([[0.0, 2.0], [2.0, 0.0]])).tolist()
    [2.0]
    """
    n, classes = logits.shape
    top = logits.argmax(axis=1)
    margins = logits[np.arange(n), top][:, None] - logits
    rates = constants[top]
    with np.errstate(divide="ignore", invalid="ignore"):
        radii = np.where(rates > 0, margins / rates, np.inf)
    radii[np.arange(n), top] = np.inf
    return np.asarray(radii.min(axis=1) if classes > 1 else np.full(n, np.inf))


def contradicted(radii: Float, distances: Float) -> NDArray[np.int64]:
    """Samples at which an input of another class was found within the certified radius, which proves one of both wrong.

    For every attack to hold its findings to: there are none unless a bound, an attack or the arithmetic is at fault.

    Args:
        radii: certified, (n,), l2 in the units of the input.
        distances: of the nearest input found with another class than the network gives the sample, (n,); inf: none.

    >>> contradicted(np.array([0.2, 0.3]), np.array([0.25, 0.25])).tolist()
    [1]
    """
    return np.flatnonzero(np.asarray(distances) < np.asarray(radii))
