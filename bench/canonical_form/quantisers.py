"""Quantisers of a canonical form: what stands around a rounding is taken into it, and its surrogate."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import inf
from typing import NamedTuple

import torch
from torch import Tensor

from bench.canonical_form.edits import passed_over, without
from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, Add, Gather, MaxPool, Node, Quantise, Scale

SAME = 1e-12  # relative: two factors of one float32 scale, whatever the order they were multiplied in

GRIDS = 1e-6  # steps by which two zero points may differ from a whole number and belong to one grid


class Ends(NamedTuple):
    """What a clamp cuts off at."""

    low: Tensor
    high: Tensor


def folded(graph: Graph, place: int, users: Counter[int]) -> Graph | None:
    """The graph with one node fewer, where the one at a place belongs to a quantiser; else None.

    ``x + (round(x) − x)``, by which gradients pass straight through, is ``round(x)``. Positive factors and shifts in
    front of a rounding go behind it, into the scale and the zero point. A clamp behind it is its range. A quantiser of
    what lies on its grid already changes nothing.

    Args:
        graph: a network.
        place: of the last node of what is folded.
        users: how many nodes take the value of each place.
    """
    node = graph.nodes[place]
    if isinstance(node, Add):
        return _cancelled(graph, place, node, users)
    if isinstance(node, Scale):
        return _unscaled(graph, place, node) or _moved_behind(graph, place, node, users)
    if isinstance(node, Activation):
        return _ranged(graph, place, node, users)
    if isinstance(node, Quantise) and _on_its_grid(graph, node):
        return passed_over(graph, place, node.inputs[0])
    return None


def surrogate(graph: Graph) -> Graph:
    """The network without rounding: each quantiser becomes the clamp to its range, slopes 0 to 1.

    A clamp behind a ReLU or another clamp is one clamp with it. A rounding without ends becomes a factor of 1.

    >>> from bench.canonical_form.trace import canonical_form
    >>> class Rounds(torch.nn.Module):
    ...     def forward(self, x):
    ...         return torch.round(x.relu() * 4).clamp(0, 15) / 4
    >>> graph = canonical_form(Rounds(), torch.rand(2, 3), rounding="keep")
    >>> [(type(node).__name__, node.parameters) for node in surrogate(graph).nodes[1:]]
    [('Activation', (0.0, 3.75))]
    """
    return clamped(graph)[0]


def clamped(graph: Graph) -> tuple[Graph, dict[int, int]]:
    """The surrogate, and in which place the clamp of each quantiser stands, by the quantiser's own place."""
    places = {place: place for place, node in enumerate(graph.nodes) if isinstance(node, Quantise)}
    graph = Graph(tuple(_clamp(node) if isinstance(node, Quantise) else node for node in graph.nodes))
    for place in sorted(places, reverse=True):
        users = Counter(k for node in graph.nodes for k in node.inputs)
        (before,) = graph.nodes[place].inputs
        first, second = cut_off(graph.nodes[before]), cut_off(graph.nodes[place])
        if first is None or second is None or users[before] > 1:
            continue
        node = replace(graph.nodes[place], inputs=graph.nodes[before].inputs)
        merged = _activation(node, Ends(*(torch.clamp(end, *second) for end in first)))
        graph = without(graph, before, {place: merged})
        places = {old: new - (new > before) for old, new in places.items()}
    return graph, places


def quantisers(graph: Graph) -> tuple[int, ...]:
    """The places of a network's quantisers."""
    return tuple(place for place, node in enumerate(graph.nodes) if isinstance(node, Quantise))


def cut_off(node: Node) -> Ends | None:
    """The ends of a ReLU or a clamp; None of any other node."""
    if not isinstance(node, Activation) or node.function not in ("relu", "clamp"):
        return None
    low, high = (0.0, None) if node.function == "relu" else (*node.parameters, None)[:2]
    return Ends(_end(low, -inf), _end(high, inf))


def _end(value: float | str | Tensor | None, missing: float) -> Tensor:
    return torch.as_tensor(missing if value is None else value, dtype=torch.float64)


def _clamp(node: Quantise) -> Node:
    """What is left of a quantiser without its rounding."""
    if bool(torch.isneginf(node.low).all()) and bool(torch.isposinf(node.high).all()):
        one = torch.ones((), dtype=torch.float64)
        return Scale(name=node.name, inputs=node.inputs, shape=node.shape, factor=one)
    return _activation(node, Ends(node.low, node.high))


def _activation(node: Node, ends: Ends) -> Activation:
    """A clamp, by numbers where its ends are the same everywhere."""
    parameters = tuple(float(end) if end.numel() == 1 else end for end in ends)
    given = tuple(None if isinstance(end, float) and abs(end) == inf else end for end in parameters)
    return Activation(name=node.name, inputs=node.inputs, shape=node.shape, function="clamp", parameters=given)


def _cancelled(graph: Graph, place: int, node: Add, users: Counter[int]) -> Graph | None:
    """A sum of sums of which one value is left."""
    total: dict[int, float] = {}
    for k, c in zip(node.inputs, node.coefficients, strict=True):
        inner = graph.nodes[k]
        if isinstance(inner, Add) and users[k] == 1:
            for at, own in zip(inner.inputs, inner.coefficients, strict=True):
                total[at] = total.get(at, 0.0) + c * own
        else:
            total[k] = total.get(k, 0.0) + c
    kept = {at: c for at, c in total.items() if c != 0}
    if list(kept.values()) != [1.0]:
        return None
    return passed_over(graph, place, next(iter(kept)))


def _unscaled(graph: Graph, place: int, node: Scale) -> Graph | None:
    """A factor of 1 behind a quantiser, up to the rounding of products, is left out."""
    quantiser = graph.nodes[node.inputs[0]]
    if not isinstance(quantiser, Quantise):
        return None
    unchanged = (node.factor - 1).abs().max() <= SAME and (_shift(node) / quantiser.scale).abs().max() <= SAME
    return passed_over(graph, place, node.inputs[0]) if unchanged else None


def _moved_behind(graph: Graph, place: int, node: Scale, users: Counter[int]) -> Graph | None:
    """``Scale, Quantise, Scale`` as ``Quantise, Scale``; without the last where it would change nothing."""
    at = node.inputs[0]
    quantiser = graph.nodes[at]
    if not isinstance(quantiser, Quantise) or users[at] > 1:
        return None
    before = graph.nodes[quantiser.inputs[0]]
    if not isinstance(before, Scale) or users[quantiser.inputs[0]] > 1 or not bool((before.factor > 0).all()):
        return None
    factor, shift = before.factor, _shift(before)
    moved = replace(
        quantiser, inputs=before.inputs, scale=quantiser.scale / factor, zero=quantiser.zero + shift / quantiser.scale,
        low=(quantiser.low - shift) / factor, high=(quantiser.high - shift) / factor,
    )  # fmt: skip
    behind = replace(node, factor=node.factor * factor, bias=node.factor * shift + _shift(node))
    return without(graph, quantiser.inputs[0], {at: moved, place: behind})


def _shift(node: Scale) -> Tensor:
    return torch.zeros((), dtype=torch.float64) if node.bias is None else node.bias


def _ranged(graph: Graph, place: int, node: Activation, users: Counter[int]) -> Graph | None:
    """A clamp behind a quantiser, with or without a factor between them, is the quantiser's range."""
    ends, at = cut_off(node), node.inputs[0]
    if ends is not None and _within(graph, at, ends):
        return passed_over(graph, place, at)
    if ends is None or users[at] > 1:
        return None
    between = graph.nodes[at]
    if isinstance(between, Scale) and bool((between.factor > 0).all()) and users[between.inputs[0]] == 1:
        at = between.inputs[0]
        ends = Ends(*((end - _shift(between)) / between.factor for end in ends))
    quantiser = graph.nodes[at]
    if not isinstance(quantiser, Quantise):
        return None
    low, high = (torch.clamp(end, *ends) for end in (quantiser.low, quantiser.high))
    changed = [replace(quantiser, low=low, high=high) if k == at else other for k, other in enumerate(graph.nodes)]
    return passed_over(Graph(tuple(changed)), place, node.inputs[0])


class Grid(NamedTuple):
    """Where values lie: multiples of a scale, shifted by a zero point, between two ends."""

    scale: float
    zero: float
    low: float
    high: float


def _grid(graph: Graph, place: int) -> Grid | None:
    """The grid of one scale on which all entries of a value lie; None where none is known."""
    factor, shift = 1.0, 0.0
    while not isinstance(node := graph.nodes[place], Quantise):
        zeros = isinstance(node, Gather) and bool((node.index == 0).any())
        if isinstance(node, Scale) and node.factor.numel() == 1 and _shift(node).numel() == 1:
            factor, shift = factor * float(node.factor), shift + factor * float(_shift(node))
        elif not isinstance(node, Gather | MaxPool) or zeros:
            return None
        place = node.inputs[0]
    fields = (node.scale, node.zero, node.low, node.high)
    if factor <= 0 or any(end.numel() > 1 for end in fields):
        return None
    scale, zero, low, high = map(float, fields)
    return Grid(scale * factor, zero - shift / (scale * factor), low * factor + shift, high * factor + shift)


def _within(graph: Graph, place: int, ends: Ends) -> bool:
    """Whether a value lies on a grid that a clamp leaves as it is."""
    grid = _grid(graph, place)
    if grid is None:
        return False
    doubt = SAME * grid.scale
    return bool((ends.low <= grid.low + doubt).all() and (ends.high >= grid.high - doubt).all())


def _on_its_grid(graph: Graph, node: Quantise) -> bool:
    """Whether a quantiser, of one scale, is given points of its own grid within its range."""
    given = _grid(graph, node.inputs[0])
    if given is None or node.scale.numel() > 1 or node.zero.numel() > 1:
        return False
    apart = float(node.zero) - given.zero
    same = abs(given.scale / float(node.scale) - 1) <= SAME and abs(apart - round(apart)) <= GRIDS
    return same and _within(graph, node.inputs[0], Ends(node.low, node.high))
