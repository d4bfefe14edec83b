"""The largest spectral norm among many matrices, each measured in the way that costs least."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs
from scipy.sparse.linalg import ArpackError, eigsh

from bench.functional.lipschitz.layer_norms.gram import gram_bounds
from bench.functional.lipschitz.layer_norms.rounding import inward, outward, scaled, svd_slack
from bench.stats.blas_threads import one_thread

SVD_OF_ALL = 24  # a smaller side up to this: SVD of all matrices costs less than to sieve them
SVD_OF_ONE = 1024  # a smaller side above this: a Cholesky factor costs less than an SVD
WIDE_SLACK = 1e-6  # relative, of an eigenvalue that a Cholesky factor confirms
GRAM_STEPS = 20


class Ends(NamedTuple):
    """An upper and a lower end of the largest spectral norm, and how they were found."""

    upper: float
    lower: float
    rule: str


def largest_norm(matrices: NDArray[Any], floor: float = 0.0) -> Ends:
    """Ends of the largest spectral norm of matrices (n, rows, columns), or of ``floor`` where all stay below it.

    A matrix with r, the smaller side, up to 1,024: SVD (r = 1: its Euclidean length). Larger: the largest eigenvalue
    of its Gram matrix by Lanczos iteration, raised by 1e-6 and confirmed by a Cholesky factor; where that fails, 20
    steps of Gram iteration (at most r^{2^−21} ≈ 1 + 5e-6 times the norm). Of many matrices with r > 24 the one that
    power steps put first is measured, and then those alone that a Cholesky factor cannot put below the largest so far:
    ``‖A‖₂ < t`` if ``t² I − Aᴴ A`` has one. Measured on one core with 32 to 256 rows: half to all of the time of the
    SVDs alone; a Gram step costs a fifth of an SVD, so that five of them, looser still, save nothing.

    Args:
        matrices: Real or complex, finite.
        floor: A lower end known already.

    >>> ends = largest_norm(np.array([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [0.0, 0.0]]]))
    >>> round(ends.upper, 6), ends.lower <= 3.0 <= ends.upper, ends.rule
    (3.0, True, 'SVD')
    """
    number, rows, columns = matrices.shape
    with one_thread():
        if number == 1 or min(rows, columns) <= SVD_OF_ALL:
            return _measured(matrices, floor)
        return _sieved(matrices, floor)


def _sieved(matrices: NDArray[Any], floor: float) -> Ends:
    """Measure each matrix that a Cholesky factor cannot put below the best lower end so far, the likeliest first."""
    units, exponents = scaled(matrices.reshape(1, -1, matrices.shape[2]))  # all by one power of two
    grams, exponent = _gram(units.reshape(matrices.shape)), int(exponents[0])
    ends = Ends(floor, floor, "SVD")
    for number in _likeliest_first(grams):
        bound = float(np.ldexp(ends.lower, -exponent)) ** 2
        if ends.upper == 0 or not _below(grams[number], bound):
            found = _measured(matrices[[number]], ends.lower)
            ends = Ends(max(ends.upper, found.upper), found.lower, found.rule)
    return ends


def _measured(matrices: NDArray[Any], floor: float) -> Ends:
    rows, columns = matrices.shape[1:]
    if min(rows, columns) > SVD_OF_ONE:
        found = [_wide(matrix) for matrix in matrices]
        upper, lower = max(ends.upper for ends in found), max(ends.lower for ends in found)
        return Ends(max(floor, upper), max(floor, lower), max(ends.rule for ends in found))
    units, exponents = scaled(matrices)
    if min(rows, columns) == 1:
        values = np.linalg.norm(units, axis=(1, 2))
    else:
        values = np.linalg.svd(units, compute_uv=False)[:, 0]
    largest, slack = float(np.ldexp(values, exponents).max()), svd_slack(rows, columns)
    return Ends(max(floor, outward(largest, slack)), max(floor, inward(largest, slack)), "SVD")


def _wide(matrix: NDArray[Any]) -> Ends:
    units, exponents = scaled(matrix[None])
    gram, exponent = _gram(units)[0], int(exponents[0])
    try:
        value = float(eigsh(gram, k=1, v0=gram[:, gram.diagonal().real.argmax()], return_eigenvectors=False)[0].real)
    except ArpackError:
        value = 0.0
    slack = svd_slack(*matrix.shape)
    if value > 0 and _below(gram, value * (1 + WIDE_SLACK) ** 2):
        size = float(np.ldexp(value**0.5, exponent))
        return Ends(outward(size * (1 + WIDE_SLACK), slack), inward(size, slack), "Lanczos and Cholesky")
    upper, lower = gram_bounds(matrix[None], GRAM_STEPS)
    return Ends(outward(float(upper[0]), 0.0), float(lower[0]), "Gram iteration")


def _below(gram: NDArray[Any], bound: float) -> bool:
    """Whether ``bound · I − gram`` has a Cholesky factor: no eigenvalue of the Gram matrix exceeds the bound."""
    rest = -gram
    rest.flat[:: len(gram) + 1] += bound
    return bool(get_lapack_funcs("potrf", (rest,))(rest.T, overwrite_a=True, clean=False)[1] == 0)


def _likeliest_first(grams: NDArray[Any]) -> NDArray[np.int64]:
    """The Gram matrices by their values after three power steps from their largest columns, falling."""
    columns = np.einsum("nii->ni", grams).real.argmax(axis=1)
    v = grams[np.arange(len(grams)), :, columns][:, :, None]
    for _ in range(3):
        lengths = np.linalg.norm(v, axis=1, keepdims=True)
        v = grams @ (v / np.where(lengths > 0, lengths, 1.0))
    return np.argsort(-np.linalg.norm(v, axis=(1, 2)), kind="stable")


def _gram(matrices: NDArray[Any]) -> NDArray[Any]:
    adjoint = matrices.conj().transpose(0, 2, 1)
    return np.asarray(adjoint @ matrices if matrices.shape[1] >= matrices.shape[2] else matrices @ adjoint)
