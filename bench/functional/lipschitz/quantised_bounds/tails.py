"""How fast the output changes with the value of a node inside a network."""

from __future__ import annotations

from collections.abc import Iterable

from bench.canonical_form.graph import Graph
from bench.functional.lipschitz.certificate import Norm
from bench.functional.lipschitz.graph_bounds.liplt import Solved, reach
from bench.functional.lipschitz.graph_bounds.node_norms import NodeNorms


def tails(graph: Graph, places: Iterable[int], norm: Norm = "l2", solved: Solved | None = None) -> dict[int, float]:
    """Upper bounds of the constant of the map from each node's value to the output, all other values fixed.

    LipLT's sums (arXiv 2310.00116) that begin at the node in place of the input: with
    ``T_p(t) ≤ ‖A_pt‖ + Σ_m ‖B_mt‖ r_m T_p(before m)`` over the nonlinearities m behind p, and never above the product
    of norms along the paths from p. In l_inf the product alone.

    Args:
        graph: a network without rounding.
        places: of nodes.
        norm: of values alike.
        solved: LipLT's sums of the graph, whose maps are used again; without them the product alone.

    Returns:
        The bounds by place; 0 where no path leads to the output.

    >>> import torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1))
    >>> with torch.no_grad():
    ...     _ = network[0].weight.fill_(2.0), network[2].weight.fill_(3.0)
    >>> found = tails(canonical_form(network.eval(), torch.zeros(1, 1)), [0, 2])
    >>> {place: round(value, 6) for place, value in found.items()}
    {0: 6.0, 2: 3.0}
    """
    norms = NodeNorms(graph, norm) if solved is None or norm != "l2" else solved.norms
    whole = solved if norm == "l2" else None
    return {place: _from(graph, place, norms, whole) for place in places}


def _from(graph: Graph, source: int, norms: NodeNorms, solved: Solved | None) -> float:
    known: dict[int, float] = {}
    output = len(graph.nodes) - 1
    if solved is not None:
        behind = [place for place in graph.nonlinear if place > source]
        for target in sorted({*(solved.before[place] for place in behind), output}):
            if target < source or (target == output and target in solved.parts):
                continue
            total = solved.composites.of(source, target).value
            for other in (place for place in behind if place <= target):
                between = solved.composites.of(other, target).value
                total += between * solved.parts[other].radius * known.get(solved.before[other], 0.0)
            known[target] = min(total * (1 + 1e-9), reach(graph, norms, known, source)[target])
    return reach(graph, norms, known, source)[output]
