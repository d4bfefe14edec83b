"""Bounds entry by entry of how far two passes of one network can be apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import torch
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import (
    Activation,
    Add,
    Convolution,
    Dense,
    Linear,
    MaxPool,
    Node,
    Quantise,
    Scale,
    Softmax,
    Total,
)
from bench.canonical_form.quantisers import cut_off
from bench.functional.lipschitz.graph_bounds.node_norms import slopes_of

SLACK = 1e-9  # relative, for the sums of float64
WIDTHS = {"sigmoid": 1.0, "hardsigmoid": 1.0, "tanh": 2.0}  # of what bounded activations answer


def apart(graph: Graph, start: float, steps: float, only: int | None = None) -> Tensor:
    """Upper bounds (size of the output,) of ``|a − b|`` of the outputs of two passes.

    A linear map of entries that are e apart answers entries at most ``|W| e`` apart, an activation ``max |slope| e``,
    max pooling the largest e of its window; a quantiser, of values e apart, ``e + steps · scale``, and never more than
    its range is wide.

    Args:
        graph: a network, quantisers included.
        start: how far apart entries of the input are; may be infinite.
        steps: what rounding adds, in steps: ½ between a network and its surrogate, 1 between two inputs of one network.
        only: of one quantiser's rounding alone, by its place.

    >>> from bench.canonical_form.trace import canonical_form
    >>> class Rounds(torch.nn.Module):
    ...     def forward(self, x):
    ...         return 5 * torch.round(x).clamp(0, 3)
    >>> graph = canonical_form(Rounds(), torch.rand(2, 1), rounding="keep")
    >>> [round(float(apart(graph, start, steps)), 6) for start, steps in ((0.0, 0.5), (torch.inf, 1.0))]
    [2.5, 15.0]
    """
    values: list[Tensor] = []
    for place, node in enumerate(graph.nodes):
        given = [values[k] for k in node.inputs]
        if not given:
            value = torch.full((1, *node.shape), start, dtype=torch.float64)
        elif isinstance(node, Linear):
            with torch.no_grad():
                value = absolute(node).linear(*given)
        else:
            value = _nonlinear(node, given[0], steps if only in (None, place) else 0.0)
        values.append(torch.nan_to_num(value, nan=inf, posinf=inf))  # 0 · ∞ is not known to be 0
    return values[-1].flatten() * (1 + SLACK)


def sizes(graph: Graph, places: Mapping[int, int]) -> dict[int, Tensor]:
    """Half a step of every entry of each quantiser's value (size,), by its place."""
    found = {}
    for place in places:
        node = graph.nodes[place]
        assert isinstance(node, Quantise)
        found[place] = torch.broadcast_to(node.scale / 2, node.shape).flatten()
    return found


def absolute(node: Linear) -> Linear:
    """The linear map with the magnitudes of its entries."""
    if isinstance(node, Dense | Convolution):
        return replace(node, weight=node.weight.abs())
    if isinstance(node, Scale):
        return replace(node, factor=node.factor.abs())
    if isinstance(node, Total):
        return replace(node, factor=abs(node.factor))
    if isinstance(node, Add):
        return replace(node, coefficients=tuple(map(abs, node.coefficients)))
    return node


def _nonlinear(node: Node, given: Tensor, steps: float) -> Tensor:
    if isinstance(node, Quantise):
        return torch.minimum(given + steps * node.scale, node.high - node.low)
    if isinstance(node, MaxPool):
        return node(given)
    if isinstance(node, Softmax):
        largest = given.max() * (2.0 if node.logarithm else 0.5)
        return torch.full_like(given, float(largest) if node.logarithm else min(float(largest), 1.0))
    assert isinstance(node, Activation)
    alpha, beta = (float(end) for end in slopes_of(node))
    value, ends = given * max(abs(alpha), abs(beta)), cut_off(node)
    if ends is not None:
        return torch.minimum(value, ends.high - ends.low)
    return value.clamp(max=WIDTHS.get(node.function, inf))
