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

    Pixels at which both maps are exactly zero carry no order and are left out: those that equal the baseline, say.
    Other ties share their mean rank. Both maps constant on what is left: 0. One constant: 1, as for unrelated orders.

    >>> spearman_distance(np.array([[1.0, 2.0, 3.0, 0.0]]), np.array([[30.0, 20.0, 10.0, 0.0]])).round(12).tolist()
    [2.0]
    """
    from scipy.stats import rankdata

    first, second = _flat(a), _flat(b)
    blank = (first == 0) & (second == 0)
    count = (~blank).sum(axis=1, keepdims=True)
    ranks = []
    for maps in (first, second):
        order = rankdata(np.where(blank, np.inf, maps), axis=1)  # what is left out ranks behind all else
        ranks.append(np.where(blank, 0.0, order - 0.5 * (count + 1)))
    return _one_minus_cosine(*ranks)


def top_k_jaccard_distance(a: NDArray[Any], b: NDArray[Any], share: float) -> Float:
    """``1 − |A ∩ B| / |A ∪ B|`` of the pixels of largest magnitude in two maps (n, ...): (n,), from 0 to 1.

    A and B are the ``share`` of pixels with the largest absolute values, one at least; channels count as pixels of
    their own. Of pixels that tie for the last places each counts with the same part of a place, so that no order of
    pixels matters: the sums of smaller and of larger memberships take the places of the two set sizes (Ruzicka's
    form of Jaccard). Unrelated maps of equal magnitudes have ``1 − share / (2 − share)`` on average, other maps less.

    Args:
        a: maps (n, ...).
        b: maps of the same shape.
        share: of the pixels, in (0, 1].

    >>> a, b = np.array([[4.0, -3.0, 2.0, 1.0]]), np.array([[4.0, 1.0, 2.0, -3.0]])
    >>> top_k_jaccard_distance(a, b, share=0.5).round(6).tolist()  # {0, 1} and {0, 3}: one of three
    [0.666667]
    """
    first, second = (_membership(_flat(maps), share) for maps in (a, b))
    return np.asarray(1.0 - np.minimum(first, second).sum(axis=1) / np.maximum(first, second).sum(axis=1))


def _membership(maps: Float, share: float) -> Float:
    """How far each pixel belongs to the largest ones, (n, d) from 0 to 1; k a row altogether."""
    size = np.abs(maps)
    k = max(1, round(share * size.shape[1]))
    last = -np.partition(-size, k - 1, axis=1)[:, k - 1 : k]
    above, tied = size > last, size == last
    part = (k - above.sum(axis=1, keepdims=True)) / tied.sum(axis=1, keepdims=True)
    return np.asarray(above + tied * part)


def sign_disagreement(a: NDArray[Any], b: NDArray[Any]) -> Float:
    """The share of attribution whose sign differs between two maps (n, ...): (n,), from 0 to 1.

    ``Σ_i w_i [sign a_i ≠ sign b_i] / Σ_i w_i`` with ``w_i = |a_i| / Σ|a| + |b_i| / Σ|b|``: pixels count as much as they
    matter, since the sign of what is nearly zero is noise. Zero has a sign of its own. Both maps zero: 0.

    >>> sign_disagreement(np.array([[3.0, -1.0]]), np.array([[3.0, 1.0]])).tolist()
    [0.25]
    """
    first, second = (_share_of_magnitude(_flat(maps)) for maps in (a, b))
    weight = first + second
    total = weight.sum(axis=1)
    differs = np.sign(_flat(a)) != np.sign(_flat(b))
    return np.asarray((weight * differs).sum(axis=1) / np.where(total > 0, total, 1.0))


def _share_of_magnitude(maps: Float) -> Float:
    size = np.abs(maps)
    total = size.sum(axis=1, keepdims=True)
    return np.asarray(size / np.where(total > 0, total, 1.0))
