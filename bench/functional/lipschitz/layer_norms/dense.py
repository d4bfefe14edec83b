"""Norms of a dense layer ``x ↦ W x + b``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.functional.lipschitz.certificate import LayerNorm
from bench.functional.lipschitz.layer_norms.largest_norm import largest_norm
from bench.functional.lipschitz.layer_norms.rounding import finite_array, inward, outward, sum_slack

Float = NDArray[np.float64]


def dense_l2(weight: Any, layer: str = "dense") -> LayerNorm:
    """The spectral norm ``‖W‖₂ = σmax(W)`` of a matrix (rows, columns), between two ends.

    By SVD up to a smaller side of 1,024, raised by ``svd_slack``; see ``largest_norm`` for wider ones (raised by 1e-6).
    Range [0, ∞); smaller is smoother.

    Raises:
        ValueError: it is no matrix, or a number is NaN or infinite.

    >>> norm = dense_l2(np.array([[3.0, 0.0], [4.0, 0.0]]))
    >>> norm.lower <= 5.0 <= norm.upper, round(norm.upper, 6), norm.rule
    (True, 5.0, 'SVD')
    """
    found = largest_norm(_matrix(weight, layer)[None])
    return LayerNorm(layer, found.upper, found.rule, found.lower)


def dense_linf(weight: Any, layer: str = "dense") -> LayerNorm:
    """The norm from l_∞ to l_∞, the largest absolute row sum ``max_i Σ_j |W_ij|``: exact up to ``sum_slack``.

    Raises:
        ValueError: it is no matrix, or a number is NaN or infinite.

    >>> norm = dense_linf(np.array([[3.0, -1.0], [2.0, 0.5]]))
    >>> norm.lower <= 4.0 <= norm.upper, round(norm.upper, 9)
    (True, 4.0)
    """
    matrix = _matrix(weight, layer)
    largest, slack = float(np.abs(matrix).sum(axis=1).max()), sum_slack(matrix.shape[1])
    return LayerNorm(layer, outward(largest, slack), "row sums", inward(largest, slack))


def _matrix(weight: Any, layer: str) -> Float:
    matrix = finite_array(weight, layer)
    if matrix.ndim != 2:
        raise ValueError(f"{layer}: a weight of shape {matrix.shape}; a matrix (rows, columns) is needed")
    return matrix
