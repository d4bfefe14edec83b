"""Gram iteration: both ends of spectral norms by matrix products alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.functional.lipschitz.layer_norms.rounding import gram_slack, scaled

Float = NDArray[np.float64]


def gram_bounds(matrices: NDArray[Any], steps: int) -> tuple[Float, Float]:
    """Upper and lower ends of the spectral norm of each matrix (n, rows, columns): (n,) twice, slack included.

    ``G_0 = A / ‖A‖_F, ℓ_0 = log ‖A‖_F; ℓ_{t+1} = 2 ℓ_t + log ‖G_tᴴ G_t‖_F, G_{t+1} = G_tᴴ G_t / ‖G_tᴴ G_t‖_F``. Then
    ``‖A‖₂ = (e^{ℓ_t} ‖G_t‖₂)^{2^−t} ≤ e^{ℓ_t / 2^t}``, at most r^{2^−(t+1)} times the norm, r the smaller side; from
    below ``‖G_t‖₂ ≥ ‖G_t‖_F² / tr G_t`` for t ≥ 1. In logarithms, since e^ℓ overflows (arXiv 2305.16173).

    Args:
        matrices: Real or complex, finite.
        steps: t, at least 1. Each squares the matrix.

    Raises:
        ValueError: there is less than one step.

    >>> upper, lower = gram_bounds(np.diag([2.0, 1.0])[None], steps=2)  # 2 · (1 + 2^−8)^(1/8)
    >>> bool(lower[0] <= 2.0 <= upper[0]), round(float(upper[0]), 5)
    (True, 2.00098)
    """
    if steps < 1:
        raise ValueError(f"{steps} Gram steps; at least 1 is needed")
    rows, columns = matrices.shape[1:]
    g, exponents = scaled(matrices)
    g = g if rows >= columns else _adjoint(g)
    sizes = np.linalg.norm(g, axis=(1, 2))
    zero = sizes == 0
    sizes[zero] = 1.0
    g, logs = g / sizes[:, None, None], np.log(sizes)
    for _ in range(steps):
        g = _adjoint(g) @ g
        sizes = np.where(zero, 1.0, np.linalg.norm(g, axis=(1, 2)))
        g, logs = g / sizes[:, None, None], 2 * logs + np.log(sizes)
    traces = np.where(zero, 1.0, np.trace(g, axis1=1, axis2=2).real)
    slack = gram_slack(rows, columns)
    upper = np.ldexp(np.exp(logs / 2.0**steps) * (1 + slack), exponents)
    lower = np.ldexp(np.exp((logs - np.log(traces)) / 2.0**steps) * (1 - slack), exponents)
    return np.where(zero, 0.0, upper), np.where(zero, 0.0, lower)


def _adjoint(matrices: NDArray[Any]) -> NDArray[Any]:
    return matrices.conj().transpose(0, 2, 1)
