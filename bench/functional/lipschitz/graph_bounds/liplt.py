"""The product of norms and LipLT on any network in canonical form."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import MaxPool, Softmax
from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.graph_bounds.composites import Composites, multiplied
from bench.functional.lipschitz.graph_bounds.node_norms import NodeNorms, NonlinearPart, nonlinear_part

MULTIPLIED = "norms are multiplied at skips and max pooling"


def product(graph: Graph, norm: Norm = "l2") -> LipschitzBound:
    """The product of the layers' norms, an upper bound of the constant.

    ``L(W x) = ‖W‖ L(x)``, ``L(φ(x)) = max |slope| L(x)``; branches that meet are added, or the root of their squares
    (in l_inf the largest) where they are concatenated. Every network in canonical form has one.

    Args:
        graph: a network.
        norm: of inputs and outputs alike.

    >>> import torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.ReLU()).eval()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.diag(torch.tensor([3.0, 1.0])))
    >>> round(product(canonical_form(network, torch.zeros(1, 2))).value, 6)
    3.0
    """
    started, norms = time.perf_counter(), NodeNorms(graph, norm)
    value = reach(graph, norms)[-1]
    return LipschitzBound(
        "product", "certified", value, norm, slack=norms.slack, seconds=time.perf_counter() - started,
        layers=norms.layers, note=_note(graph),
    )  # fmt: skip


def liplt(graph: Graph, solved: Solved | None = None) -> LipschitzBound:
    """LipLT, an upper bound of the l2 constant that keeps what layers are together (arXiv 2310.00116).

    Each nonlinearity is split, ``φ = c id + r ψ`` with ψ 1-Lipschitz (c, r the middle and half the width of its
    slopes; max pooling: c = 0, r its norm). With all ψ taken as inputs of their own the network is linear, and
    ``L(z_k) ≤ ‖A_k‖ + Σ_{j<k} ‖B_kj‖ r_j L(z_j)`` for what stands before each nonlinearity and for the output. At
    every nonlinearity the smaller of this and the product is taken, so the value never exceeds the product.

    Args:
        graph: a network.
        solved: these sums, where they are known.
    """
    started = time.perf_counter()
    solved = solve(graph) if solved is None else solved
    note = _note(graph)
    if solved.products:
        note = "; ".join(
            filter(None, [note, f"{solved.products} of {solved.sums} sums hold products of layers' norms"])
        )
    return LipschitzBound(
        "LipLT", "certified", reach(graph, solved.norms, solved.known)[-1], slack=solved.norms.slack,
        seconds=time.perf_counter() - started, layers=solved.norms.layers, note=note,
    )  # fmt: skip


class Solved(NamedTuple):
    """LipLT's sums: bounds of the values before each nonlinearity and of the output, and what they are made of."""

    known: dict[int, float]  # by place
    parts: dict[int, NonlinearPart]  # by place of a nonlinearity
    before: dict[int, int]  # the place of its input
    composites: Composites
    norms: NodeNorms
    sums: int
    products: int  # sums that hold products of layers' norms


def solve(graph: Graph) -> Solved:
    """All sums of LipLT, in the order of the network."""
    norms, output = NodeNorms(graph), len(graph.nodes) - 1
    parts = {place: nonlinear_part(graph, place) for place in graph.nonlinear}
    before = {place: graph.nodes[place].inputs[0] for place in graph.nonlinear}
    targets = [before[place] for place in graph.nonlinear] + [output] * (output not in parts)
    composites = Composites(graph, {place: part.centre for place, part in parts.items()}, norms, tuple(targets))
    known: dict[int, float] = {}
    products = 0
    for target in targets:
        first = composites.of(0, target)
        total, exact = first.value, first.exact
        for other in (place for place in graph.nonlinear if place <= target):
            between = composites.of(other, target)
            total += between.value * parts[other].radius * known[before[other]]
            exact &= between.exact
        products += not exact
        known[target] = min(total * (1 + 1e-9), reach(graph, norms, known)[target])
    return Solved(known, parts, before, composites, norms, len(targets), products)


def reach(graph: Graph, norms: NodeNorms, known: Mapping[int, float] | None = None, source: int = 0) -> list[float]:
    """Upper bounds of how fast each node's value changes with a source's, by norms and global slopes.

    Args:
        graph: a network.
        norms: of its linear nodes.
        known: better bounds by place, where there are some.
        source: its place; the input by default.
    """
    return multiplied(
        graph, norms, lambda place: nonlinear_part(graph, place, norms.norm).largest, source, norms.norm, known
    )


def _note(graph: Graph) -> str:
    meets = any(len(node.inputs) > 1 for node in graph.nodes)
    pools = any(isinstance(node, MaxPool | Softmax) for node in graph.nodes)
    return MULTIPLIED if meets or pools else ""
