"""How far rounding can take a network from its surrogate."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import torch

from bench.canonical_form.graph import Graph
from bench.errors import NotApplicable
from bench.functional.lipschitz.certificate import Norm
from bench.functional.lipschitz.graph_bounds.liplt import Solved, solve
from bench.functional.lipschitz.quantised_bounds.chain_tails import chain_tail
from bench.functional.lipschitz.quantised_bounds.entrywise import apart, sizes
from bench.functional.lipschitz.quantised_bounds.surrogate_network import Surrogate, surrogate_network
from bench.functional.lipschitz.quantised_bounds.tails import tails

UP = 1 + 1e-9
ITERATIONS = 200


class Share(NamedTuple):
    """What the rounding of one quantiser adds at most, and by which rule."""

    layer: str
    value: float
    rule: str


@dataclass(frozen=True)
class RoundingError:
    """``value`` ≥ ``sup_x ‖f_q(x) − f~(x)‖`` over all inputs; ``shares`` of the quantisers, whose sum it never exceeds.

    ``diameter`` ≥ ``sup ‖f_q(x) − f_q(y)‖`` over all pairs: finite where quantisers bound the output.
    """

    value: float
    shares: tuple[Share, ...]
    rule: str
    norm: Norm
    diameter: float = inf


def rounding_error(
    graph: Graph,
    norm: Norm = "l2",
    surrogate: Surrogate | None = None,
    solved: Solved | None = None,
    iterations: int = ITERATIONS,
    budget: float | None = None,
) -> RoundingError:
    """An upper bound δ of the distance between a quantised network and its surrogate, whatever the input.

    A quantiser answers ``clamp(u) + e`` with ``|e_i| ≤ s_i / 2``. Bring the errors in one after the other, in the order
    of the network: two neighbours in that sequence differ by one e at one place, and behind it both are the surrogate.
    So ``δ ≤ Σ_l ‖e_l‖ Lip(tail of f~ behind l)`` with ``‖e_l‖₂ ≤ √(Σ_i s_i²) / 2``, which is ``(s / 2) √n`` for one
    scale (in l_inf ``max s / 2``). Where bounds entry by entry (``|W| e`` through every layer, clamps included) are
    smaller, they are taken: for one quantiser in its term, or for all together. Tails are LipLT's and, where what lies
    behind is a chain of up to 2,048 neurons a layer, those of full-diagonal multipliers.

    Args:
        graph: a network with ``Quantise`` nodes; without any δ is 0.
        norm: of the output.
        surrogate: of the network, where it is known.
        solved: LipLT's sums of the surrogate, where they are known.
        iterations: of the multipliers of a chain behind a quantiser; 0: ECLipsE-Fast alone.
        budget: seconds for the multipliers of each.

    >>> from bench.canonical_form.trace import canonical_form
    >>> class Rounds(torch.nn.Module):
    ...     def forward(self, x):
    ...         return 3 * torch.round(x / 0.5).clamp(0, 3) * 0.5
    >>> error = rounding_error(canonical_form(Rounds(), torch.rand(2, 4), rounding="keep"))
    >>> round(error.value, 6), round(error.diameter, 6)  # 3 · (0.5 / 2) · √4, and 3 · 1.5 · √4
    (1.5, 9.0)
    """
    smooth = surrogate_network(graph) if surrogate is None else surrogate
    if solved is None and norm == "l2" and smooth.places:
        solved = solve(smooth.graph)
    steepness = tails(smooth.graph, smooth.places.values(), norm, solved)
    if norm == "l2":
        for place, value in steepness.items():
            steepness[place] = min(value, _of_chain(smooth.graph, place, iterations, budget))
    shares = []
    for place, half in sizes(graph, smooth.places).items():
        size = float(torch.linalg.vector_norm(half) if norm == "l2" else half.max())
        by_norms = size * steepness[smooth.places[place]] * UP
        by_entries = length(apart(graph, 0.0, 0.5, only=place), norm)
        rule = "norms" if by_norms <= by_entries else "entries"
        shares.append(Share(graph.nodes[place].name, min(by_norms, by_entries), rule))
    total = sum(share.value for share in shares) * UP
    together = length(apart(graph, 0.0, 0.5), norm) if shares else 0.0
    rule = "sum of quantisers" if total <= together else "entries of all quantisers together"
    return RoundingError(min(total, together), tuple(shares), rule, norm, length(apart(graph, inf, 1.0), norm))


def _of_chain(graph: Graph, place: int, iterations: int, budget: float | None) -> float:
    try:
        return chain_tail(graph, place, iterations, budget)
    except NotApplicable:
        return inf


def length(entries: torch.Tensor, norm: Norm) -> float:
    """The norm of bounds of entries."""
    return float(torch.linalg.vector_norm(entries) if norm == "l2" else entries.max()) * UP
