"""The recursion in plain float64 with its gradient in the scales, for methods that look for good ones.

Nothing here certifies: `recursion` does. Notation as there, ``s_i = log t_i``. With a factor U of the derivative of the
smoothed logarithm of L in P_l (as many columns as outputs count), the derivatives in all K_i and P_i stay of that rank:

    V = diag(m) U,  U' = V + E_S (I − K_SS)⁻¹ K_Sᵀ V,  derivative in K_i: U' U'ᵀ
    derivative in s_i: 2 Σ_columns [ U ∘ (r² U + m ∘ (K_i U')) − U' ∘ (K_i U') ],  next U: A_iᵀ U'

so a gradient costs little beside the factorisations: n² a column, not n³.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf
from scipy.special import logsumexp

from bench.functional.lipschitz.chain import DenseChain, Float

FARTHEST = 300.0  # logarithms of scales beyond it would overflow


class Middle(NamedTuple):
    """One hidden layer on the way: its factor of I − K_SS, K, A, slopes, and the neurons S that bend."""

    factor: Float
    gram: Float
    scaled: Float
    middle: Float
    radius: Float
    bent: Any  # a slice where all bend


class Elimination:
    """A chain made ready: the first Gram matrix, the R factor of a wide output (both exact).

    ``least`` raises |m| to that part of r: where slopes are nearly symmetric about 0 the value would not rise towards
    the edge of what is feasible, and a descent would stick to it.

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.array([[2.0]]), np.array([[3.0]])), (np.zeros(1), np.zeros(1)), (relu(1),))
    >>> value, gradient = Elimination(chain)(np.log([np.sqrt(8.0)]))
    >>> round(float(np.exp(value)), 9), gradient.round(9).tolist()  # the optimum
    (6.0, [0.0])
    """

    def __init__(self, chain: DenseChain, least: float = 0.0) -> None:
        last = chain.weights[-1]
        short: Float = np.asarray(np.linalg.qr(last, mode="r")) if len(last) > last.shape[1] else last
        self.weights = [*chain.weights[:-1], short]
        self.first = chain.weights[0] @ chain.weights[0].T
        radii = [(a.beta - a.alpha) / 2 for a in chain.activations]
        middles = [(a.alpha + a.beta) / 2 for a in chain.activations]
        raised = [np.where(np.abs(m) < least * r, least * r, m) for m, r in zip(middles, radii, strict=True)]
        self.slopes = [*zip(raised, radii, strict=True)]
        self.eased = any((m != true).any() for m, true in zip(raised, middles, strict=True))
        bent = [np.flatnonzero(radius > 0) for _, radius in self.slopes]
        self.bent = [slice(None) if len(s) == len(r) else s for s, (_, r) in zip(bent, self.slopes, strict=True)]
        self.widths = chain.widths[1:-1]

    def split(self, s: Float) -> list[Float]:
        """The vector of all log scales, cut by layer."""
        return np.split(s, np.cumsum(self.widths)[:-1]) if self.widths else []

    def __call__(self, s: Float, power: float = np.inf) -> tuple[float, Float]:
        """``log L`` and its gradient, inf where not feasible; a finite power p smooths λ_max to ``(Σ λᵖ)^{1/p}``."""
        if np.abs(s).max(initial=0.0) > FARTHEST:
            return np.inf, s
        with np.errstate(all="ignore"):
            value, gradient = self._evaluated(s, power)
        return (value, gradient) if np.isfinite(gradient).all() and not np.isnan(value) else (np.inf, s)

    def _evaluated(self, s: Float, power: float) -> tuple[float, Float]:
        layers, end = self._forward([np.exp(part) for part in self.split(s)])
        if end is None or not np.isfinite(end).all():
            return np.inf, s
        eigenvalues, vectors = np.linalg.eigh(end)
        if eigenvalues[-1] <= 0:
            return -np.inf, np.zeros_like(s)
        logs = np.log(np.maximum(eigenvalues, 0))
        if np.isinf(power):
            value, weights = logs[-1] / 2, (np.arange(len(logs)) == len(logs) - 1) / 2
        else:
            whole = logsumexp(power * logs)
            value, weights = whole / (2 * power), np.exp(power * logs - whole) / 2
        kept = weights > 1e-14
        start = vectors[:, kept] * np.sqrt(weights[kept] / eigenvalues[kept])
        return float(value), self._backward(layers, s, start)

    def _forward(self, scales: list[Float]) -> tuple[list[Middle], Float | None]:
        layers: list[Middle] = []
        for number, (scale, (middle, radius), bent) in enumerate(zip(scales, self.slopes, self.bent, strict=True)):
            if number == 0:
                scaled = self.weights[0] / scale[:, None]
                gram = self.first / (scale[:, None] * scale)
            else:
                scaled = self.weights[number] * (scales[number - 1] / scale[:, None])
                gram = _through(layers[-1], scaled)
            gap = -(gram if isinstance(bent, slice) else gram[np.ix_(bent, bent)])
            gap[np.diag_indices_from(gap)] += 1
            factor, info = dpotrf(gap, lower=1, clean=0) if gap.size else (gap, 0)
            if info != 0:
                return layers, None
            layers.append(Middle(factor, gram, scaled, middle, radius, bent))
        if not layers:
            return layers, self.weights[0] @ self.weights[0].T
        return layers, _through(layers[-1], self.weights[-1] * scales[-1])

    def _backward(self, layers: list[Middle], s: Float, start: Float) -> Float:
        gradient = []
        scales = [np.exp(part) for part in self.split(s)]
        above = start
        for number in reversed(range(len(layers))):
            layer = layers[number]
            end = self.weights[-1] * scales[-1] if number == len(layers) - 1 else layers[number + 1].scaled
            below = end.T @ above
            inner = layer.middle[:, None] * below
            solved = _solve(layer, layer.gram[layer.bent] @ inner)
            above = inner.copy()
            above[layer.bent] += solved
            moved = layer.gram @ above
            own = below * (layer.radius[:, None] ** 2 * below + layer.middle[:, None] * moved)
            gradient.append(2 * (own - above * moved).sum(axis=1))
        return np.concatenate(gradient[::-1]) if gradient else np.zeros(0)


def _solve(layer: Middle, right: Float) -> Float:
    half = solve_triangular(layer.factor, right, lower=True, check_finite=False)
    out: Float = solve_triangular(layer.factor, half, lower=True, trans=1, check_finite=False)
    return out


def _through(layer: Middle, scaled: Float) -> Float:
    """``A P Aᵀ`` for the P of a layer, without P where all its neurons bend."""
    wide = scaled * layer.middle
    half: Float
    if isinstance(layer.bent, slice):  # P = diag(r² − m²) + diag(m) (I − K)⁻¹ diag(m)
        half = solve_triangular(layer.factor, wide.T, lower=True, check_finite=False)
        out: Float = half.T @ half
        product = layer.radius**2 - layer.middle**2
        return out + (scaled * product) @ scaled.T if product.any() else out
    half = solve_triangular(layer.factor, layer.gram[layer.bent] @ wide.T, lower=True, check_finite=False)
    whole: Float = (scaled * layer.radius**2) @ scaled.T + wide @ layer.gram @ wide.T + half.T @ half
    return whole
