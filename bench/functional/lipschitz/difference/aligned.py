"""Two networks of one structure, layer beside layer; quantisers may stand in one of them alone."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import NamedTuple

from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.joint import same_parameter
from bench.canonical_form.nodes import Add, Convolution, Dense, Linear, Node, Quantise, Scale
from bench.errors import NotApplicable


class Step(NamedTuple):
    """Values of f and g that are compared: of two nodes side by side, or of a quantiser and what the other has there.

    ``alone``: whose quantiser it is; the other network's place is that of the value that is not rounded there.
    """

    f: int
    g: int
    alone: str = ""  # "f" or "g"


def aligned(f: Graph, g: Graph) -> list[Step]:
    """The places of both networks side by side, from the inputs to the outputs.

    Raises:
        NotApplicable: their layers differ in kind, order or shape; the first that do are named.

    >>> import torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()).eval()
    >>> graph = canonical_form(network, torch.ones(1, 2))
    >>> [tuple(step) for step in aligned(graph, graph)]
    [(0, 0, ''), (1, 1, ''), (2, 2, '')]
    """
    if f.nodes[0].shape != g.nodes[0].shape:
        raise NotApplicable(f"the inputs have the shapes {f.nodes[0].shape} and {g.nodes[0].shape}")
    steps, known = [Step(0, 0)], {(0, 0)}
    left, right = 1, 1
    while left < len(f.nodes) or right < len(g.nodes):
        step = _quantiser(f, g, left, right, known) or _both(f, g, left, right, known)
        left, right = left + (step.alone != "g"), right + (step.alone != "f")
        steps.append(step)
        known.add((step.f, step.g))
    return steps


def _quantiser(f: Graph, g: Graph, left: int, right: int, known: set[tuple[int, int]]) -> Step | None:
    """The next quantiser of either network, beside the other's value of what it rounds."""
    for graph, place, alone in ((f, left, "f"), (g, right, "g")):
        if place < len(graph.nodes) and isinstance(graph.nodes[place], Quantise):
            before = graph.nodes[place].inputs[0]
            beside = [pair for pair in known if pair[alone == "g"] == before]
            other = max(pair[alone == "f"] for pair in beside)  # the latest: behind its own quantisers
            return Step(place, other, alone) if alone == "f" else Step(other, place, alone)
    return None


def _both(f: Graph, g: Graph, left: int, right: int, known: set[tuple[int, int]]) -> Step:
    """Two nodes that do the same with values that are compared."""
    if left == len(f.nodes) or right == len(g.nodes):
        longer = f.nodes[left] if left < len(f.nodes) else g.nodes[right]
        raise NotApplicable(f"one network has the layer {longer.name!r} more than the other")
    first, second = f.nodes[left], g.nodes[right]
    if type(first) is not type(second):
        kinds = f"{type(first).__name__} and {type(second).__name__}"
        raise NotApplicable(f"the layers {first.name!r} and {second.name!r} are of two kinds, {kinds}")
    if first.shape != second.shape or (what := _other_form(first, second)):
        what = "shape" if first.shape != second.shape else what
        raise NotApplicable(f"the layers {first.name!r} and {second.name!r} differ in their {what}")
    if len(first.inputs) != len(second.inputs) or not known.issuperset(zip(first.inputs, second.inputs, strict=False)):
        raise NotApplicable(f"the layers {first.name!r} and {second.name!r} stand behind different values")
    return Step(left, right)


def _other_form(first: Node, second: Node) -> str:
    """What two nodes of one kind differ in beside their weights; empty where they do not."""
    free = {"name", "inputs", "shape", "bias"} | ({"factor"} if isinstance(first, Scale) else set())
    free |= {"coefficients"} if isinstance(first, Add) else set()
    for name in (f.name for f in fields(first) if f.name not in free):
        one, other = getattr(first, name), getattr(second, name)
        same = one.shape == other.shape if name == "weight" else same_parameter(one, other)
        if not same:
            return name
    return ""


def change(first: Linear, second: Linear) -> Linear | None:
    """The linear map ``L_f − L_g`` with its constant, of two nodes side by side; None where they are equal.

    Its entries are rounded once, by at most 2⁻⁵³ of each.

    >>> import torch
    >>> one, two = (Dense(name="", inputs=(0,), shape=(1, 1), weight=torch.tensor([[w]]).double()) for w in (3.0, 1.0))
    >>> change(one, two).weight.tolist(), change(one, one)
    ([[2.0]], None)
    """
    bias = _less(first.bias, second.bias)
    if isinstance(first, Dense | Convolution):
        assert isinstance(second, Dense | Convolution)
        weight = first.weight - second.weight
        return None if bias is None and not weight.any() else replace(first, weight=weight, bias=bias)
    if isinstance(first, Scale):
        assert isinstance(second, Scale)
        factor = first.factor - second.factor
        return None if bias is None and not factor.any() else replace(first, factor=factor, bias=bias)
    assert bias is None  # sums, pools and rearrangements have no constant
    if isinstance(first, Add):
        assert isinstance(second, Add)
        left = tuple(a - b for a, b in zip(first.coefficients, second.coefficients, strict=True))
        return replace(first, coefficients=left) if any(left) else None
    return None


def _less(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """The difference of two constants; None where it is zero."""
    if first is None:
        return None if second is None or not second.any() else -second
    difference = first if second is None else first - second
    return difference if bool(difference.any()) else None
