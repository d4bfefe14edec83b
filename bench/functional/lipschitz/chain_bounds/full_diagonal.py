"""One multiplier a neuron, optimised without an SDP solver; every iterate on the way is a certificate."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from bench.functional.lipschitz.certificate import LipschitzBound, best
from bench.functional.lipschitz.chain import DenseChain, Float
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast, fast_scales
from bench.functional.lipschitz.chain_bounds.elimination import Elimination
from bench.functional.lipschitz.chain_bounds.quasi_newton import Iterate, minimise
from bench.functional.lipschitz.chain_bounds.recursion import certificate
from bench.least_recently_used import LeastRecentlyUsed
from bench.stats.blas_threads import one_thread

Progress: TypeAlias = Callable[[int, float, float], None]
STAGES = ((20.0, 0.1), (100.0, 0.03), (500.0, 0.01), (2500.0, 0.003), (np.inf, 0.001))  # power of λ_max, least |m|/r
PATIENCE = 20  # iterations over which a stage must still get lower


KEPT_BYTES = 2**22


def _bytes(kept: Scales) -> int:
    return sum(scale.nbytes for scale in kept.scales)


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
    found = full_diagonal_scales(chain, iterations=iterations, budget=budget, progress=progress, start=start)
    least = best([certificate(chain, found.scales), fast])
    assert least is not None
    return replace(least, method="full-diagonal", seconds=time.perf_counter() - started, note=found.note)


class Scales(NamedTuple):
    """Scales of the recursion, and why the search for better ones ended early."""

    scales: tuple[Float, ...]
    note: str = ""


def full_diagonal_scales(
    chain: DenseChain,
    *,
    iterations: int = 3000,
    budget: float | None = None,
    progress: Progress | None = None,
    start: Sequence[Float] | None = None,
) -> Scales:
    """The scales that ``full_diagonal`` certifies, of a chain with a hidden layer and without layers of zeros.

    Those of the last chains are kept: constants of pairs of outputs stand on the same ones.
    """
    free = budget is None and start is None  # else another search, or one that hangs on the machine's speed
    key = (_content(chain), iterations)
    kept = _KEPT.get(key) if free else None
    if kept is not None:
        return kept
    started = time.perf_counter()
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
    found = Scales(tuple(scales), note)
    if free:
        _KEPT.put(key, found)
    return found


def _content(chain: DenseChain) -> str:
    """A digest of all that the search depends on."""
    digest = hashlib.sha256()
    for part in (*chain.weights, *(end for a in chain.activations for end in (a.alpha, a.beta))):
        digest.update(repr(part.shape).encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


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


_KEPT = LeastRecentlyUsed[Scales](KEPT_BYTES, _bytes)
