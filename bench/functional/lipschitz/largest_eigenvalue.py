"""A proven upper end of the largest eigenvalue of a Gram matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.blas_threads import one_thread

UNIT = float(np.finfo(np.float64).eps) / 2


def largest_eigenvalue(gram: NDArray[Any]) -> float:
    """An upper bound of the largest eigenvalue of a symmetric positive semidefinite matrix (n, n), a hair above it.

    A guess μ by Lanczos is proven by Cholesky: where ``(1 + 1e-9) μ I − G`` has a factor in floating point, no
    eigenvalue of G exceeds it by more than ``(n + 2)² u μ`` (backward error of the factor; Higham 2002, Theorem 10.3).
    μ grows until that succeeds. What G itself was rounded by is the caller's.

    Raises:
        ValueError: an entry is not finite.

    >>> round(largest_eigenvalue(np.array([[2.0, 1.0], [1.0, 2.0]])), 6)
    3.0
    """
    matrix = np.asarray(gram, dtype=np.float64)
    if not np.isfinite(matrix).all():
        raise ValueError("a Gram matrix with entries that are not finite")
    scale = float(np.trace(matrix))
    if scale <= 0.0:
        return 0.0
    matrix = (matrix + matrix.T) / (2.0 * scale)
    n = len(matrix)
    with one_thread():
        guess, step = _guess(matrix), 1e-9
        while True:
            bound = guess * (1.0 + step)
            if _definite(bound * np.eye(n) - matrix):
                return scale * bound * (1.0 + 2.0 * (n + 2) ** 2 * UNIT)
            step *= 4.0


def _guess(matrix: NDArray[np.float64]) -> float:
    if len(matrix) < 64:
        return float(np.linalg.eigvalsh(matrix)[-1])
    from scipy.sparse.linalg import eigsh

    start = np.sqrt(np.diag(matrix) + 1e-300)
    return float(eigsh(matrix, k=1, which="LA", v0=start, return_eigenvectors=False, tol=1e-12)[0])


def _definite(matrix: NDArray[np.float64]) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True
