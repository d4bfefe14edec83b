"""LipSDP-Neuron through CVXPY and Clarabel: an anchor for small chains, its multipliers certified by the recursion."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from bench.errors import MissingExtra
from bench.functional.lipschitz.certificate import LipschitzBound, best
from bench.functional.lipschitz.chain import DenseChain, Float
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast, fast_scales
from bench.functional.lipschitz.chain_bounds.recursion import certificate

NARROWEST = 1e-3  # of the slopes that the solver sees; the certificate takes the true ones


def lipsdp_neuron(chain: DenseChain, *, time_limit: float | None = None, **settings: Any) -> LipschitzBound:
    """An upper bound on the global l2 constant by LipSDP-Neuron, for chains of up to about 150 neurons.

    ``min ρ`` over ``T_i = diag ⪰ 0`` so that the block-tridiagonal matrix is ⪰ 0: on the diagonal
    ``ρ I + W_1ᵀ(αβT_1)W_1, T_i + W_{i+1}ᵀ(αβT_{i+1})W_{i+1}, T_l − W_{l+1}ᵀW_{l+1}``, beside it ``−½ (α + β) T_i W_i``.
    The solver's answer is a start only: its multipliers pass through `recursion`, so nothing depends on its accuracy.

    Args:
        chain: l hidden layers; a long input is replaced by its thin SVD, a long output by its R factor.
        time_limit: seconds for the solver.
        settings: further settings of Clarabel, as ``max_iter``.

    Raises:
        MissingExtra: cvxpy or clarabel is not installed.

    Source: Fazlyab, Robey, Hassani, Morari, Pappas 2019, arXiv 1902.04675.
    """
    try:
        import clarabel  # noqa: F401
        import cvxpy
    except ImportError as error:
        raise MissingExtra(error.name or "cvxpy", "sdp") from None
    started = time.perf_counter()
    fast = eclipse_fast(chain)
    if chain.depth == 0:
        return replace(fast, method="lipsdp-neuron", note="a single matrix: its norm")
    bound = cvxpy.Variable(nonneg=True)
    multipliers = [cvxpy.Variable(n, nonneg=True) for n in chain.widths[1:-1]]
    slopes = [_widened(activation.alpha, activation.beta) for activation in chain.activations]
    size, gauge = _sizes(chain)
    blocks = _blocks(cvxpy, size, slopes, multipliers, bound)
    problem = cvxpy.Problem(cvxpy.Minimize(bound), [cvxpy.bmat(blocks) >> 0])
    if time_limit is not None:
        settings["time_limit"] = time_limit
    note = _solve(cvxpy, problem, settings)
    if bound.value is None or any(part.value is None for part in multipliers):
        found, note = fast, f"{note}: ECLipsE-Fast stands in"
    else:
        scales = _scales(chain, slopes, [part.value / max(bound.value, 1e-300) for part in multipliers], gauge)
        found = best([certificate(chain, scales), fast]) or fast
    return replace(found, method="lipsdp-neuron", seconds=time.perf_counter() - started, note=note)


def _solve(cvxpy: Any, problem: Any, settings: dict[str, Any]) -> str:
    """Run the solver; what a reader must know of how it ended."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an inaccurate answer is in the status
        try:
            problem.solve(solver=cvxpy.CLARABEL, **settings)
        except cvxpy.error.SolverError as error:
            return f"the solver failed ({error})"
    return "" if problem.status == "optimal" else f"the solver stopped early ({problem.status})"


def _sizes(chain: DenseChain) -> tuple[list[Float], list[float]]:
    """Matrices with short ends, each divided so that its norm is 1, and what each layer's scales must be times."""
    weights: list[Any] = list(chain.weights)
    if weights[0].shape[1] > len(weights[0]):
        left, values, _ = np.linalg.svd(weights[0], full_matrices=False)
        weights[0] = left * values
    if len(weights[-1]) > weights[-1].shape[1]:
        weights[-1] = np.linalg.qr(weights[-1], mode="r")
    norms = [float(np.linalg.norm(weight, 2)) or 1.0 for weight in weights]
    return [weight / norm for weight, norm in zip(weights, norms, strict=True)], [*np.cumprod(norms[:-1])]


def _widened(alpha: Float, beta: Float) -> tuple[Float, Float]:
    """Slopes that are not closer than NARROWEST times the largest: an infinite multiplier is nothing for a solver."""
    least = NARROWEST * max(float(np.abs(alpha).max(initial=0)), float(np.abs(beta).max(initial=0)), 1e-12)
    lack = np.maximum(least - (beta - alpha) / 2, 0)
    return alpha - lack, beta + lack


def _blocks(cvxpy: Any, weights: list[Float], slopes: list[Any], multipliers: list[Any], bound: Any) -> list[list[Any]]:
    """The matrix of the program, block by block."""
    dimensions = [weight.shape[1] for weight in weights]
    out: list[list[Any]] = [[np.zeros((a, b)) for b in dimensions] for a in dimensions]
    out[0][0] = bound * np.eye(dimensions[0])
    for number, (weight, (alpha, beta), part) in enumerate(zip(weights, slopes, multipliers, strict=False)):
        if (alpha * beta).any():
            out[number][number] += weight.T @ cvxpy.diag(cvxpy.multiply(alpha * beta, part)) @ weight
        out[number + 1][number + 1] = cvxpy.diag(part)
        beside = -cvxpy.diag(cvxpy.multiply((alpha + beta) / 2, part)) @ weight
        out[number + 1][number], out[number][number + 1] = beside, beside.T
    out[-1][-1] -= weights[-1].T @ weights[-1]
    return out


def _scales(chain: DenseChain, slopes: list[Any], multipliers: list[Float], gauge: list[float]) -> list[Float]:
    """``t = gauge/(r √Λ)``, Λ from below at what a neuron that does not matter has."""
    out = []
    for (alpha, beta), part, factor, rest in zip(slopes, multipliers, gauge, fast_scales(chain), strict=True):
        root = (beta - alpha) / 2 * np.sqrt(np.maximum(part, 1e-12))
        scale = factor / root
        out.append(np.where(np.isfinite(scale) & (scale > 0), scale, rest))
    return out
