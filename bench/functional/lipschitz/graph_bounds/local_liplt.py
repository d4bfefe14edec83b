"""The product of norms and LipLT where the input lies in a region."""

from __future__ import annotations

import time

from bench.canonical_form.graph import Graph
from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.graph_bounds.composites import MOST, multiplied
from bench.functional.lipschitz.graph_bounds.local_maps import SLACK, LocalMaps
from bench.functional.lipschitz.graph_bounds.local_parts import LocalPart, local_parts
from bench.functional.lipschitz.graph_bounds.node_norms import UP, NodeNorms
from bench.functional.lipschitz.relaxations.ends import Ends


def local_product(graph: Graph, ends: list[Ends], norm: Norm = "l2", norms: NodeNorms | None = None) -> LipschitzBound:
    """The product of the layers' norms with the largest slopes on a region: an upper bound of the constant there.

    Args:
        graph: a network.
        ends: of every node's value on the region, from ``relaxations``.
        norm: of inputs and outputs alike.
        norms: of the linear nodes, where they are known.
    """
    started, norms = time.perf_counter(), norms or NodeNorms(graph, norm)
    value = reach(graph, norms, local_parts(graph, ends, norm))[-1]
    seconds = time.perf_counter() - started
    return LipschitzBound("product", "certified", value, norm, "region", norms.slack, seconds)


def local_liplt(
    graph: Graph, ends: list[Ends], norm: Norm = "l2", norms: NodeNorms | None = None, most: int = MOST
) -> LipschitzBound:
    """LipLT (arXiv 2310.00116) with the slopes of each neuron on a region: an upper bound of the constant there.

    Each nonlinearity is ``δφ = C δz + ρ`` with C linear and ``‖ρ‖ ≤ ‖r ∘ δz‖``, r half the width of each neuron's
    slopes there: 0 where it does not bend. With all ρ taken as inputs of their own the network is linear, and

        e_k = ‖diag(r_k) A_k‖ + Σ_{j<k} ‖diag(r_k) B_kj‖ e_j,  the bound is ‖A‖ + Σ_j ‖B_j‖ e_j,

    each B cut to the neurons that bend at both ends. Max pooling: C picks the entry that surely wins, else it is 0.
    Where nothing bends this is ``‖J‖``, up to 5e-7. The smaller of this and the product is taken, so the value never
    exceeds ``local_product``.

    Args:
        graph: a network.
        ends: of every node's value on the region, from ``relaxations``.
        norm: of inputs and outputs alike.
        norms: of the linear nodes, where they are known.
        most: rows that are put through the network for one map; above it norms of layers are multiplied.

    >>> import numpy as np, torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> from bench.functional.lipschitz.regions import Box
    >>> from bench.functional.lipschitz.relaxations.linear import linear_bounds
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).eval()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.eye(2)), network[0].bias.copy_(torch.tensor([1.0, -1.0]))
    ...     _ = network[2].weight.copy_(torch.tensor([[3.0, 4.0]]))
    >>> graph = canonical_form(network, torch.zeros(1, 2))
    >>> ends = linear_bounds(graph, Box(np.full(2, -0.5), np.full(2, 0.5)))  # the second neuron is off there
    >>> round(local_liplt(graph, ends).value, 5)
    3.0
    """
    started, norms = time.perf_counter(), norms or NodeNorms(graph, norm)
    parts = local_parts(graph, ends, norm)
    maps = LocalMaps(graph, parts, norms, most)
    rests: dict[int, float] = {}
    products = sums = 0
    for place in graph.nonlinear:
        if not bool(parts[place].support.any()):
            rests[place] = 0.0
            continue
        terms = [maps.before(0, place), *(maps.before(other, place) for other in rests)]
        total = sum(term.value * size for term, size in zip(terms, [1.0, *rests.values()], strict=True)) * (1 + 1e-9)
        simple = float(parts[place].weight.max()) * reach(graph, norms, parts)[graph.nodes[place].inputs[0]] * UP
        rests[place] = min(total, simple)
        sums, products = sums + 1, products + any(not term.exact for term in terms)
    terms = [maps.output(0), *(maps.output(other) for other in rests)]
    total = sum(term.value * size for term, size in zip(terms, [1.0, *rests.values()], strict=True)) * (1 + 1e-9)
    products, sums = products + any(not term.exact for term in terms), sums + 1
    bent = sum(int(part.support.sum()) for part in parts.values())
    note = f"{bent} of {sum(part.support.numel() for part in parts.values())} neurons bend"
    if products:
        note += f"; {products} of {sums} sums hold products of layers' norms"
    value = min(total, reach(graph, norms, parts)[-1])
    return LipschitzBound("LipLT", "certified", value, norm, "region", SLACK, time.perf_counter() - started, note=note)


def reach(graph: Graph, norms: NodeNorms, parts: dict[int, LocalPart]) -> list[float]:
    """Upper bounds of how fast each node's value changes on the region, layer by layer."""
    return multiplied(graph, norms, lambda place: parts[place].largest * UP, of=norms.norm)
