"""LipLT: each activation a linear part and a rest, the linear parts composed exactly."""

from __future__ import annotations

import time

from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.chain import DenseChain
from bench.functional.lipschitz.chain_bounds.composite import Composite, steepest
from bench.functional.lipschitz.chain_bounds.rounding import UNIT, gamma
from bench.stats.blas_threads import one_thread


def liplt(chain: DenseChain, norm: Norm = "l2") -> LipschitzBound:
    """An upper bound on the global constant by LipLT, with exact composite matrices and slopes per neuron.

    With ``φ_j = diag(m_j) + diag(r_j) ψ_j``, ψ_j 1-Lipschitz, ``m = (α + β)/2``, ``r = (β − α)/2``, and
    ``F_kj = W_k diag(m_{k−1}) W_{k−1} … diag(m_{j+1}) W_{j+1}``:

        M_k = ‖F_k0‖ + Σ_{j<k} ‖F_kj diag(r_j)‖ M_j,  the bound is M_{l+1}

    M_k is replaced by ``‖W_k diag(max(|α|, |β|))‖ M_{k−1}`` where that is less (where slopes are unlike).
    O(L²) norms.
    Source: Fazlyab, Entesari, Roy, Chellappa 2023, arXiv 2310.00116.

    >>> import numpy as np
    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.eye(2), np.array([[3.0, -4.0]])), (np.zeros(2), np.zeros(1)), (relu(2),))
    >>> round(liplt(chain).value, 9)  # ½ · 5 + ½ · 5 · 1
    5.0
    """
    started = time.perf_counter()
    gains: list[float] = []  # M_k
    linear: list[Composite] = []  # F_k0, F_k1 diag(r_1), …
    with one_thread():
        for number, weight in enumerate(chain.weights):
            if number == 0:
                linear = [Composite.of(weight)]
                gains.append(linear[0].upper(norm))
                continue
            activation = chain.activations[number - 1]
            middle = (activation.alpha + activation.beta) / 2
            radius = (activation.beta - activation.alpha) / 2
            radius = radius + 4 * UNIT * (abs(activation.alpha) + abs(activation.beta))
            linear = [part.then(weight * middle) for part in linear] + [Composite.of(weight * radius)]
            first, *rest = (part.upper(norm) for part in linear)
            total = first + sum(end * gain for end, gain in zip(rest, gains, strict=True))
            step = Composite.of(weight * steepest(activation)).upper(norm) * gains[-1]
            gains.append(min(total, step) * (1 + gamma(2 * number + 4)))
    seconds = time.perf_counter() - started
    return LipschitzBound("liplt", "certified", gains[-1], norm, seconds=seconds)
