"""Two networks as one graph whose output is their difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Add, Dense, Gather, Node
from bench.errors import NotApplicable


def joint(f: Graph, g: Graph) -> Graph:
    """The graph of ``f − g``; see ``joined``.

    >>> from bench.canonical_form.trace import canonical_form
    >>> f = canonical_form(torch.nn.Linear(2, 3).eval(), torch.zeros(1, 2))
    >>> joint(f, f)(torch.ones(1, 1, 2, dtype=torch.float64)).tolist()
    [[[0.0, 0.0, 0.0]]]
    """
    return joined(f, g).graph


class Joined(NamedTuple):
    """The graph of a difference, and where each node of g stands in it; those of f keep their places."""

    graph: Graph
    places: Mapping[int, int]


def joined(f: Graph, g: Graph) -> Joined:
    """The graph of ``f − g``: one input, the nodes of both, and last their difference.

    What both compute alike from the input on, weights bit for bit, stands in it once: of two equal networks the
    output is the difference of one value from itself. The value has the shape of f's output.

    Args:
        f: a network.
        g: another one of as many inputs and outputs; either may hold them in another shape.

    Raises:
        NotApplicable: the networks differ in their inputs or outputs.

    >>> from bench.canonical_form.trace import canonical_form
    >>> networks = [torch.nn.Linear(2, 3).eval() for _ in range(2)]
    >>> f, g = (canonical_form(network, torch.zeros(1, 2)) for network in networks)
    >>> x = torch.ones(1, 1, 2, dtype=torch.float64)
    >>> bool(torch.equal(joined(f, g).graph(x), f(x) - g(x))), len(joined(f, f).graph.nodes)
    (True, 3)
    """
    for what, place in (("inputs", 0), ("outputs", -1)):
        sizes = f.nodes[place].size, g.nodes[place].size
        if sizes[0] != sizes[1]:
            raise NotApplicable(f"the networks have {sizes[0]} and {sizes[1]} {what}; both need as many")
    nodes = list(f.nodes)
    places = {0: _in_shape(nodes, 0, g.nodes[0].shape, "input")}
    for place, node in enumerate(g.nodes[1:], start=1):
        moved = replace(node, inputs=tuple(places[k] for k in node.inputs))
        same = next((k for k, other in enumerate(nodes) if _equal(other, moved)), None)
        if same is None:
            nodes.append(moved)
        places[place] = len(nodes) - 1 if same is None else same
    shape, first = f.nodes[-1].shape, len(f.nodes) - 1
    second = _in_shape(nodes, places[len(g.nodes) - 1], shape, "output")
    nodes.append(Add(name="difference", inputs=(first, second), shape=shape, coefficients=(1.0, -1.0)))
    return Joined(Graph(tuple(nodes)), places)


def with_rows(graph: Graph, rows: Tensor) -> Graph:
    """The graph of ``R f(x)``: linear functions of the outputs, rows (m, outputs) of R, in the shape (1, m).

    >>> from bench.canonical_form.trace import canonical_form
    >>> f = canonical_form(torch.nn.Linear(2, 3).eval(), torch.zeros(1, 2))
    >>> x = torch.ones(1, 1, 2, dtype=torch.float64)
    >>> margins = torch.tensor([[1.0, -1.0, 0.0]], dtype=torch.float64)
    >>> bool(torch.allclose(with_rows(f, margins)(x), f(x)[..., 0] - f(x)[..., 1]))
    True
    """
    nodes = list(graph.nodes)
    place = _in_shape(nodes, len(nodes) - 1, (1, nodes[-1].size), "output")
    nodes.append(Dense(name="rows", inputs=(place,), shape=(1, len(rows)), weight=rows.double()))
    return Graph(tuple(nodes))


def _in_shape(nodes: list[Node], place: int, shape: tuple[int, ...], name: str) -> int:
    """The place of a value in another shape, put behind the nodes where there is need."""
    node = nodes[place]
    if node.shape == shape:
        return place
    nodes.append(Gather(name=f"{name} reshaped", inputs=(place,), shape=shape, index=torch.arange(1, node.size + 1)))
    return len(nodes) - 1


def _equal(first: Node, second: Node) -> bool:
    """Whether two nodes are one function of the same places; their names may differ."""
    if type(first) is not type(second) or first.inputs != second.inputs or first.shape != second.shape:
        return False
    names = [f.name for f in fields(first) if f.name not in ("name", "inputs", "shape")]
    return all(same_parameter(getattr(first, name), getattr(second, name)) for name in names)


def same_parameter(first: object, second: object) -> bool:
    """Whether two fields of nodes are equal, tensors and tuples that hold some included.

    >>> same_parameter((0.0, torch.ones(2)), (0.0, torch.ones(2))), same_parameter(torch.ones(2), torch.zeros(2))
    (True, False)
    """
    if isinstance(first, tuple) and isinstance(second, tuple):  # parameters, tensors among them
        return len(first) == len(second) and all(map(same_parameter, first, second))
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.shape == second.shape and torch.equal(first, second)
    return type(first) is type(second) and first == second
