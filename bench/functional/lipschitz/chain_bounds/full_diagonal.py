"""One multiplier a neuron, optimised without an SDP solver; every iterate on the way is a certificate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from bench.functional.lipschitz.certificate import LipschitzBound, best
from bench.functional.lipschitz.chain import DenseChain, Float
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast, fast_scales
from bench.functional.lipschitz.chain_bounds.elimination import Elimination
from bench.functional.lipschitz.chain_bounds.quasi_newton import Iterate, minimise
from bench.functional.lipschitz.chain_bounds.recursion import certificate
from bench.stats.blas_threads import one_thread

Progress: TypeAlias = Callable[[int, float, float], None]
STAGES = ((20.0, 0.1), (100.0, 0.03), (500.0, 0.01), (2500.0, 0.003), (np.inf, 0.001))  # power of λ_max, least |m|/r
PATIENCE = 20  # iterations over which a stage must still get lower


class _OutOfTime(Exception):
    """The time limit, from within the objective."""


def full_diagonal(
    chain: DenseChain,
    *,
    iterations: int = 3000,
    budget: float | None = None,
    progress: Progress | None = None,
    start: Sequence[Float] | None = None,
) -> LipschitzBound:
    """An upper bound on the global l2 constant: nearly LipSDP-Neuron's value, by Cholesky factorisations.

    L-BFGS on the logarithms of the scales of `recursion`, from 0.98 × ECLipsE-Fast; ``λ_max`` by p-norms of rising
    power and at last itself. It does not change when neurons of a ReLU chain are rescaled by positive factors, but for
    where L-BFGS stops. Up to about 2,000 neurons a layer: an iteration costs about ``3 Σ n³`` multiplications.

    Args:
        chain: l hidden layers; per-neuron slopes of any sign.
        iterations: at most so many. With no ``budget`` the same chain gives the same value.
        budget: seconds after which the best iterate so far is certified and returned.
        progress: called with iteration, the value that is lowered (float64, smoothed: not yet a bound), seconds.
        start: scales to start from, as those of `recursion.certified_value`.

    Source: the program is LipSDP-Neuron's (Fazlyab et al. 2019, arXiv 1902.04675); its Cholesky form is `recursion`.

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.eye(2), np.array([[1.0, 1.0]])), (np.zeros(2), np.zeros(1)), (relu(2),))
    >>> round(full_diagonal(chain).value, 6)  # √2, as at any x > 0
    1.414214
    """
    started = time.perf_counter()
    fast = eclipse_fast(chain)
    if chain.depth == 0 or not all(weight.any() for weight in chain.weights):
        note = "a single matrix: its norm" if chain.depth == 0 else "a layer of zeros"
        return replace(fast, method="full-diagonal", note=note)
    note = ""
    first = [np.array(part, dtype=np.float64) for part in (start or fast_scales(chain, 0.98))]
    scales = first
    cuts = np.cumsum(chain.widths[1:-2])
    with one_thread():
        try:
            for number, iterate in enumerate(_descent(chain, first, started, budget)):
                scales = np.split(np.exp(iterate.point), cuts)
                if progress:
                    progress(number, float(np.exp(iterate.value)), time.perf_counter() - started)
                if number >= iterations:
                    note = f"stopped after {iterations} iterations"
                    break
        except _OutOfTime:
            note = f"stopped at its time limit of {budget:g} s"
    found = best([certificate(chain, scales), fast])
    assert found is not None
    return replace(found, method="full-diagonal", seconds=time.perf_counter() - started, note=note)


def _descent(chain: DenseChain, scales: Sequence[Float], started: float, budget: float | None) -> Iterator[Iterate]:
    """Points that get lower stage by stage; ends where no stage makes progress any more."""
    point = np.log(np.concatenate(scales))
    smooth = min(len(chain.weights[-1]), chain.widths[-2]) == 1 and not Elimination(chain, STAGES[0][1]).eased
    for power, least in STAGES[-1:] if smooth else STAGES:
        elimination = Elimination(chain, least)

        def objective(s: Float, power: float = power, elimination: Elimination = elimination) -> tuple[float, Float]:
            if budget is not None and time.perf_counter() - started > budget:
                raise _OutOfTime
            return elimination(s, power)

        enough = 1e-9 if np.isinf(power) else 1e-3 / power
        marks: list[float] = []
        for iterate in minimise(objective, point):
            point = iterate.point
            yield iterate
            marks.append(iterate.value)
            if len(marks) > PATIENCE and marks[-1 - PATIENCE] - marks[-1] < enough:
                break
