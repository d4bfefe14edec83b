"""Graphs with nodes merged, passed over and left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Node


def without(graph: Graph, gone: int, merged: Mapping[int, Node]) -> Graph:
    """The graph with new nodes in the places of others, and one place, which nothing uses any more, gone."""
    nodes = [merged.get(place, node) for place, node in enumerate(graph.nodes)]
    return compact(nodes, {gone})


def passed_over(graph: Graph, place: int, before: int) -> Graph:
    """The graph without a node: who used it uses another that stands before it."""
    nodes = [replace(node, inputs=tuple(before if k == place else k for k in node.inputs)) for node in graph.nodes]
    if place == len(nodes) - 1:  # the output stays last
        return needed(Graph(tuple(nodes[: before + 1])))
    return compact(nodes, {place})


def needed(graph: Graph) -> Graph:
    """The graph without what the output does not stand on; the input stays."""
    wanted = {0, len(graph.nodes) - 1}
    for place in range(len(graph.nodes) - 1, 0, -1):
        if place in wanted:
            wanted |= set(graph.nodes[place].inputs)
    return compact(list(graph.nodes), set(range(len(graph.nodes))) - wanted)


def compact(nodes: list[Node], gone: set[int]) -> Graph:
    """The nodes that are not gone, with their inputs' new places."""
    kept = [place for place in range(len(nodes)) if place not in gone]
    places = {old: new for new, old in enumerate(kept)}
    return Graph(tuple(replace(nodes[k], inputs=tuple(places[i] for i in nodes[k].inputs)) for k in kept))
