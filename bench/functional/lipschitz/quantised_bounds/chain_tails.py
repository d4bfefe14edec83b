"""The sharper bounds of chains for what lies behind a node."""

from __future__ import annotations

from dataclasses import replace

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Input, Node
from bench.errors import NotApplicable
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain


def chain_tail(graph: Graph, place: int, iterations: int, budget: float | None = None) -> float:
    """An upper bound of the l2 constant of the map from a node's value to the output, by the methods for chains.

    Args:
        graph: a network without rounding.
        place: of the node.
        iterations: of full-diagonal multipliers (the program of arXiv 1902.04675); 0: ECLipsE-Fast (arXiv 2404.04375).
        budget: seconds after which the multipliers found so far are certified.

    Raises:
        NotApplicable: what lies behind is no chain, or a layer of it is too large.

    >>> import torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1, bias=False)).eval()
    >>> with torch.no_grad():
    ...     _ = network[2].weight.copy_(torch.tensor([[3.0, 4.0]]))
    >>> round(chain_tail(canonical_form(network, torch.zeros(1, 2)), 2, iterations=0), 6)
    5.0
    """
    chain = dense_chain(behind(graph, place))
    fast = eclipse_fast(chain)
    return min(
        fast.value, full_diagonal(chain, iterations=iterations, budget=budget).value if iterations else fast.value
    )


def behind(graph: Graph, place: int) -> Graph:
    """The network from the value of a node on; ``NotApplicable`` where it takes others that stand before that node."""
    first = graph.nodes[place]
    nodes: list[Node] = [Input(name="input", shape=first.shape)]
    for node in graph.nodes[place + 1 :]:
        if any(k < place for k in node.inputs):
            raise NotApplicable(f"{node.name}: it takes what stands before {first.name} too")
        nodes.append(replace(node, inputs=tuple(k - place for k in node.inputs)))
    return Graph(tuple(nodes))
