"""Matrix facts that hold although they are computed in float64: each is proved by the arithmetic that finds it.

Three rules carry every proof, with u = 2⁻⁵³:

- a product of inner length k, summed in any order, is off by at most ``γ_k |A||B|`` entry by entry,
  ``γ_k = k u / (1 − k u)`` (Higham 2002, section 3.5);
- a symmetric E with ``|E| ≤ N`` entry by entry obeys ``E ⪯ diag(N 1)``, for ``diag(N 1) − E`` is diagonally dominant;
- a Cholesky factorisation that runs to its end has factored a matrix within ``γ_{n+1}/(1 − γ_{n+1}) · trace`` of the
  one given, in spectral norm, so one that succeeds on ``A − c I`` with c above it proves ``A ≻ 0``
  (Rump 2006, Verification of positive definiteness, BIT 46).

``gamma`` is twice the textbook constant: kernels multiply by reciprocals, and sums of bounds round too.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri

from bench.functional.lipschitz.chain import Float

UNIT = 2.0**-53
UNDERFLOW = 1e-290  # added where products of tiny numbers may have vanished


def gamma(k: int) -> float:
    """A relative error that k roundings in a row stay below, twice over.

    >>> gamma(10) > 10 * 2.0**-53
    True
    """
    return 2 * k * UNIT / (1 - 2 * k * UNIT)


def raised(matrix: Float, error: Float) -> Float:
    """A symmetric matrix ⪰ all those that differ from ``matrix`` by E with ``|E| 1 ≤ error``, entry by entry.

    Args:
        matrix: (n, n), symmetric up to rounding that ``error`` covers.
        error: row sums of the entrywise error, (n,).
    """
    above = (matrix + matrix.T) / 2
    diagonal = np.diagonal(above)
    lift = error * (1 + 8 * UNIT) + 4 * UNIT * np.abs(diagonal) + UNDERFLOW
    np.fill_diagonal(above, diagonal + lift)
    return above


def factor_below(matrix: Float) -> Float | None:
    """Lower triangular R with ``R Rᵀ ⪯ matrix``, which is thereby positive definite; None where none was found.

    >>> factor_below(np.array([[4.0]])).round(9), factor_below(np.array([[0.0]])) is None
    (array([[2.]]), True)
    """
    n = len(matrix)
    diagonal = np.diagonal(matrix)
    if not np.isfinite(matrix).all() or (diagonal <= 0).any():
        return None
    shift = 2 * gamma(n + 3) * float(diagonal.sum()) + UNDERFLOW
    lowered = matrix.copy()
    np.fill_diagonal(lowered, diagonal - shift - 4 * UNIT * diagonal)
    factor, info = dpotrf(lowered, lower=1, clean=1)
    return factor if info == 0 and np.isfinite(factor).all() else None


def inverse_factor(matrix: Float) -> tuple[Float, float] | None:
    """T and c with ``matrix⁻¹ ⪯ c Tᵀ T``; None where ``matrix`` is not proved positive definite.

    With R of ``factor_below``, T near R⁻¹ and ``T R = I + Δ``: ``matrix⁻¹ ⪯ R⁻ᵀ R⁻¹ ⪯ Tᵀ T / (1 − ‖Δ‖)²``. The loss
    is a factor near ``1 + n u √κ`` only, κ the condition number.
    """
    factor = factor_below(matrix)
    if factor is None:
        return None
    inverse, info = dtrtri(factor, lower=1)
    if info != 0 or not np.isfinite(inverse).all():
        return None
    n = len(matrix)
    residual = np.abs(inverse @ factor - np.eye(n)) + gamma(n + 2) * (np.abs(inverse) @ np.abs(factor))
    off = math.sqrt(residual.sum(axis=0).max() * residual.sum(axis=1).max()) * (1 + gamma(n + 4))
    return (inverse, (1 + 16 * UNIT) / (1 - off) ** 2) if off < 0.5 else None


def top_eigenvalue(matrix: Float) -> float:
    """An upper end of the largest eigenvalue of a symmetric matrix ⪰ 0, proved by ``c I − matrix ≻ 0``.

    >>> 2.0 <= top_eigenvalue(np.diag([1.0, 2.0])) < 2.0 + 1e-12
    True
    """
    n = len(matrix)
    certain = float(np.abs(matrix).sum(axis=1).max(initial=0.0)) * (1 + gamma(n + 2))  # Gershgorin
    if not math.isfinite(certain) or certain == 0:
        return certain
    found = float(np.linalg.eigvalsh(matrix)[-1])
    margin = 8 * gamma(n + 8) * n
    while (above := found + margin * abs(found)) < certain:
        rest = -matrix
        np.fill_diagonal(rest, (above - np.diagonal(matrix)) * (1 - 4 * UNIT) - 4 * UNIT * above)
        if factor_below(rest) is not None:
            return above
        margin *= 8
    return certain


def spectral_norm(matrix: Float, error: float = 0.0) -> float:
    """An upper end of ``‖M‖₂``, for each M within ``error`` of ``matrix``, by the Gram matrix of the shorter side.

    >>> 5.0 <= spectral_norm(np.array([[3.0, 4.0]])) < 5.0 + 1e-12
    True
    """
    largest = float(np.abs(matrix).max(initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest + error
    power = math.frexp(largest)[1]
    scaled = np.ldexp(matrix, -power)  # no square overflows or vanishes
    if len(scaled) > scaled.shape[1]:
        scaled = scaled.T
    size = np.abs(scaled)
    gram = raised(scaled @ scaled.T, gamma(scaled.shape[1] + 2) * (size @ size.sum(axis=0)))
    root = math.sqrt(top_eigenvalue(gram)) * (1 + 8 * UNIT)
    return (float(np.ldexp(root, power)) + error) * (1 + 4 * UNIT)


def row_sum_norm(matrix: Float, error: float = 0.0) -> float:
    """An upper end of ``‖M‖∞``, the largest sum of magnitudes of a row, for each M within ``error``.

    >>> 7.0 <= row_sum_norm(np.array([[3.0, -4.0], [1.0, 1.0]])) < 7.0 + 1e-12
    True
    """
    rows = np.abs(matrix).sum(axis=1)
    return (float(rows.max(initial=0.0)) * (1 + gamma(matrix.shape[1] + 2)) + error) * (1 + 4 * UNIT)
