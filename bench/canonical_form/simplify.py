"""A canonical form with fewer nodes that computes the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import torch
from torch import Tensor

from bench.canonical_form.edits import needed, passed_over, without
from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Convolution, Dense, Gather, Linear, Node, Scale
from bench.canonical_form.quantisers import folded


def simplified(graph: Graph) -> Graph:
    """The graph without nodes that change nothing, factors and shifts folded into the layer before, dense maps merged.

    Convolutions that follow each other are kept: what they are together is no convolution at the edges. Quantisers take
    in the factors, shifts and clamps around them.
    """
    while True:
        smaller = _once(graph)
        if len(smaller.nodes) == len(graph.nodes):
            return smaller
        graph = smaller


def _once(graph: Graph) -> Graph:
    """One fold, the first that is found; what the output does not need is left out."""
    graph = needed(graph)
    users = Counter(place for node in graph.nodes for place in node.inputs)
    for place, node in enumerate(graph.nodes):
        quantised = folded(graph, place, users)
        if quantised is not None:
            return quantised
        if not isinstance(node, Linear) or len(node.inputs) != 1:
            continue
        before = graph.nodes[node.inputs[0]]
        merged = _merged(before, node) if users[node.inputs[0]] == 1 else None
        if merged is not None:
            return without(graph, node.inputs[0], {place: merged})
        if isinstance(node, Gather) and _unmoved(node, before):
            return passed_over(graph, place, node.inputs[0])
    return graph


def _merged(before: Node, node: Linear) -> Node | None:
    """One node in the place of two; None where they stay."""
    if isinstance(before, Dense) and isinstance(node, Dense):
        bias = None if before.bias is None else before.bias @ node.weight.T
        return replace(node, inputs=before.inputs, weight=node.weight @ before.weight, bias=_sum(bias, node.bias))
    if isinstance(before, Scale) and isinstance(node, Scale):
        bias = None if before.bias is None else before.bias * node.factor
        return replace(node, inputs=before.inputs, factor=before.factor * node.factor, bias=_sum(bias, node.bias))
    if isinstance(before, Gather) and isinstance(node, Gather):
        places = torch.cat([torch.zeros(1, dtype=torch.int64), before.index])
        return replace(node, inputs=before.inputs, index=places[node.index])
    if isinstance(before, Dense | Convolution) and isinstance(node, Scale):
        return _scaled(before, node)
    return None


def _scaled(layer: Dense | Convolution, node: Scale) -> Node | None:
    """A layer times a factor of each of its outputs; None where the factor varies within one."""
    axis = len(layer.shape) - 1 if isinstance(layer, Dense) else 1
    factor = node.factor.reshape((1,) * (len(layer.shape) - node.factor.ndim) + node.factor.shape)
    if any(size != 1 for k, size in enumerate(factor.shape) if k != axis):
        return None
    if isinstance(layer, Convolution) and layer.transposed and layer.groups > 1:
        return None
    each = torch.broadcast_to(factor.reshape(-1), (layer.shape[axis],))
    out_axis = 1 if isinstance(layer, Convolution) and layer.transposed else 0
    weight = layer.weight * each.reshape([-1 if k == out_axis else 1 for k in range(layer.weight.ndim)])
    bias = None if layer.bias is None else layer.bias * node.factor
    return replace(layer, weight=weight, bias=_sum(bias, node.bias))


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return first if second is None else second
    return first + second


def _unmoved(node: Gather, before: Node) -> bool:
    """Whether every entry stays where it is, in the same shape."""
    same = torch.equal(node.index, torch.arange(1, before.size + 1)) if len(node.index) == before.size else False
    return same and node.shape == before.shape
