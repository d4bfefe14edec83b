"""Norms of what lies between two nonlinearities, each of them replaced by its centre: a linear map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Add, Concatenate, Linear, Node
from bench.functional.lipschitz.certificate import Norm
from bench.functional.lipschitz.chain_bounds.rounding import spectral_norm
from bench.stats.blas_threads import one_thread

MOST = 4096  # dimensions of the smaller end, for the map itself
ENTRIES = 120_000_000  # of a map that is written out: a gigabyte
SLACK = 1e-6  # relative, far beyond the rounding of sums of float64
CHUNK = 128  # rows that go backwards through the network together


class Composite(NamedTuple):
    """An upper bound of a norm, and whether it is that of the map itself."""

    value: float
    exact: bool


class Composites:
    """Upper bounds of the l2 norms of the linear maps from a source's value to a target's.

    Where the smaller end has at most 4,096 dimensions the map is applied to that end's identity and its norm found;
    else norms of layers are multiplied. A composed symbol of convolutions on a padded grid would be no bound: padding
    with zeros crops between layers.

    Args:
        graph: a network.
        centres: by place of a nonlinear node, what takes its place: a number to multiply by.
        norm: an upper bound of a linear node's norm.
        targets: places whose values are asked for.
    """

    def __init__(
        self, graph: Graph, centres: Mapping[int, float], norm: Callable[[Node], float], targets: tuple[int, ...]
    ) -> None:
        self.graph, self.centres, self.norm, self.targets = graph, centres, norm, targets
        self.sources = (0, *graph.nonlinear)
        self.known: dict[tuple[int, int], Composite] = {}

    def of(self, source: int, target: int) -> Composite:
        """The bound of one map; 0 where no path leads there."""
        key = source, target
        if key not in self.known:
            nodes = self.graph.nodes
            ends = nodes[source].size, nodes[target].size
            if min(ends) <= MOST and ends[0] * ends[1] <= ENTRIES:
                self._forward(source) if ends[0] <= ends[1] else self._backward(target)
            self.known.setdefault(key, Composite(self._product(source, target), exact=False))
        return self.known[key]

    def _forward(self, source: int) -> None:
        """All maps from a source, of its identity."""
        node = self.graph.nodes[source]
        identity = torch.eye(node.size, dtype=torch.float64).reshape(node.size, *node.shape)
        with torch.no_grad():
            values = self.graph.spread({source: identity}, self.centres)
        for target in self.targets:
            value, size = values[target], self.graph.nodes[target].size
            if node.size <= size <= ENTRIES // node.size:
                self._keep(source, target, value)

    def _backward(self, target: int) -> None:
        """All maps to a target that is the smaller end."""
        size = self.graph.nodes[target].size
        wanted = [place for place in self.sources if place <= target and size < self.graph.nodes[place].size]
        for place, rows in self.rows_to(
            target, [k for k in wanted if self.graph.nodes[k].size <= ENTRIES // size]
        ).items():
            self._keep(place, target, rows)

    def rows_to(self, target: int, sources: list[int]) -> dict[int, Tensor | None]:
        """The maps to a target, (target's size, source's size) by source; None where no path leads there.

        The target's identity is put through the network backwards, a few rows at a time.
        """
        size, nodes = self.graph.nodes[target].size, self.graph.nodes
        rows: dict[int, list[Tensor]] = {place: [] for place in sources}
        for begin in range(0, size, CHUNK):
            m = min(CHUNK, size - begin)
            leaves = {
                place: torch.zeros(m, *nodes[place].shape, dtype=torch.float64, requires_grad=True) for place in sources
            }
            value = self.graph.spread(leaves, self.centres)[target]
            if value is None:
                break
            picked = value.reshape(m, -1)[:, begin : begin + m].diagonal().sum()
            found = torch.autograd.grad(picked, list(leaves.values()), allow_unused=True)
            for place, gradient in zip(sources, found, strict=True):
                if gradient is not None:
                    rows[place].append(gradient.reshape(m, -1))
        return {place: torch.cat(parts) if parts else None for place, parts in rows.items()}

    def _keep(self, source: int, target: int, rows: Tensor | None) -> None:
        """The norm of a map from its rows or columns, (smaller end, larger end)."""
        self.known[source, target] = Composite(0.0 if rows is None else norm_of(rows), exact=True)

    def _product(self, source: int, target: int) -> float:
        """Norms of layers, multiplied along paths and added where paths meet."""
        return multiplied(self.graph, self.norm, lambda place: abs(self.centres[place]), source, last=target)[target]


def norm_of(rows: Tensor) -> float:
    """An upper bound of the l2 norm of a map that is written out, (smaller end, ...).

    Raises:
        ValueError: an entry is not finite.
    """
    if not bool(rows.isfinite().all()):
        raise ValueError("a map with entries that are not finite")
    with one_thread():
        return spectral_norm(rows.reshape(len(rows), -1).numpy()) * (1 + SLACK)


def meeting(node: Linear, bounds: list[float], norm: Callable[[Node], float], of: Norm = "l2") -> float:
    """A bound of a linear node's value from those of its inputs.

    ``‖W‖ L``; of a sum ``Σ |c_i| L_i``; of a concatenation ``sqrt(Σ L_i²)``, in l_inf the largest.
    """
    if isinstance(node, Add):
        return sum(abs(c) * bound for c, bound in zip(node.coefficients, bounds, strict=True)) * (1 + SLACK)
    if isinstance(node, Concatenate) and of == "linf":
        return max(bounds)
    if isinstance(node, Concatenate):
        return float(np.sqrt(sum(bound**2 for bound in bounds))) * (1 + SLACK)
    return norm(node) * bounds[0] * (1 + 1e-12)


def multiplied(
    graph: Graph,
    norm: Callable[[Node], float],
    largest: Callable[[int], float],
    source: int = 0,
    of: Norm = "l2",
    known: Mapping[int, float] | None = None,
    last: int | None = None,
) -> list[float]:
    """Upper bounds of how fast each node's value changes with a source's: norms multiplied along paths, added at meets.

    Args:
        graph: a network.
        norm: of linear nodes.
        largest: by the place of a nonlinear node, the largest of its difference quotients.
        source: its place; all other values that do not hang on it are held fixed.
        of: the norm of values.
        known: better bounds by place, where there are some.
        last: the place of the last node that is asked for; by default all.

    Returns:
        A bound for each node up to the last; 0 where no path leads from the source.
    """
    better = known or {}
    bounds: list[float | None] = []  # None: no path
    for place, node in enumerate(graph.nodes[: None if last is None else last + 1]):
        given = [bounds[k] for k in node.inputs]
        bound: float | None = None
        if place == source:
            bound = 1.0
        elif any(item is not None for item in given):
            numbers = [0.0 if item is None else item for item in given]
            bound = meeting(node, numbers, norm, of) if isinstance(node, Linear) else largest(place) * numbers[0]
            bound = min(bound, better.get(place, bound))
        bounds.append(bound)
    return [0.0 if bound is None else bound for bound in bounds]
