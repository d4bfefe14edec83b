"""Both ends of a network's constant at scales, whether it rounds or not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from numpy.typing import NDArray

from bench.canonical_form.graph import Graph
from bench.functional.lipschitz.certificate import LipschitzBound, enclosing
from bench.functional.lipschitz.quantised_bounds.rounding_error import RoundingError
from bench.functional.lipschitz.quantised_bounds.scale import scale_bound
from bench.functional.lipschitz.quantised_bounds.scale_secants import STEPS, Outputs, scale_secants

SURROGATE: Final = "rounding replaced by identity; the network itself has no finite constant"


def of_surrogate(bound: LipschitzBound) -> LipschitzBound:
    """A bound that was found on the surrogate, said to be one of it."""
    note = "; ".join(filter(None, [SURROGATE, bound.note]))
    return replace(bound, method=f"surrogate {bound.method}", of="surrogate", note=note)


def at_scales(
    graph: Graph,
    constant: LipschitzBound,
    error: RoundingError,
    scales: Sequence[float],
    samples: NDArray[Any],
    outputs: Outputs | None = None,
    steps: int = STEPS,
    budget: float = 60.0,
) -> list[LipschitzBound]:
    """The certified bound and the one from below at each scale.

    Args:
        graph: the network, quantisers included.
        constant: the least certified bound of its surrogate, or of itself where it does not round.
        error: what rounding can do.
        scales: least distances of pairs, in the units of the input.
        samples: where pairs begin.
        outputs: answers of what really runs, where it is at hand.
        steps: of each ascent.
        budget: seconds for each ascent.

    Raises:
        AssertionError: a lower bound exceeds a certified one, which no network can bring about.
    """
    bounds = []
    for r in scales:
        started = time.perf_counter()
        upper = scale_bound(constant, error, r)
        bounds.append(replace(upper, seconds=constant.seconds + time.perf_counter() - started))
        bounds.append(scale_secants(graph, samples, r, error.norm, outputs, steps, budget))
        enclosing(bounds, scale=r)
    return bounds
