"""Bounds on boxes and balls, of any network: never below what two points of them do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.errors import NotApplicable
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.enumeration import regions
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain, local_dense_chain
from bench.functional.lipschitz.graph_bounds.interval_jacobian import jacobian_bound
from bench.functional.lipschitz.graph_bounds.liplt import product
from bench.functional.lipschitz.graph_bounds.local_liplt import local_liplt, local_product
from bench.functional.lipschitz.graph_bounds.region_lower import region_jacobian, region_secants, within
from bench.functional.lipschitz.regions import around
from bench.functional.lipschitz.relaxations.intervals import interval_bounds
from bench.functional.lipschitz.relaxations.linear import linear_bounds
from tests.functional.lipschitz.networks import ACTIVATIONS, CONVOLUTIONAL, convolutional, dense, points, sample_of

LOCAL = {"product": local_product, "LipLT": local_liplt, "interval Jacobian": jacobian_bound}
ENDS = {"intervals": interval_bounds, "lines": linear_bounds}
NORMS = ("l2", "linf")


def certified(graph, region, norm):
    """All bounds of the region, by their names."""
    found = {}
    for name, ends_of in ENDS.items():
        ends = ends_of(graph, region)
        found |= {(method, name): bound(graph, ends, norm).value for method, bound in LOCAL.items()}
        found["few rows", name] = local_liplt(graph, ends, norm, most=3).value
        try:
            chain = local_dense_chain(dense_chain(graph), graph, ends) if norm == "l2" else None
        except NotApplicable:
            chain = None
        if chain is not None and name == "lines":
            found["full-diagonal", name] = full_diagonal(chain, iterations=10).value
        if chain is not None:
            found["eclipse-fast", name] = eclipse_fast(chain).value
    return found


def steepest_pair(graph, region, norm, random):
    """The largest difference quotient of many random pairs, near and far."""
    x = points(region, 200, random)
    y = within(region, x + 0.1 * (points(region, 200, random) - x))
    y[:100] = points(region, 100, random)
    order = 2 if norm == "l2" else torch.inf
    with torch.no_grad():
        rise = torch.stack([graph(part.reshape(-1, *graph.nodes[0].shape)).flatten(1) for part in (x, y)])
    run = torch.linalg.vector_norm(x - y, ord=order, dim=1)
    return float((torch.linalg.vector_norm(rise[0] - rise[1], ord=order, dim=1) / run)[run > 1e-6].max())


def hold(graph, region, seed, norm):
    lower = max(
        steepest_pair(graph, region, norm, np.random.default_rng(seed)) * (1 - 1e-9),
        region_jacobian(graph, region, norm, starts=6).value,
        region_secants(graph, region, norm, starts=4, steps=10).value,
    )
    found = certified(graph, region, norm)
    assert lower > 0
    for name, upper in found.items():
        assert lower <= upper, name
    assert found["LipLT", "lines"] <= found["product", "lines"] <= product(graph, norm).value * (1 + 1e-9)
    return found


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_networks(activation) -> None:
    for seed, (radius, domain, norm) in enumerate([(0.02, "ball", "l2"), (0.3, "box", "linf")]):
        graph = dense(seed, activation=activation)
        hold(graph, around(sample_of(graph, seed), radius, domain), seed, norm)


@pytest.mark.parametrize("kind", CONVOLUTIONAL)
@pytest.mark.parametrize("norm", NORMS)
def test_convolutional_networks(kind, norm) -> None:
    for seed, (radius, domain) in enumerate([(0.02, "ball"), (0.3, "ball"), (0.1, "box"), (2.0, "box")]):
        graph = convolutional(seed, kind)
        hold(graph, around(sample_of(graph, seed), radius, domain), seed, norm)


def enumerated(chain, box):
    """The constant on the box in both norms: the largest over all patterns of its ReLUs."""
    found = dict.fromkeys(NORMS, 0.0)
    for pattern in regions(chain, box):
        whole = chain.weights[0]
        for weight, active in zip(chain.weights[1:], pattern, strict=True):
            whole = (weight * active) @ whole
        found["l2"] = max(found["l2"], np.linalg.norm(whole, 2))
        found["linf"] = max(found["linf"], np.linalg.norm(whole, np.inf))
    return found


def test_of_relu_chains_every_bound_holds_the_enumerated_constant_of_the_box() -> None:
    reached = []
    for seed in range(6):
        graph = dense(seed, (3, 5, 4, 2))
        box = around(sample_of(graph, seed), (0.1, 0.5, 3.0)[seed % 3])
        for norm, exact in enumerated(dense_chain(graph), box).items():
            found = certified(graph, box, norm)
            for name, upper in found.items():
                assert exact <= upper * (1 + 1e-12), name
            for lower in (region_jacobian(graph, box, norm), region_secants(graph, box, norm, steps=10)):
                assert lower.value <= exact * (1 + 1e-9)
            reached.append(exact / min(found.values()) if exact else 1.0)
    assert max(reached) == pytest.approx(1, abs=1e-6)  # no neuron bends in one of the boxes at least
    assert min(reached) < 0.99
