"""Every certified bound of one network that holds everywhere, for whoever takes the least of them."""

from __future__ import annotations

from bench.canonical_form.graph import Graph
from bench.errors import NotApplicable
from bench.functional.lipschitz.certificate import LipschitzBound
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain
from bench.functional.lipschitz.graph_bounds.liplt import Solved, liplt, product


def certified_everywhere(graph: Graph, iterations: int, solved: Solved | None = None) -> list[LipschitzBound]:
    """The product of norms, LipLT and, of a chain of dense layers, ECLipsE-Fast and full-diagonal multipliers, in l2.

    Args:
        graph: a network that does not round.
        iterations: of the search for multipliers; 0: none.
        solved: LipLT's sums, where they are at hand.
    """
    found = [product(graph), liplt(graph, solved)]
    try:
        chain = dense_chain(graph)
    except NotApplicable:
        return found
    found.append(eclipse_fast(chain))
    return [*found, full_diagonal(chain, iterations=iterations)] if iterations else found
