"""How far rounding in float64 may push a computed norm below the true one: the relative slack that is added."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

UNIT = 2.0**-53  # unit roundoff u of float64


def svd_slack(rows: int, columns: int) -> float:
    """Relative slack of a largest singular value by LAPACK: ``max(1e-9, 4 u (rows + 2) (columns + 2))``.

    LAPACK's value is exact for a matrix A + E. Each of the r = min(rows, columns) Householder reflections from either
    side adds an error of a few u · √rows · ‖A‖₂ to E where errors are independent, and a small multiple of u · rows ·
    ‖A‖_F in the proven worst case (Higham, Accuracy and Stability of Numerical Algorithms, lemma 19.3). Errors seen
    are below 100 u; 1e-9 is 9 million u. That ``t² I − Aᴴ A`` has a Cholesky factor shows ``‖A‖₂ < t`` up to the same
    slack: product and factor have errors of at most 4 (m + 2) r u t² and 4 (r + 2) r u t² (theorem 10.3 there, complex
    arithmetic; m the larger side, r the smaller), the root halves what they add up to.

    >>> svd_slack(10, 10), svd_slack(100_000, 1_000) > 1e-9
    (1e-09, True)
    """
    return max(1e-9, 4 * UNIT * (rows + 2) * (columns + 2))


def gram_slack(rows: int, columns: int) -> float:
    """Relative slack of a Gram iteration: ``max(1e-6, 8 u · rows · columns)``.

    A product of matrices of Frobenius norm 1 has an error of at most γ = 4 (m + 2) u in that norm, m its inner
    dimension. Its largest singular value is at least 1/r, so each step changes it by a factor of at most 1 + γ r; the
    roots that are taken afterwards make the factors of all steps together at most 1 + γ r.

    >>> gram_slack(64, 64)
    1e-06
    """
    return max(1e-6, 8 * UNIT * (rows + 2) * (columns + 2))


def sum_slack(terms: int) -> float:
    """Relative slack of a sum of so many non-negative terms, each of a few roundings: ``2 u (terms + 8)``.

    >>> sum_slack(8) < 1e-14
    True
    """
    return 2 * UNIT * (terms + 8)


def outward(value: float, slack: float, absolute: float = 0.0) -> float:
    """A number at or above ``value · (1 + slack) + absolute``; 0 stays 0 where nothing is added.

    >>> outward(1.0, 0.0) > 1.0, outward(0.0, 1e-9)
    (True, 0.0)
    """
    raised = value * (1 + slack) + absolute
    return float(np.nextafter(raised, inf)) if raised > 0 else 0.0


def inward(value: float, slack: float) -> float:
    """A number at or below ``value · (1 − slack)``, never below 0.

    >>> inward(1.0, 1e-9) < 1.0
    True
    """
    return max(0.0, float(np.nextafter(value * (1 - slack), -inf)))


def finite_array(values: Any, where: str) -> Float:
    """The values in float64.

    Raises:
        ValueError: there are none, or one is NaN, infinite or complex.

    >>> finite_array([1, 2], "weight").tolist()
    [1.0, 2.0]
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{where}: an array of {array.dtype}; real numbers are needed")
    array = array.astype(np.float64)
    if not array.size:
        raise ValueError(f"{where}: an array of shape {array.shape}; at least one number is needed")
    if not np.isfinite(array).all():
        raise ValueError(f"{where}: {int((~np.isfinite(array)).sum())} of {array.size} numbers are NaN or infinite")
    return array


def scaled(matrices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Matrices (n, rows, columns), each over a power of two just above its largest entry, and the exponents (n,).

    Exact but for what is 300 orders of magnitude below the largest entry; no square overflows.

    >>> units, exponents = scaled(np.array([[[3e300]], [[3e-300]]]))
    >>> units.ravel().round(3).tolist(), exponents.tolist()
    ([0.56, 0.502], [999, -994])
    """
    exponents = np.frexp(np.abs(matrices).max(axis=(1, 2)))[1].astype(np.int64)
    halves = exponents // 2  # in two factors: 2^−e itself may overflow
    first, second = np.ldexp(1.0, -halves), np.ldexp(1.0, halves - exponents)
    return matrices * first[:, None, None] * second[:, None, None], exponents
