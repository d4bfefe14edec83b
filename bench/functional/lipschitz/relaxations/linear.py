"""Bounds by lines: each nonlinearity between two linear functions, put together backwards from a node to the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, Linear, MaxPool, Node, Nonlinear, Quantise
from bench.functional.lipschitz.chain_bounds.rounding import UNDERFLOW, gamma
from bench.functional.lipschitz.regions import Ball, Region, checked
from bench.functional.lipschitz.relaxations import magnitudes
from bench.functional.lipschitz.relaxations.activation_lines import Lines, lines_on
from bench.functional.lipschitz.relaxations.activation_slopes import slopes_on
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.intervals import entry, interval
from bench.functional.lipschitz.relaxations.quantiser_lines import quantiser_lines
from bench.functional.lipschitz.relaxations.windows import Winners, winners

MOST = 4096  # numbers of a layer that are bounded by lines; more keep their intervals
NUMBERS = 8_000_000  # of coefficients that are in memory together, of one node


class Passed(NamedTuple):
    """Rows of coefficients before a nonlinearity, what they add, and what rounding may have changed."""

    rows: Tensor  # (m, size of the input)
    constant: Tensor  # (m,)
    size: Tensor  # (size of the node,), for the rounding: |A| @ size


def linear_bounds(
    graph: Graph,
    region: Region,
    intermediate: Literal["linear", "interval"] = "linear",
    *,
    most: int = MOST,
    every: bool = False,
) -> list[Ends]:
    """For every node an interval that holds each of its numbers, by lines where that is worth it.

    Backward linear relaxation (CROWN, arXiv 1811.00866) on any graph: ``A z`` of a node is bounded by ``A' x + c`` of
    the input, through linear nodes by their vector-Jacobian product, through activations by the line on the side of
    each coefficient's sign; the maximum of ``A' x`` over a box is ``A' c + |A'| r``, over a ball ``A' c + ‖A'‖₂ R``.
    What is found is met with the interval of the node, so it is never worse than that from its inputs' intervals.

    Lines are drawn for what stands before a nonlinearity and is not known to be linear there, and for the output.

    Args:
        graph: a network in canonical form.
        region: a ``Box`` or a ``Ball`` of its inputs.
        intermediate: ``interval`` draws lines for the output alone.
        most: a layer with more numbers to bound keeps its intervals.
        every: whether numbers before a nonlinearity that is known to be linear there are bounded by lines too.

    Raises:
        NotApplicable: a node has no rule; it is named.
        ValueError: the region does not fit the network.

    >>> import numpy as np
    >>> from bench.canonical_form.trace import canonical_form
    >>> from bench.functional.lipschitz.regions import Box
    >>> class Twice(torch.nn.Module):
    ...     def forward(self, x):
    ...         return torch.relu(x) - x  # between −1 and 1 by intervals
    >>> found = linear_bounds(canonical_form(Twice().eval(), torch.zeros(1, 1)), Box(np.zeros(1), np.ones(1)))
    >>> [round(float(end), 9) + 0.0 for end in found[-1]]
    [0.0, 0.0]
    """
    region = checked(region, graph.nodes[0].size)
    output = len(graph.nodes) - 1
    before = {graph.nodes[place].inputs[0]: place for place in graph.nonlinear} if intermediate == "linear" else {}
    found = [entry(graph, region)]
    passing: dict[int, Callable[[Tensor], Passed]] = {}
    with torch.no_grad():
        for place, node in enumerate(graph.nodes[1:], start=1):
            found.append(interval(graph, node, [found[k] for k in node.inputs]))
            if place == output:
                wanted = torch.ones(node.size, dtype=torch.bool)
            elif place in before:
                wanted = _wanted(graph, graph.nodes[before[place]], found[place], every)
            else:
                wanted = torch.zeros(node.size, dtype=torch.bool)
            if isinstance(node, Nonlinear):
                passing[place] = relaxed(graph, node, found[node.inputs[0]], found[place])
            count = int(wanted.sum())
            if 0 < count <= most and bool(found[place].magnitude.isfinite().all()):
                found[place] = found[place].meet(_by_lines(graph, region, place, wanted, found, passing))
    return found


def _wanted(graph: Graph, node: Node, ends: Ends, every: bool) -> Tensor:
    """Which numbers before a nonlinearity matter."""
    if not every and isinstance(node, Activation):
        return slopes_on(node, ends).bent
    if not every and isinstance(node, MaxPool):
        seen = winners(node, graph.nodes[node.inputs[0]].shape, ends)
        return contested(seen, ends.low.numel())
    return torch.ones_like(ends.low, dtype=torch.bool)


def contested(seen: Winners, size: int) -> Tensor:
    """Entries that can win a window without winning it always, (size,)."""
    places = seen.places[seen.candidate & ~seen.fixed[:, None]]
    found = torch.zeros(size + 1, dtype=torch.bool)
    found[places] = True
    return found[1:]


def _by_lines(
    graph: Graph, region: Region, target: int, wanted: Tensor, ends: list[Ends],
    passing: dict[int, Callable[[Tensor], Passed]],
) -> Ends:  # fmt: skip
    """Bounds of the wanted numbers of a node; infinite for others."""
    size = graph.nodes[target].size
    low, high = torch.full((size,), -torch.inf).double(), torch.full((size,), torch.inf).double()
    widest = max(node.size for node in graph.nodes[: target + 1])
    for places in torch.split(wanted.nonzero()[:, 0], max(8, NUMBERS // (2 * widest))):
        rows = torch.zeros(len(places), size, dtype=torch.float64)
        rows[torch.arange(len(places)), places] = 1.0
        above = upper_ends(graph, region, target, torch.cat([rows, -rows]), ends, passing)
        high[places], low[places] = above[: len(places)], -above[len(places) :]
    return Ends(low, high)


def upper_ends(
    graph: Graph, region: Region, target: int, rows: Tensor, ends: list[Ends],
    passing: dict[int, Callable[[Tensor], Passed]],
) -> Tensor:  # fmt: skip
    """Upper ends of ``A z``, z the value of the target: rows A (m, size) to (m,), rounding included."""
    m, steps = len(rows), 4 * target
    coefficients = {target: rows}
    constant, doubt = torch.zeros(m, dtype=torch.float64), torch.zeros(m, dtype=torch.float64)
    for place in range(target, 0, -1):
        own = coefficients.pop(place, None)
        if own is None:
            continue
        node = graph.nodes[place]
        if isinstance(node, Linear):
            added, size, parts = _through(graph, node, own, ends)
            doubt += magnitudes.lost(node, node.size + steps) * (own.abs() @ size)
        else:
            passed = passing[place](own)
            added, parts = passed.constant, [passed.rows]
            doubt += gamma(node.size + 8 + steps) * (own.abs() @ passed.size)
        constant += added
        for k, part in zip(node.inputs, parts, strict=True):
            if part is None:
                continue
            if k in coefficients:
                part = coefficients[k] + part
                doubt += gamma(node.size + 1) * (part.abs() @ ends[k].magnitude)
            coefficients[k] = part
    found = constant + 1.01 * doubt + UNDERFLOW
    own = coefficients.get(0)
    if own is not None:
        found = found + _largest(region, own, steps)
    return found.nan_to_num(nan=torch.inf, posinf=torch.inf)


def _through(graph: Graph, node: Linear, rows: Tensor, ends: list[Ends]) -> tuple[Tensor, Tensor, list[Tensor | None]]:
    """What rows over a linear node add, ``|W| |z'| + |b|``, and the rows over its inputs."""
    shapes = [graph.nodes[k].shape for k in node.inputs]
    parts = magnitudes.pulled_back(node, rows.reshape(len(rows), *node.shape), shapes)
    largest = [ends[k].magnitude.reshape(1, *shape) for k, shape in zip(node.inputs, shapes, strict=True)]
    size = magnitudes.magnitude(node).linear(*largest).reshape(-1)
    bias = magnitudes.constant(node)
    added = torch.zeros(len(rows), dtype=torch.float64) if bias is None else rows @ bias
    size = size if bias is None else size + bias.abs()
    return added, size, [None if part is None else part.reshape(len(rows), -1) for part in parts]


def _largest(region: Region, rows: Tensor, steps: int) -> Tensor:
    """Upper ends of ``max A x`` over the region, (m,)."""
    if isinstance(region, Ball):
        centre, radius = torch.from_numpy(region.centre), region.radius
        reach = radius * torch.linalg.vector_norm(rows, dim=1)
        size = rows.abs() @ centre.abs() + reach
    else:
        low, high = (torch.from_numpy(end) for end in region)
        centre, half = low / 2 + high / 2, (high - low) / 2
        reach = rows.abs() @ half
        size = rows.abs() @ torch.maximum(low.abs(), high.abs())
    found: Tensor = rows @ centre + reach + gamma(rows.shape[1] + 16 + steps) * size
    return found


def relaxed(graph: Graph, node: Nonlinear, before: Ends, after: Ends) -> Callable[[Tensor], Passed]:
    """How rows of coefficients pass backwards through a nonlinearity: upper ends of ``A φ(z)`` as rows over z.

    A kind of node without a rule of its own is a constant between its ends.
    """
    rule = next((rule for kind, rule in RELAXATIONS.items() if isinstance(node, kind)), _between_ends)
    return rule(graph, node, before, after)


def _between_ends(graph: Graph, node: Any, before: Ends, after: Ends) -> Callable[[Tensor], Passed]:
    flat = torch.zeros_like(before.low)

    def passed(rows: Tensor) -> Passed:
        constant = rows.clamp(min=0) @ after.high + rows.clamp(max=0) @ after.low
        return Passed(torch.zeros(len(rows), len(flat), dtype=torch.float64), constant, after.magnitude)

    return passed


def _by_activation(graph: Graph, node: Any, before: Ends, after: Ends) -> Callable[[Tensor], Passed]:
    return between(lines_on(node, before), before)


def _by_quantiser(graph: Graph, node: Any, before: Ends, after: Ends) -> Callable[[Tensor], Passed]:
    return between(quantiser_lines(node, before, after), before)


def between(lines: Lines, before: Ends) -> Callable[[Tensor], Passed]:
    """Between lines: each coefficient takes the one on its side."""
    steep = torch.maximum(lines.slope_below.abs(), lines.slope_above.abs())
    size = steep * before.magnitude + torch.maximum(lines.cut_below.abs(), lines.cut_above.abs())

    def passed(rows: Tensor) -> Passed:
        up, down = rows.clamp(min=0), rows.clamp(max=0)
        constant = up @ lines.cut_above + down @ lines.cut_below
        return Passed(up * lines.slope_above + down * lines.slope_below, constant, size)

    return passed


def _by_windows(graph: Graph, node: Any, before: Ends, after: Ends) -> Callable[[Tensor], Passed]:
    """Max pooling: at least the entry with the largest low end; at most it if it always wins, else the largest end."""
    shape = graph.nodes[node.inputs[0]].shape
    seen = winners(node, shape, before)
    selection = seen.selection(node)
    fixed = seen.fixed.double()

    def passed(rows: Tensor) -> Passed:
        up, down = rows.clamp(min=0), rows.clamp(max=0)
        constant = (up * (1 - fixed)) @ after.high
        picked = (up * fixed + down).reshape(len(rows), *node.shape)
        (through,) = magnitudes.pulled_back(selection, picked, [shape])
        assert through is not None
        lost = magnitudes.TERMS[type(selection)](selection)  # entries of several windows are summed
        return Passed(through.reshape(len(rows), -1), constant, after.magnitude * (1 + lost / node.size))

    return passed


RELAXATIONS: dict[type[Any], Callable[[Graph, Any, Ends, Ends], Callable[[Tensor], Passed]]] = {
    Activation: _by_activation,
    Quantise: _by_quantiser,
    MaxPool: _by_windows,
}
"""The rule of each kind of nonlinear node that is more than a constant between its ends."""
