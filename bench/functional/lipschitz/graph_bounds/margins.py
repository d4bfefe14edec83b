"""Constants of the differences of two logits."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Nonlinear
from bench.errors import NotApplicable
from bench.functional.lipschitz.chain_bounds.output_pairs import output_pairs
from bench.functional.lipschitz.graph_bounds.composites import ENTRIES, SLACK
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain
from bench.functional.lipschitz.graph_bounds.liplt import reach, solve

Float = NDArray[np.float64]


def pair_constants(graph: Graph, iterations: int = 200) -> Float:
    """Upper bounds of the l2 constant of each difference of two logits, ``z_i − z_j``: (classes, classes).

    LipLT's sum with the rows of the last maps: ``‖a_i − a_j‖ + Σ_k ‖b_ki − b_kj‖ r_k L(z_k)``, where ``√2 L`` would
    take both logits at their worst at once; of chains of dense layers ``output_pairs`` too, whichever is less for each
    pair. Symmetric, 0 on the diagonal.

    Args:
        graph: a network whose values are logits.
        iterations: of the search for the multipliers of a chain; 0: ECLipsE-Fast's alone.

    >>> import torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False)).eval()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    >>> pair_constants(canonical_form(network, torch.zeros(1, 2))).round(4).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    found = _by_liplt(graph)
    try:
        chain = dense_chain(graph)
    except NotApplicable:
        return found
    return np.asarray(np.minimum(found, output_pairs(chain, iterations)))


def _by_liplt(graph: Graph) -> Float:
    solved, output = solve(graph), len(graph.nodes) - 1
    classes = graph.nodes[output].size
    whole = sqrt(2.0) * reach(graph, solved.norms, solved.known)[-1] * (1 + 1e-12) * (1 - np.eye(classes))
    sources = [0, *graph.nonlinear]
    if isinstance(graph.nodes[output], Nonlinear) or any(graph.nodes[k].size * classes > ENTRIES for k in sources):
        return np.asarray(whole)
    total = np.zeros((classes, classes))
    for place, rows in solved.composites.rows_to(output, sources).items():
        if rows is not None:
            weight = 1.0 if place == 0 else solved.parts[place].radius * solved.known[solved.before[place]]
            total += weight * _distances(rows.numpy())
    return np.asarray(np.minimum(whole, total * (1 + SLACK)))


def _distances(rows: Float) -> Float:
    """``‖row_i − row_j‖`` of every pair: (classes, classes)."""
    return np.array([np.linalg.norm(rows - row, axis=1) for row in rows])
