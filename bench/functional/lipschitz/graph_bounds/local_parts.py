"""How a nonlinearity is split where its input lies between ends: what bends is left, what does not is linear."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from bench.canonical_form.graph import Centre, Graph
from bench.canonical_form.nodes import Activation, MaxPool, Softmax
from bench.errors import NotApplicable
from bench.functional.lipschitz.certificate import Norm
from bench.functional.lipschitz.chain_bounds.rounding import UNIT
from bench.functional.lipschitz.graph_bounds.node_norms import UP, nonlinear_part
from bench.functional.lipschitz.relaxations.activation_slopes import slopes_on
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.linear import contested
from bench.functional.lipschitz.relaxations.windows import Winners, winners


class LocalPart(NamedTuple):
    """``δφ = centre δz + ρ`` for two inputs between the ends: ``‖ρ‖ ≤ ‖weight ∘ δz‖``, and ρ is 0 off its support."""

    centre: Centre
    weight: Tensor  # (size of the input,)
    support: Tensor  # (size of the node,), bool
    largest: float  # ‖δφ‖ ≤ largest ‖δz‖


def local_parts(graph: Graph, ends: list[Ends], norm: Norm = "l2") -> dict[int, LocalPart]:
    """The parts of all nonlinear nodes by their places, from the interval of what stands before each.

    Two points of a region have values before every nonlinearity within the same ends, so slopes of difference quotients
    there suffice, whatever the region is.

    Raises:
        NotApplicable: a node has no rule; it is named.
    """
    return {place: _part(graph, place, ends[graph.nodes[place].inputs[0]], norm) for place in graph.nonlinear}


def _part(graph: Graph, place: int, ends: Ends, norm: Norm) -> LocalPart:
    node = graph.nodes[place]
    if isinstance(node, Activation):
        alpha, beta = slopes = slopes_on(node, ends)
        radius = torch.where(slopes.bent, (beta - alpha) / 2 + 4 * UNIT * (alpha.abs() + beta.abs()), 0.0)
        largest = float(torch.maximum(alpha.abs(), beta.abs()).max())
        return LocalPart(((alpha + beta) / 2).reshape(node.shape), radius, slopes.bent, largest)
    if isinstance(node, MaxPool):
        shape = graph.nodes[node.inputs[0]].shape
        seen = winners(node, shape, ends)
        size = ends.low.numel()
        rest, whole = (_windows_over_one(seen, size, which, norm) for which in (~seen.fixed, seen.fixed | True))
        weight = rest * contested(seen, size).double()
        return LocalPart(seen.selection(node, seen.fixed), weight, ~seen.fixed, whole)
    if not isinstance(node, Softmax):
        raise NotApplicable(f"{node.name}: {type(node).__name__} has no rule for slopes on a region")
    largest = nonlinear_part(graph, place, norm).largest
    return LocalPart(0.0, torch.full_like(ends.low, largest), torch.ones(node.size, dtype=torch.bool), largest)


def _windows_over_one(seen: Winners, size: int, which: Tensor, norm: Norm) -> float:
    """A bound on how max pooling over some windows changes: the most of them that one entry can win, the root of it.

    ``|max x − max y| ≤ max |x_i − y_i|`` over the entries that can win; in l_inf 1.
    """
    counts = torch.bincount(seen.places[which][seen.candidate[which]], minlength=size + 1)
    most = int(counts.max())
    if norm == "linf" or most <= 1:
        return float(most > 0)
    return sqrt(most) * UP
