"""Two networks brought to one structure: integer codes in real units, factors and ReLUs where the other has them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

from bench.canonical_form.edits import passed_over
from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import (
    Activation,
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Gather,
    MaxPool,
    Node,
    Quantise,
    Scale,
    Total,
)
from bench.errors import NotApplicable
from bench.functional.lipschitz.difference.aligned import aligned

HOMOGENEOUS = frozenset({"relu", "leaky_relu"})  # φ(c z) = c φ(z) for c > 0


def levelled(f: Graph, g: Graph) -> tuple[Graph, Graph]:
    """The same two networks in one structure, where that can be had; else as they are.

    A network of integers holds codes: its input is multiplied by 1 / s, its weights by s_in s_w / s_out. What a code
    is worth is left out of its graph; it is found beside the other network, c = ⟨W_f, W_g⟩ / ‖W_g‖² of each layer, and
    weights and grids are multiplied by it. ReLUs and grids do not mind a positive factor, so the function stays, up to
    rounding of its weights in float64, as when BatchNorm is folded. A quantiser whose range begins at 0 does what a
    ReLU before it would do: one is put there where the other network has it.

    Args:
        f: a network.
        g: another one.
    """
    f, g = _plain(f), _plain(g)
    for first, second, turned in ((f, g, False), (g, f, True)):
        try:
            aligned(first, second)
            return f, g
        except NotApplicable:
            pass
        try:
            made = _Levelling(first, second).graph
            aligned(first, made)
        except NotApplicable:
            continue
        return (made, g) if turned else (f, made)
    return f, g


class _Value(NamedTuple):
    """A value of g: its place in the graph that is made, what it is worth there, and f's value beside it."""

    place: int
    unit: float  # the real value is that many times g's own
    beside: int


def _plain(graph: Graph) -> Graph:
    """Without concatenations of one value; the axes of sums in their order."""
    ordered = [
        replace(node, axes=tuple(sorted(node.axes))) if isinstance(node, Total) else node for node in graph.nodes
    ]
    graph = Graph(tuple(ordered))
    for place in range(len(graph.nodes) - 1, 0, -1):
        node = graph.nodes[place]
        if isinstance(node, Concatenate) and len(node.inputs) == 1 and len(graph.nodes) > 2:
            graph = passed_over(graph, place, node.inputs[0])
    return graph


class _Levelling:
    """g in the units of f, node by node; ``NotApplicable`` where it cannot be brought to f's structure."""

    def __init__(self, f: Graph, g: Graph) -> None:
        self.f, self.g = f, g
        self.users = Counter(k for node in g.nodes for k in node.inputs)
        self.forced = self._from_the_output()
        self.nodes: list[Node] = [g.nodes[0]]
        self.values = {0: _Value(0, 1.0, 0)}
        self.next = 1
        for place, node in enumerate(g.nodes[1:], start=1):
            self.values[place] = self._after(place, node, [self.values[k] for k in node.inputs])
        if self.values[len(g.nodes) - 1].unit != 1.0:
            raise NotApplicable("the outputs have no common unit")

    @property
    def graph(self) -> Graph:
        """g, levelled."""
        return Graph(tuple(self.nodes))

    def _from_the_output(self) -> dict[int, float]:
        """Units that follow from what stands between a value and the output, whose unit is 1."""
        place, unit = len(self.g.nodes) - 1, 1.0
        found = {place: unit}
        while isinstance(node := self.g.nodes[place], Scale | Quantise | Gather):
            if isinstance(node, Scale):
                if not _is_unit(node):
                    break
                unit *= float(node.factor)
            (place,) = node.inputs
            if self.users[place] > 1:
                break
            found[place] = unit
        return found

    def _after(self, place: int, node: Node, given: list[_Value]) -> _Value:
        if isinstance(node, Quantise):
            return self._quantiser(node, given[0])
        while self.next < len(self.f.nodes) and isinstance(self.f.nodes[self.next], Quantise):
            self.next += 1
        beside = self.f.nodes[self.next] if self.next < len(self.f.nodes) else None
        if isinstance(node, Scale) and not isinstance(beside, Scale) and _is_unit(node):
            unit = given[0].unit / float(node.factor)
            return given[0]._replace(unit=1.0 if abs(unit - 1.0) < 1e-12 else unit)
        if beside is None or type(beside) is not type(node) or beside.shape != node.shape:
            raise NotApplicable(f"{node.name}: the other network has nothing like it")
        made, unit = self._with_unit(place, node, beside, given)
        value = _Value(self._put(made, given), unit, self.next)
        self.next += 1
        return value

    def _with_unit(self, place: int, node: Node, beside: Node, given: list[_Value]) -> tuple[Node, float]:
        """A node in f's units, and what its value is worth."""
        unit = given[0].unit
        if isinstance(node, Dense | Convolution):
            assert isinstance(beside, Dense | Convolution)
            if node.weight.shape != beside.weight.shape:
                raise NotApplicable(f"{node.name}: another shape")
            weight, found = node.weight / unit, self.forced.get(place, 1.0)
            if place not in self.forced and self._is_code(place):
                found = float((beside.weight * weight).sum() / (weight * weight).sum().clamp(min=1e-300))
            if not found > 0:
                raise NotApplicable(f"{node.name}: the other network's weights are not like its own")
            bias = None if node.bias is None else node.bias * found
            return replace(node, weight=weight * found, bias=bias), found
        if isinstance(node, Total):
            assert isinstance(beside, Total)
            return replace(node, factor=beside.factor), unit * beside.factor / node.factor
        if isinstance(node, Add):
            assert isinstance(beside, Add)
            found = unit * beside.coefficients[0] / node.coefficients[0]
            pairs = zip(node.coefficients, given, strict=True)
            return replace(node, coefficients=tuple(found * c / value.unit for c, value in pairs)), found
        if isinstance(node, Activation) and node.function == "clamp":
            ends = tuple(None if end is None else end * unit for end in node.parameters)  # type: ignore[operator]
            return replace(node, parameters=ends), unit
        free = isinstance(node, Gather | AveragePool | MaxPool) or (
            isinstance(node, Activation) and node.function in HOMOGENEOUS
        )
        if free or all(value.unit == 1.0 for value in given):
            return node, unit
        if isinstance(node, Concatenate) and len({value.unit for value in given}) == 1:
            return node, unit
        raise NotApplicable(f"{node.name}: its value has no unit of its own")

    def _quantiser(self, node: Quantise, given: _Value) -> _Value:
        """A quantiser in real units, behind a ReLU where f has one and the quantiser does its work."""
        beside = self.f.nodes[self.next] if self.next < len(self.f.nodes) else None
        if isinstance(beside, Activation) and beside.function == "relu" and beside.inputs == (given.beside,):
            whole = bool((node.zero == node.zero.round()).all())
            if not (whole and bool((node.low == 0).all())):
                raise NotApplicable(f"{node.name}: its range does not begin at 0, where the other network has a ReLU")
            given = _Value(self._put(replace(beside, name=node.name), [given]), given.unit, self.next)
            self.next += 1
        unit = given.unit
        made = replace(node, scale=node.scale * unit, low=node.low * unit, high=node.high * unit)
        return given._replace(place=self._put(made, [given]))

    def _is_code(self, place: int) -> bool:
        """Whether a layer's value is rounded to whole numbers, alone or behind what leaves units as they are."""
        while self.users[place] == 1:
            place, node = next((k, node) for k, node in enumerate(self.g.nodes) if place in node.inputs)
            if isinstance(node, Quantise):
                return bool((node.scale == 1).all())
            if not (isinstance(node, Gather | AveragePool | MaxPool | Activation)):
                return False
        return False

    def _put(self, node: Node, given: list[_Value]) -> int:
        self.nodes.append(replace(node, inputs=tuple(value.place for value in given)))
        return len(self.nodes) - 1


def _is_unit(node: Scale) -> bool:
    """Whether a node multiplies all by one positive number."""
    return node.bias is None and node.factor.numel() == 1 and bool((node.factor > 0).all())
