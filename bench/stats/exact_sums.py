"""Weighted sums that are the same on every processor, in any order: no step but the last one rounds."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float: TypeAlias = NDArray[np.float64]


def exact_parts(table: NDArray[Any]) -> Float:
    """Part each row of numbers (m, n) in two whose sums under counts do not round: (2m, n), the coarse parts first.

    The numbers of a part are multiples of one power of two, q, with ``n max|x| < 2^51 q``. Their sum under counts that
    sum to n, and every sum on the way, is then a multiple of q that float64 holds exactly, so that a matrix product
    gives it whatever its order, its threads and its instructions (Ozaki et al. 2012, doi 10.1007/s11075-011-9478-1).
    What is left of a number beside both parts is at most ``max|x| n^2 2^-102``; ``n max|x|`` is below 2^1021.

    Args:
        table: (m, n), n at least 1.

    >>> exact_parts(np.array([[1.0, 3.0]])).tolist()
    [[1.0, 3.0], [0.0, 0.0]]
    """
    values = np.asarray(table, dtype=np.float64)
    parts = np.empty((2, *values.shape))
    coarse, rest = parts
    np.copyto(rest, values)
    shift = _shift(rest)
    np.add(rest, shift, out=coarse)
    coarse -= shift
    rest -= coarse
    shift = _shift(rest)
    rest += shift
    rest -= shift
    return parts.reshape(-1, values.shape[1])


def _shift(rows: Float) -> Float:
    """Numbers (m, 1) whose last digit is worth q: adding one and taking it away rounds to multiples of q."""
    largest = np.maximum(rows.max(axis=1, keepdims=True), -rows.min(axis=1, keepdims=True))
    _, exponent = np.frexp(rows.shape[1] * largest)
    return np.asarray(np.ldexp(1.5, exponent + 1))


def add_weighted(parts: Float, weights: Float, out: Float) -> None:
    """Weighted sum of each row of (m, n), given as ``exact_parts``, under each row of weights (b, n), into (m, b).

    Under counts that sum to n each sum is rounded once, at its end; under other weights as in a matrix product.

    >>> out = np.empty((1, 2))
    >>> add_weighted(exact_parts(np.array([[1.0, 3.0]])), np.array([[1.0, 1.0], [2.0, 0.0]]), out)
    >>> out.tolist()
    [[4.0, 2.0]]
    """
    count = len(out)
    if count == 1:  # two products with a vector take half the time of one with two
        np.add(weights @ parts[0], weights @ parts[1], out=out[0])
    elif count:
        sums = parts @ weights.T
        np.add(sums[:count], sums[count:], out=out)
