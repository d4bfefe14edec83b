"""A quantised network without its rounding, and where its quantisers stood."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from bench.canonical_form.edits import passed_over
from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Gather, Scale
from bench.canonical_form.quantisers import clamped, cut_off


class Surrogate(NamedTuple):
    """A network without rounding.

    ``graph``: each quantiser is the clamp to its range. A clamp of the input itself is left out: it takes no two inputs
    further apart, so every upper bound of the rest is one of the whole, and what lies behind it is the same. What is
    found from below belongs to ``whole``, where it stays. ``places``: where the value of each quantiser stands in
    ``graph``, by the quantiser's place in the network.
    """

    graph: Graph
    places: dict[int, int]
    whole: Graph


def surrogate_network(graph: Graph) -> Surrogate:
    """The surrogate of a network.

    >>> import torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> class Rounds(torch.nn.Module):
    ...     def forward(self, x):
    ...         return torch.round(2 * (torch.round(4 * x) / 4).relu()).clamp(0, 3)
    >>> found = surrogate_network(canonical_form(Rounds(), torch.rand(2, 3), rounding="keep"))
    >>> [type(node).__name__ for node in found.graph.nodes], found.places
    (['Input', 'Scale', 'Activation'], {1: 0, 3: 2})
    """
    smooth, places = clamped(graph)
    users = Counter(k for node in smooth.nodes for k in node.inputs)
    place = 0
    while users[place] == 1:
        before, place = place, next(k for k, node in enumerate(smooth.nodes) if place in node.inputs)
        node = smooth.nodes[place]
        if place in places.values() and cut_off(node) is not None and _alike(node.parameters):  # type: ignore[attr-defined]
            moved = {k: before if old == place else old - (old > place) for k, old in places.items()}
            return Surrogate(passed_over(smooth, place, before), moved, smooth)
        if not _rearranges(node):
            break
    return Surrogate(smooth, places, smooth)


def _alike(parameters: tuple[object, ...]) -> bool:
    """Whether every entry is cut off at the same ends."""
    return all(end is None or isinstance(end, float) for end in parameters)


def _rearranges(node: object) -> bool:
    """Whether a clamp behind a node could as well stand before it."""
    if isinstance(node, Gather):
        return not bool((node.index == 0).any())
    return isinstance(node, Scale) and node.factor.numel() == 1 and (node.bias is None or node.bias.numel() == 1)
