"""How fast a network's outputs change with the value of one of its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Nonlinear
from bench.functional.lipschitz.graph_bounds.composites import ENTRIES, SLACK, Composites
from bench.functional.lipschitz.graph_bounds.liplt import reach
from bench.functional.lipschitz.graph_bounds.node_norms import NodeNorms, nonlinear_part

Float = NDArray[np.float64]
UP = 1 + 1e-9


@dataclass(frozen=True)
class TailConstants:
    """Upper bounds of l2 constants from a node's value to the outputs together, and to each row of them (m,)."""

    whole: float
    rows: Float


class Tails:
    """Certified constants of what stands behind the nodes of a network, with everything before them held fixed.

    Of a change δ of node s's value alone, LipLT's sum (arXiv 2310.00116) begins at s instead of the input:
    ``L_s(z_k) ≤ ‖A_ks‖ + Σ_j ‖B_kj‖ r_j L_s(z_j)``, at each step no more than the product of norms. Global slopes
    alone enter, so the constants hold at every input.

    Args:
        graph: a network.
        places: nodes that will be asked for.
    """

    def __init__(self, graph: Graph, places: tuple[int, ...]) -> None:
        self.graph = graph
        self.norms, self.output = NodeNorms(graph), len(graph.nodes) - 1
        self.parts = {place: nonlinear_part(graph, place) for place in graph.nonlinear}
        self.before = {place: graph.nodes[place].inputs[0] for place in graph.nonlinear}
        self.targets = (*sorted(set(self.before.values()) - {self.output}), self.output)
        centres = {k: part.centre for k, part in self.parts.items()}
        self.composites = Composites(graph, centres, self.norms, self.targets)
        self._solved: dict[int, dict[int, float]] = {}
        self.composites.sources = tuple(sorted({*places, *graph.nonlinear}))

    def of(self, place: int, rows: Float) -> TailConstants:
        """The constants of what stands behind a node.

        Args:
            place: of the node.
            rows: (m, outputs), the functions ``r · f(x)`` of the outputs that are asked for beside f itself.

        >>> import torch
        >>> from bench.canonical_form.trace import canonical_form
        >>> network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).eval()
        >>> with torch.no_grad():
        ...     _ = network[2].weight.copy_(torch.tensor([[3.0, 4.0]]))
        >>> found = Tails(canonical_form(network, torch.zeros(1, 2)), (1,)).of(1, 2 * np.eye(1))
        >>> round(found.whole, 6), found.rows.round(6).tolist()
        (5.0, [10.0])
        """
        known = self._known(place)
        whole = known[self.output]
        lengths = np.linalg.norm(rows, axis=1) * whole
        return TailConstants(whole, np.minimum(lengths, self._of_rows(place, rows, known)) * UP)

    def _known(self, place: int) -> dict[int, float]:
        """LipLT's sums from a node on, by the place of what stands before each nonlinearity, and of the output."""
        if place not in self._solved:
            known: dict[int, float] = {}
            for target in (k for k in self.targets if k >= place):
                known[target] = min(
                    self._sum(place, target, known), reach(self.graph, self.norms, known, place)[target]
                )
            self._solved[place] = known
        return self._solved[place]

    def _sum(self, place: int, target: int, known: dict[int, float]) -> float:
        """LipLT's sum: the map itself, and what each nonlinearity between adds."""
        total = self.composites.of(place, target).value
        for other, before in self.before.items():
            if place <= before and other <= target:
                total += self.composites.of(other, target).value * self.parts[other].radius * known[before]
        return total * UP

    def _of_rows(self, place: int, rows: Float, known: dict[int, float]) -> Float:
        """LipLT's last sum with rows of the last maps."""
        if place not in self._maps or isinstance(self.graph.nodes[self.output], Nonlinear):
            return np.full(len(rows), np.inf)
        total = self._lengths(place, rows)
        for other, before in self.before.items():
            if place <= before:
                total = total + self._lengths(other, rows) * self.parts[other].radius * known[before]
        return total * (1 + SLACK)

    def _lengths(self, place: int, rows: Float) -> Float:
        """The l2 norm of each row times the map from a node to the outputs."""
        if place not in self._maps:
            return np.full(len(rows), np.inf)
        found = self._maps[place]
        return np.zeros(len(rows)) if found is None else np.linalg.norm(rows @ found.numpy(), axis=1)

    @cached_property
    def _maps(self) -> dict[int, Tensor | None]:
        """The map (outputs, size) from each node to the outputs, where it is small; None: no path leads there."""
        outputs = self.graph.nodes[self.output].size
        small = [k for k in self.composites.sources if self.graph.nodes[k].size * outputs <= ENTRIES]
        return self.composites.rows_to(self.output, small)
