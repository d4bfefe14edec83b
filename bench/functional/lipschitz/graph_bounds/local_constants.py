"""Local constants of many samples: how fast the outputs can change within a ball or a box around each."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.canonical_form.graph import Graph
from bench.errors import NotApplicable
from bench.functional.lipschitz.certificate import Norm, best
from bench.functional.lipschitz.chain import DenseChain
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain, local_dense_chain
from bench.functional.lipschitz.graph_bounds.interval_jacobian import jacobian_bound
from bench.functional.lipschitz.graph_bounds.liplt import product
from bench.functional.lipschitz.graph_bounds.local_liplt import local_liplt, local_product
from bench.functional.lipschitz.graph_bounds.node_norms import NodeNorms
from bench.functional.lipschitz.graph_bounds.region_lower import region_jacobian, region_secants
from bench.functional.lipschitz.regions import Region, around
from bench.functional.lipschitz.relaxations.linear import linear_bounds

Float = NDArray[np.float64]

LINES = 1024  # numbers of a layer that are bounded by lines
WRITTEN = 1024  # rows of a map that are put through the network
WIDEST = 512  # neurons of a layer of a chain, for multipliers


class LocalConstants(NamedTuple):
    """Certified upper bounds and lower ones, (n,) each, and the method of each upper one."""

    upper: Float
    lower: Float
    methods: tuple[str, ...]


def local_constants(
    graph: Graph,
    samples: NDArray[Any],
    radius: float,
    norm: Norm = "l2",
    domain: str = "ball",
    *,
    everywhere: float | None = None,
    iterations: int = 60,
    steps: int = 20,
) -> LocalConstants:
    """How fast the outputs can change between any two inputs within a radius of each sample.

    ``sup ‖f(x) − f(y)‖ / ‖x − y‖`` over x, y in the ball (l2) or box (l_inf) around a sample: the least of the constant
    everywhere, and of local LipLT, the interval Jacobian and, of chains of dense layers, the recursion with local
    slopes; from below the largest Jacobian and difference quotient found. Each sample's figures depend on it alone.

    Args:
        graph: a network in canonical form.
        samples: (n, *shape).
        radius: of the region, above 0, in the units of the input.
        norm: of inputs and outputs alike.
        domain: ``ball`` or ``box``.
        everywhere: a certified constant that holds everywhere; by default the product of the layers' norms.
        iterations: of the multipliers of a chain; 0: none.
        steps: of the ascent of difference quotients; 0: Jacobians alone.

    Raises:
        NotApplicable: a layer has no bound; it is named.
        ValueError: the radius is not above 0, or the domain is neither ball nor box.

    >>> import torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).eval()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[1.0], [1.0]])), network[0].bias.copy_(torch.tensor([0.0, -2.0]))
    ...     _ = network[2].weight.fill_(1.0)
    >>> graph = canonical_form(network, torch.zeros(1, 1))
    >>> local_constants(graph, np.array([[-1.0], [1.0], [3.0]]), 0.5).upper.round(4).tolist()
    [0.0, 1.0, 2.0]
    """
    if not 0 < radius < np.inf:
        raise ValueError(f"a radius of {radius}: it must be above 0 and finite")
    norms = NodeNorms(graph, norm)
    whole = product(graph, norm).value if everywhere is None else everywhere
    chain = _chain(graph) if iterations and norm == "l2" else None
    upper, lower, methods = [], [], []
    for sample in samples:
        region = around(sample, radius, domain)
        value, method = _certified(graph, region, norms, chain, iterations)
        upper.append(min(value, whole))
        methods.append(method if value <= whole else "everywhere")
        found = region_jacobian(graph, region, norm).value
        if steps:
            found = max(found, region_secants(graph, region, norm, steps=steps, budget=np.inf).value)
        lower.append(found)
        assert found <= upper[-1], f"{found} found within {radius}, {upper[-1]} certified by {methods[-1]}"
    return LocalConstants(np.array(upper), np.array(lower), tuple(methods))


def _certified(
    graph: Graph, region: Region, norms: NodeNorms, chain: DenseChain | None, iterations: int
) -> tuple[float, str]:
    """The least bound on one region, and its method."""
    norm = norms.norm
    ends = linear_bounds(graph, region, most=LINES)
    found = [local_product(graph, ends, norm, norms), local_liplt(graph, ends, norm, norms, WRITTEN)]
    with suppress(NotApplicable):  # a softmax, or too many outputs
        found.append(jacobian_bound(graph, ends, norm))
    if chain is not None:
        local = local_dense_chain(chain, graph, ends)
        wide = max(local.widths[1:-1], default=0) > WIDEST
        found.append(eclipse_fast(local) if wide else full_diagonal(local, iterations=iterations))
    least = best(found)
    assert least is not None
    return least.value, least.method


def _chain(graph: Graph) -> DenseChain | None:
    try:
        return dense_chain(graph)
    except NotApplicable:
        return None
