"""Bounds on boxes and balls, of any network: never below what two points there do, exact where nothing bends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import NotApplicable
from bench.functional.jacobian import output_jacobian
from bench.functional.lipschitz.chain_bounds.chain_values import value as chain_value
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.enumeration import constant
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain, local_dense_chain
from bench.functional.lipschitz.graph_bounds.interval_jacobian import interval_jacobian, jacobian_bound
from bench.functional.lipschitz.graph_bounds.liplt import liplt, product
from bench.functional.lipschitz.graph_bounds.local_constants import local_constants
from bench.functional.lipschitz.graph_bounds.local_liplt import local_liplt, local_product
from bench.functional.lipschitz.graph_bounds.region_lower import region_jacobian, region_secants, within
from bench.functional.lipschitz.methods import METHODS, lipschitz_bounds
from bench.functional.lipschitz.regions import Ball, Box, around
from bench.functional.lipschitz.relaxations.intervals import interval_bounds
from bench.functional.lipschitz.relaxations.linear import linear_bounds
from tests.functional.lipschitz.networks import ACTIVATIONS, CONVOLUTIONAL, convolutional, dense, form, points

LOCAL = {"product": local_product, "LipLT": local_liplt, "interval Jacobian": jacobian_bound}
ENDS = {"intervals": interval_bounds, "lines": linear_bounds}
NORMS = ("l2", "linf")


def sample_of(graph, seed):
    return np.random.default_rng(seed).normal(size=graph.nodes[0].size) / 2


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
        if chain is not None:
            found["full-diagonal", name] = full_diagonal(chain, iterations=30).value
            found["eclipse-fast", name] = eclipse_fast(chain).value
    return found


def steepest_pair(graph, region, norm, random):
    """The largest difference quotient of many random pairs, near and far."""
    x = points(region, 400, random)
    y = within(region, x + 0.1 * (points(region, 400, random) - x))
    y[:200] = points(region, 200, random)
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
    for seed, (radius, domain, norm) in enumerate([(0.02, "ball", "l2"), (0.3, "box", "l2"), (0.3, "box", "linf")]):
        graph = dense(seed, activation=activation)
        hold(graph, around(sample_of(graph, seed), radius, domain), seed, norm)


@pytest.mark.parametrize("kind", CONVOLUTIONAL)
@pytest.mark.parametrize("norm", NORMS)
def test_convolutional_networks(kind, norm) -> None:
    for seed, (radius, domain) in enumerate([(0.02, "ball"), (0.3, "ball"), (0.1, "box"), (2.0, "box")]):
        graph = convolutional(seed, kind)
        hold(graph, around(sample_of(graph, seed), radius, domain), seed, norm)


@pytest.mark.parametrize("norm", NORMS)
def test_of_relu_chains_every_bound_holds_the_enumerated_constant_of_the_box(norm) -> None:
    reached = []
    for seed in range(9):
        graph = dense(seed, (3, 5, 4, 2))
        radius = (0.1, 0.5, 3.0)[seed % 3]
        box = around(sample_of(graph, seed), radius)
        exact = constant(dense_chain(graph), norm, box).value
        found = certified(graph, box, norm)
        for name, upper in found.items():
            assert exact <= upper * (1 + 1e-12), name
        for lower in (region_jacobian(graph, box, norm), region_secants(graph, box, norm)):
            assert lower.value <= exact * (1 + 1e-9)
        reached.append(exact / min(found.values()) if exact else 1.0)
    assert max(reached) == pytest.approx(1, abs=1e-6)  # no neuron bends in one of the boxes at least
    assert min(reached) < 0.99


def jacobian_norm(graph, sample, norm):
    x = torch.from_numpy(sample).reshape(1, *graph.nodes[0].shape)
    own = output_jacobian(lambda x: graph(x).flatten(1), x)[0].numpy()
    return np.linalg.norm(own, 2 if norm == "l2" else np.inf)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("domain", ["box", "ball"])
def test_where_nothing_bends_it_is_the_norm_of_the_jacobian(domain, norm) -> None:
    relus = [dense(seed, activation=name) for seed, name in enumerate(("relu", "leaky", "falling", "steep", "relu6"))]
    for seed, graph in enumerate([*relus, *(convolutional(seed, "skip") for seed in range(3)), pools()]):
        sample = sample_of(graph, seed)
        exact = jacobian_norm(graph, sample, norm)
        ends = linear_bounds(graph, around(sample, 1e-7, domain))
        for bound in (local_liplt, jacobian_bound):
            assert exact * (1 - 1e-12) <= bound(graph, ends, norm).value <= exact * (1 + 1e-6)


def pools():
    torch.manual_seed(2)
    first = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.MaxPool2d(2))
    return form(nn.Sequential(first, nn.Flatten(), nn.Linear(3, 4)), (2, 6, 6))


@pytest.mark.parametrize("norm", NORMS)
def test_a_shrinking_region_leads_to_the_jacobian(norm) -> None:
    smooth = [dense(seed, activation=name) for seed, name in enumerate(("tanh", "gelu", "silu", "softplus", "elu"))]
    for seed, graph in enumerate([*smooth, dense(7), convolutional(1, "plain"), pools()]):
        sample = sample_of(graph, seed)
        exact = jacobian_norm(graph, sample, norm)
        for radius in (1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-9):
            found = local_liplt(graph, linear_bounds(graph, around(sample, radius)), norm).value
            assert exact * (1 - 1e-9) <= found
        assert found == pytest.approx(exact, rel=2e-6)


def test_every_entry_of_the_jacobian_lies_between_its_ends() -> None:
    for seed, graph in enumerate(
        [dense(0), dense(1, activation="gelu"), *(convolutional(2, k) for k in CONVOLUTIONAL)]
    ):
        region = around(sample_of(graph, seed), 0.2)
        centre, radius = interval_jacobian(graph, linear_bounds(graph, region))
        x = points(region, 60, np.random.default_rng(seed)).reshape(60, *graph.nodes[0].shape)
        own = output_jacobian(lambda x, graph=graph: graph(x).flatten(1), x)
        assert ((own - centre).abs() <= radius + 1e-9).all()
        assert (radius > 0).any()


def test_with_fewer_rows_norms_of_layers_are_multiplied_and_it_is_said() -> None:
    graph = convolutional(0, "skip")
    ends = linear_bounds(graph, around(sample_of(graph, 0), 0.3))
    sharp, coarse = local_liplt(graph, ends), local_liplt(graph, ends, most=3)
    assert sharp.value <= coarse.value <= local_product(graph, ends).value * (1 + 1e-9)
    assert "hold products of layers' norms" in coarse.note
    assert "hold products" not in sharp.note
    assert "neurons bend" in sharp.note


def test_a_chain_without_its_dead_neurons_is_the_network_on_the_region() -> None:
    graph = dense(3, (4, 20, 15, 3))
    box = around(sample_of(graph, 3), 0.05)
    whole = dense_chain(graph)
    local = local_dense_chain(whole, graph, linear_bounds(graph, box))
    assert sum(local.widths) < sum(whole.widths)
    assert any((a.alpha == 1).any() for a in local.activations)
    x = points(box, 200, np.random.default_rng(0)).numpy()
    np.testing.assert_allclose(chain_value(local, x), chain_value(whole, x), atol=1e-12)


def test_softmax_has_its_own_constant() -> None:
    torch.manual_seed(0)
    graph = form(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.Softmax(1)), (3,))
    region = around(sample_of(graph, 0), 0.1, "ball")
    ends = linear_bounds(graph, region)
    assert region_secants(graph, region).value <= local_liplt(graph, ends).value <= product(graph).value
    with pytest.raises(NotApplicable, match="Softmax has no rule for an interval of its Jacobian"):
        jacobian_bound(graph, ends)


def test_points_stay_within_their_region() -> None:
    random = np.random.default_rng(0)
    far = torch.from_numpy(random.normal(size=(500, 7)) * 10)
    for centre, radius in ((np.zeros(7), 1.0), (1e3 * random.normal(size=7), 1e-9), (random.normal(size=7), 0.5)):
        away = within(Ball(centre, radius), far) - torch.from_numpy(centre)
        assert float(torch.linalg.vector_norm(away, dim=1).max()) <= radius
        box = Box(centre - radius, centre + radius)
        inside = within(box, far).numpy()
        assert ((box.low <= inside) & (inside <= box.high)).all()


def test_inputs_that_the_box_fixes_do_not_count() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 1, bias=False))
    module[0].weight.data = torch.tensor([[3.0, 4.0]])
    graph = form(module, (2,))
    box = Box(np.zeros(2), np.array([1.0, 0.0]))
    for found in (region_jacobian(graph, box), region_secants(graph, box)):
        assert found.value == pytest.approx(3.0, rel=1e-6)
        assert found.value <= 3.0


@pytest.mark.parametrize("domain", ["ball", "box"])
def test_local_constants_of_many_samples(domain) -> None:
    for graph in (dense(1, (4, 9, 8, 3)), convolutional(1, "pooled")):
        samples = np.random.default_rng(0).normal(size=(3, *graph.nodes[0].shape[1:])) / 2
        whole = product(graph).value
        small, large = (local_constants(graph, samples, radius, domain=domain) for radius in (0.01, 0.5))
        assert (small.lower <= small.upper).all()
        assert (small.upper < 0.9 * whole).all()
        assert (large.upper <= whole).all()
        assert small.upper.mean() < large.upper.mean()
        alone = local_constants(graph, samples[1:2], 0.01, domain=domain)
        assert (alone.upper[0], alone.lower[0]) == (small.upper[1], small.lower[1])
        capped = local_constants(graph, samples[:1], 100.0, domain=domain, everywhere=whole * 0.9)
        assert capped.upper[0] <= whole * 0.9
    with pytest.raises(ValueError, match="a radius of 0"):
        local_constants(graph, samples, 0)
    with pytest.raises(ValueError, match="'cube' is no region"):
        local_constants(graph, samples, 0.1, domain="cube")


@pytest.mark.parametrize("norm", NORMS)
def test_every_method_answers_on_a_region_and_none_exceeds_its_own_global_bound(norm) -> None:
    for graph in (dense(0), convolutional(0, "pooled")):
        everywhere = {bound.method: bound.value for bound in lipschitz_bounds(graph, norm=norm, budget=5)[0]}
        sample = sample_of(graph, 0)
        for region, named in ((around(sample, 0.2), "box"), (Ball(sample, 0.2), "ball of radius 0.2")):
            bounds, skipped = lipschitz_bounds(graph, norm=norm, region=region, budget=5)
            found = {bound.method: bound for bound in bounds}
            assert {"product", "liplt", "interval-jacobian", "jacobian", "secants"} <= set(found)
            assert {bound.domain for bound in bounds} == {named}
            for method, bound in found.items():
                if bound.kind == "certified" and method in everywhere:
                    assert bound.value <= everywhere[method] * (1 + 1e-6)
            assert set(found) | {item.method for item in skipped} == set(METHODS) - {"lipsdp-neuron"}
        assert "interval-jacobian" not in everywhere
    skipped = lipschitz_bounds(graph, norm=norm, methods=["interval-jacobian"])[1]
    assert skipped[0].reason == "of a box or a ball alone"
    if norm == "l2":
        wide = Ball(sample, 50.0)  # what bends everywhere is no less than what holds everywhere
        assert local_liplt(graph, linear_bounds(graph, wide)).value > 0.99 * liplt(graph).value
