"""Norms of what lies between what bends at one nonlinearity and what bends at another: a linear map, cut to both."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.canonical_form.graph import Centre, Graph
from bench.canonical_form.nodes import Gather, Linear, Nonlinear
from bench.functional.lipschitz.certificate import Norm
from bench.functional.lipschitz.chain_bounds.rounding import row_sum_norm, spectral_norm
from bench.functional.lipschitz.graph_bounds.composites import ENTRIES, MOST, Composite, multiplied
from bench.functional.lipschitz.graph_bounds.local_parts import LocalPart
from bench.functional.lipschitz.graph_bounds.node_norms import UP, NodeNorms
from bench.functional.lipschitz.relaxations.magnitudes import pulled_back
from bench.stats.blas_threads import one_thread

SLACK = 5e-7  # relative, far beyond the rounding of sums of float64
NUMBERS = 8_000_000  # of all values that are in memory together
CHUNK = 128  # rows that go through the network together, at most


class LocalMaps:
    """Upper bounds of ``‖diag(weight) B diag(support)‖``, B the linear map from a source's value to a target's.

    Nonlinearities in between are their centres. Only entries that bend have a weight or belong to a support, so maps
    are small where little bends; the smaller end's rows are put through the network. Above ``most`` of them norms
    of layers are multiplied.

    Args:
        graph: a network.
        parts: of each nonlinear node, by place.
        norms: of linear nodes.
        most: rows that are put through the network for one map.
    """

    def __init__(self, graph: Graph, parts: dict[int, LocalPart], norms: NodeNorms, most: int = MOST) -> None:
        self.most = most
        self.graph, self.parts, self.norms, self.norm = graph, parts, norms, norms.norm
        self.centres: dict[int, Centre] = {place: part.centre for place, part in parts.items()}
        self.supports = {0: torch.arange(graph.nodes[0].size)}
        self.weights = {len(graph.nodes) - 1: torch.ones(graph.nodes[-1].size, dtype=torch.float64)}
        for place, part in parts.items():
            self.supports[place] = part.support.nonzero()[:, 0]
            self.weights.setdefault(-place, part.weight)  # of the input of a nonlinearity, by its negative place
        self.known: dict[tuple[int, int], Composite] = {}

    def before(self, source: int, place: int) -> Composite:
        """From a source to what stands before a nonlinearity."""
        return self._of(source, -place)

    def output(self, source: int) -> Composite:
        """From a source to the output."""
        return self._of(source, len(self.graph.nodes) - 1)

    def _of(self, source: int, target: int) -> Composite:
        key = source, target
        if key not in self.known:
            ends = self._ends(source, target)
            if 0 in ends:
                self.known[key] = Composite(0.0, exact=True)
            elif min(ends) <= self.most and ends[0] * ends[1] <= ENTRIES:
                self._forward(source) if ends[0] <= ends[1] else self._backward(target)
            self.known.setdefault(key, Composite(self._product(source, target), exact=False))
        return self.known[key]

    def _ends(self, source: int, target: int) -> tuple[int, int]:
        return len(self.supports[source]), int((self.weights[target] > 0).sum())

    def _node(self, target: int) -> int:
        """The place of the value that a target weighs."""
        return self.graph.nodes[-target].inputs[0] if target < 0 else target

    def _forward(self, source: int) -> None:
        """All maps from a source whose own end is the smaller one."""
        node, support = self.graph.nodes[source], self.supports[source]
        targets = [k for k in self.weights if self._node(k) >= source and self._smaller(source, k) == "source"]
        found: dict[int, list[Tensor]] = {target: [] for target in targets}
        for places in torch.split(support, self._chunk()):
            rows = torch.zeros(len(places), node.size, dtype=torch.float64)
            rows[torch.arange(len(places)), places] = 1.0
            with torch.no_grad():
                values = self.graph.spread({source: rows.reshape(-1, *node.shape)}, self.centres)
            for target in targets:
                value, weight = values[self._node(target)], self.weights[target]
                if value is not None:
                    cut = weight > 0
                    found[target].append(value.reshape(len(places), -1)[:, cut] * weight[cut])
        for target in targets:
            self._keep(source, target, [part.T for part in found[target]], 1)

    def _backward(self, target: int) -> None:
        """All maps to a target that is the smaller end."""
        weight, nodes = self.weights[target], self.graph.nodes
        last = self._node(target)
        sources = [k for k in self.supports if k <= last and self._smaller(k, target) == "target"]
        found: dict[int, list[Tensor]] = {source: [] for source in sources}
        for places in torch.split((weight > 0).nonzero()[:, 0], self._chunk()):
            rows = torch.zeros(len(places), nodes[last].size, dtype=torch.float64)
            rows[torch.arange(len(places)), places] = weight[places]
            passing = {last: rows.reshape(-1, *nodes[last].shape)}
            for place in range(last, -1, -1):
                own = passing.pop(place, None)
                if own is None:
                    continue
                if place in found:
                    found[place].append(own.reshape(len(own), -1)[:, self.supports[place]])
                for k, part in zip(nodes[place].inputs, self._pulled(place, own), strict=True):
                    if part is not None:
                        passing[k] = part if k not in passing else passing[k] + part
        for source in sources:
            self._keep(source, target, found[source], 0)

    def _pulled(self, place: int, rows: Tensor) -> list[Tensor | None]:
        """Rows over a node's value as rows over its inputs, nonlinearities by their centres."""
        node = self.graph.nodes[place]
        shapes = [self.graph.nodes[k].shape for k in node.inputs]
        with torch.no_grad():
            if isinstance(node, Linear):
                return pulled_back(node, rows, shapes)
            if not isinstance(node, Nonlinear):
                return []
            centre = self.centres[place]
            if isinstance(centre, Linear):
                return pulled_back(centre, rows, shapes)
            return [rows * centre] if isinstance(centre, Tensor) or centre != 0 else [None]

    def _smaller(self, source: int, target: int) -> str:
        """Which end's rows are put through the network; none where both are too large, or where nothing is left."""
        first, second = self._ends(source, target)
        if min(first, second) == 0 or min(first, second) > self.most or first * second > ENTRIES:
            return ""
        return "source" if first <= second else "target"

    def _chunk(self) -> int:
        return max(8, min(CHUNK, NUMBERS // sum(node.size for node in self.graph.nodes)))

    def _keep(self, source: int, target: int, parts: list[Tensor], axis: int) -> None:
        matrix = torch.cat(parts, dim=axis) if parts else torch.zeros(1, 1)
        self.known[source, target] = Composite(norm_of(matrix, self.norm), exact=True)

    def _product(self, source: int, target: int) -> float:
        """Norms of layers, multiplied along paths and added where paths meet."""
        bounds = multiplied(
            self.graph, self.norms, lambda place: _size(self.centres[place], self.norm), source, self.norm,
            last=self._node(target),
        )  # fmt: skip
        return bounds[-1] * float(self.weights[target].max()) * UP


def norm_of(matrix: Tensor, norm: Norm) -> float:
    """An upper bound of the norm of a map (outputs, inputs) that is written out.

    Raises:
        ValueError: an entry is not finite.

    >>> round(norm_of(torch.tensor([[3.0, 4.0]]).double(), "l2"), 4)
    5.0
    """
    if not bool(matrix.isfinite().all()):
        raise ValueError("a map with entries that are not finite")
    with one_thread():
        found = (spectral_norm if norm == "l2" else row_sum_norm)(matrix.double().numpy())
    return found * (1 + SLACK)


def _size(centre: Centre, norm: Norm) -> float:
    """A bound of a centre's norm."""
    if isinstance(centre, Gather):
        return float(centre.copies) ** 0.5 * UP if norm == "l2" else 1.0
    return float(centre.abs().max()) if isinstance(centre, Tensor) else abs(float(centre))  # type: ignore[arg-type]
