"""Intervals of every node of a network, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, Concatenate, Gather, Linear, MaxPool, Node, Quantise, Softmax
from bench.errors import NotApplicable
from bench.functional.lipschitz.chain_bounds.rounding import UNDERFLOW, UNIT
from bench.functional.lipschitz.regions import Region, checked, enclosing_box
from bench.functional.lipschitz.relaxations import activation_ranges, magnitudes, quantiser_lines
from bench.functional.lipschitz.relaxations.ends import Ends, outward


def interval_bounds(graph: Graph, region: Region) -> list[Ends]:
    """For every node an interval that holds each of its numbers while the input lies in the region.

    ``W c + b ± |W| r`` of linear nodes, the range of the function on its interval of others, rounded outward. Also
    known as interval bound propagation (arXiv 1810.12715).

    Args:
        graph: a network in canonical form.
        region: a ``Box`` or a ``Ball`` of its inputs; of a ball the box around it.

    Raises:
        NotApplicable: a node has no rule; it is named.
        ValueError: the region does not fit the network.

    >>> import numpy as np
    >>> from bench.canonical_form.trace import canonical_form
    >>> from bench.functional.lipschitz.regions import Box
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False), torch.nn.ReLU()).eval()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[1.0, -2.0]]))
    >>> found = interval_bounds(canonical_form(network, torch.zeros(1, 2)), Box(np.zeros(2), np.ones(2)))
    >>> [[round(float(end), 9) for end in ends] for ends in found[1:]]
    [[-2.0, 1.0], [0.0, 1.0]]
    """
    found = [entry(graph, region)]
    for node in graph.nodes[1:]:
        found.append(interval(graph, node, [found[k] for k in node.inputs]))
    return found


def entry(graph: Graph, region: Region) -> Ends:
    """The interval of each input."""
    low, high = enclosing_box(checked(region, graph.nodes[0].size))
    return Ends(torch.from_numpy(low), torch.from_numpy(high))


def interval(graph: Graph, node: Node, given: list[Ends]) -> Ends:
    """The interval of a node's numbers from those of its inputs.

    Raises:
        NotApplicable: there is no rule for the node; it is named.
    """
    rule = next((rule for kind, rule in INTERVALS.items() if isinstance(node, kind)), None)
    if rule is None:
        raise NotApplicable(f"{node.name}: {type(node).__name__} has no rule for intervals")
    shapes = [graph.nodes[k].shape for k in node.inputs]
    with torch.no_grad():
        return rule(
            node, [Ends(*(end.reshape(1, *shape) for end in ends)) for ends, shape in zip(given, shapes, strict=True)]
        )


def _linear(node: Any, given: list[Ends]) -> Ends:
    whole = magnitudes.magnitude(node)
    middle = [ends.low / 2 + ends.high / 2 for ends in given]
    size = [ends.magnitude for ends in given]
    radius = [(ends.high - ends.low) / 2 + 4 * UNIT * reach for ends, reach in zip(given, size, strict=True)]
    bias = magnitudes.constant(node)
    centre = node(*middle).reshape(-1)
    total = whole.linear(*size).reshape(-1) + (0.0 if bias is None else bias.abs())
    reach = whole.linear(*radius).reshape(-1) + magnitudes.lost(node) * total + UNDERFLOW
    return outward(centre, centre, reach)


def _moved(node: Any, given: list[Ends]) -> Ends:
    """Entries in other places: nothing is rounded."""
    low, high = (node.linear(*(ends[k] for ends in given)).reshape(-1) for k in (0, 1))
    return Ends(low, high)


def _activation(node: Any, given: list[Ends]) -> Ends:
    return activation_ranges.range_on(node, Ends(*(end.reshape(-1) for end in given[0])))


def _rounded(node: Any, given: list[Ends]) -> Ends:
    return quantiser_lines.rounded_range(node, Ends(*(end.reshape(-1) for end in given[0])))


def _monotone(node: Any, given: list[Ends]) -> Ends:
    """A function that rises in every entry and rounds nothing."""
    low, high = (node(end).reshape(-1) for end in given[0])
    return Ends(low, high)


def _softmax(node: Any, given: list[Ends]) -> Ends:
    """``log p_i = −log Σ_j e^(z_j − z_i)`` rises in z_i and falls in the others."""
    axis = node.axis + 1
    low, high = (end.movedim(axis, -1) for end in given[0])
    ends: list[Tensor] = []
    for own, others in ((low, high), (high, low)):
        away = others[..., None, :] - own[..., :, None]
        away.diagonal(dim1=-2, dim2=-1).zero_()
        ends.append(-torch.logsumexp(away, dim=-1).movedim(-1, axis).reshape(-1))
    size = given[0].magnitude.max()
    slack = activation_ranges.LIBRARY * (low.shape[-1] + size + ends[0].abs() + ends[1].abs())
    logarithms = outward(ends[0], ends[1], slack)
    if node.logarithm:
        return logarithms
    low, high = (end.exp() for end in logarithms)
    return outward(low * (1 - 2.0**-44), high * (1 + 2.0**-44), torch.zeros_like(low))


INTERVALS: dict[type[Any], Callable[[Any, list[Ends]], Ends]] = {
    Gather: _moved,
    Concatenate: _moved,
    Linear: _linear,
    Activation: _activation,
    Quantise: _rounded,
    MaxPool: _monotone,
    Softmax: _softmax,
}
"""The rule of each kind of node; the first that fits is taken."""
