"""Distances of two maps: cosine and rank correlation, with their degenerate cases settled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def _flat(maps: NDArray[Any]) -> Float:
    return maps.reshape(maps.shape[0], -1).astype(np.float64)


def all_zero(maps: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether a map (n, ...) is zero everywhere: (n,).

    >>> all_zero(np.array([[0.0, 0.0], [0.0, 1.0]])).tolist()
    [True, False]
    """
    return np.asarray((maps.reshape(maps.shape[0], -1) == 0).all(axis=1))


def _unit(vectors: Float) -> tuple[Float, NDArray[np.bool_]]:
    """Unit vectors (n, d), and which of them were zero."""
    scale = np.abs(vectors).max(axis=1, keepdims=True)
    zero = scale[:, 0] == 0
    scaled = vectors / np.where(scale > 0, scale, 1.0)
    norm = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(norm > 0, norm, 1.0)), np.asarray(zero)


def _one_minus_cosine(a: Float, b: Float) -> Float:
    # ½‖u − v‖² = 1 − u·v for unit vectors, without the cancellation near 0
    u, zero_a = _unit(a)
    v, zero_b = _unit(b)
    distance = 0.5 * ((u - v) ** 2).sum(axis=1)
    return np.asarray(np.where(zero_a & zero_b, 0.0, np.where(zero_a | zero_b, 1.0, distance)))


def cosine_distance(a: NDArray[Any], b: NDArray[Any]) -> Float:
    """``1 − cos`` of two maps (n, ...): (n,), from 0 (same direction) to 2 (opposite).

    Both zero: 0. One zero: 1, as for orthogonal maps.

    >>> cosine_distance(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 2.0], [0.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    return _one_minus_cosine(_flat(a), _flat(b))


def spearman_distance(a: NDArray[Any], b: NDArray[Any]) -> Float:
    """``1 − Spearman`` of two maps (n, ...) by their signed values: (n,), from 0 (same order) to 2 (reversed).

    Tied pixels share their mean rank. Both maps constant: 0. One constant: 1, as for unrelated orders.

    >>> spearman_distance(np.array([[1.0, 2.0, 3.0]]), np.array([[30.0, 20.0, 10.0]])).round(12).tolist()
    [2.0]
    """
    from scipy.stats import rankdata

    ranks_a, ranks_b = (rankdata(_flat(maps), axis=1) for maps in (a, b))
    middle = 0.5 * (ranks_a.shape[1] + 1)
    return _one_minus_cosine(ranks_a - middle, ranks_b - middle)
