"""ECLipsE-Fast: the recursion with scales in closed form, one largest eigenvalue a layer."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from bench.functional.lipschitz.certificate import LipschitzBound
from bench.functional.lipschitz.chain import DenseChain, Float
from bench.functional.lipschitz.chain_bounds.recursion import certificate
from bench.stats.blas_threads import one_thread


def fast_scales(chain: DenseChain, tighten: float = 1.0) -> list[Float]:
    """``t_j² = q (r_j + |m_j|)/r_j``, q the largest eigenvalue of ``Q = W P Wᵀ``: the best scales for ``Q = q I``.

    For ReLU t² = 2q, the ``2/λ_max(M)`` of the paper. t² is divided by ``tighten``: below 1 it moves K from the edge.
    Where r = 0 a scale changes nothing and is √q. Not rigorous themselves, and need not be.
    """
    scales: list[Float] = []
    shape = np.eye(chain.widths[0])
    with one_thread():
        for weight, activation in zip(chain.weights, chain.activations, strict=False):
            middle, radius = (activation.alpha + activation.beta) / 2, (activation.beta - activation.alpha) / 2
            gram = weight @ (weight.T if not scales else shape @ weight.T)
            top = float(np.linalg.eigvalsh(gram)[-1])
            top = max(top, 1e-250)  # a layer of zeros
            ratio = np.divide(radius + np.abs(middle), radius, out=np.ones_like(radius), where=radius > 0)
            scales.append(np.sqrt(top * np.maximum(ratio, 1 + 1e-9) / tighten))  # K = I is too much, where m = 0
            shape = _shape(gram, middle, radius, scales[-1])
    return scales


def eclipse_fast(chain: DenseChain) -> LipschitzBound:
    """An upper bound on the global l2 constant by ECLipsE-Fast, for any slopes; never above the naive product.

    O(Σ n³). It changes when neurons are rescaled; full-diagonal multipliers do not.
    Source: Xu, Sivaranjani 2024, arXiv 2404.04375; slopes other than 0 to 1 by the same rule with m and r.

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.array([[2.0]]), np.array([[3.0]])), (np.zeros(1), np.zeros(1)), (relu(1),))
    >>> round(eclipse_fast(chain).value, 9)
    6.0
    """
    started = time.perf_counter()
    bound = certificate(chain, fast_scales(chain), "eclipse-fast")
    return replace(bound, seconds=time.perf_counter() - started)


def _shape(gram: Float, middle: Float, radius: Float, scale: Float) -> Float:
    """``t P t = diag(r² t²) + diag(m) (Q + Q_S (E_S − Q_SS)⁻¹ Q_Sᵀ) diag(m)``."""
    bent = np.flatnonzero(radius > 0)
    inner = gram.copy()
    if len(bent):
        gap = np.diag(scale[bent] ** 2) - gram[np.ix_(bent, bent)]
        inner += gram[:, bent] @ np.linalg.solve(gap, gram[bent])
    out: Float = np.diag((radius * scale) ** 2) + middle[:, None] * inner * middle
    return (out + out.T) / 2
