"""Bounds on boxes and balls where they are exact, what they are made of, and every way to ask for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import NotApplicable
from bench.functional.jacobian import output_jacobian
from bench.functional.lipschitz.chain_bounds.chain_values import value as chain_value
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
from tests.functional.lipschitz.networks import CONVOLUTIONAL, convolutional, dense, form, points, sample_of

LOCAL = {"product": local_product, "LipLT": local_liplt, "interval Jacobian": jacobian_bound}
NORMS = ("l2", "linf")


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


def test_a_pixel_that_can_win_nine_windows_counts_nine_times() -> None:
    graph = form(nn.MaxPool2d(3, 1, 1), (1, 5, 5))
    flat = torch.zeros(2, 1, 1, 5, 5).double()
    flat[1, 0, 0, 2, 2] = 1.0  # of two inputs that differ in this pixel alone nine outputs do
    assert float(torch.linalg.vector_norm(graph(flat)[0] - graph(flat)[1])) == 3.0
    ends = interval_bounds(graph, Box(np.zeros(25), np.ones(25)))
    for bound in LOCAL.values():
        assert bound(graph, ends).value >= 3.0
    assert local_liplt(graph, ends).value == pytest.approx(3.0)
    low, high = np.zeros(25), np.full(25, 0.1)
    low[12], high[12] = 0.5, 1.0  # it surely wins its nine; in sixteen others no pixel can win more than four
    found = local_liplt(graph, interval_bounds(graph, Box(low, high)))
    assert found.value <= 3.0 * (1 + 1e-6) + 3.0
    assert "16 of 25 neurons bend" in found.note


def test_the_jacobian_of_a_maximum_shares_between_entries_that_can_win() -> None:
    graph = form(nn.MaxPool2d((1, 3)), (1, 1, 3))
    ends = interval_bounds(graph, Box(np.array([0.0, 0.5, -1.0]), np.array([1.0, 2.0, 0.4])))
    centre, radius = interval_jacobian(graph, ends)
    assert centre.tolist() == radius.tolist() == [[0.5, 0.5, 0.0]]
    ends = interval_bounds(graph, Box(np.array([0.0, 1.5, -1.0]), np.array([1.0, 2.0, 0.4])))
    centre, radius = interval_jacobian(graph, ends)
    assert centre.tolist() == [[0.0, 1.0, 0.0]]
    assert radius.tolist() == [[0.0, 0.0, 0.0]]


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
        everywhere = {bound.method: bound.value for bound in lipschitz_bounds(graph, norm=norm, budget=1)[0]}
        sample = sample_of(graph, 0)
        for region, named in ((around(sample, 0.2), "box"), (Ball(sample, 0.2), "ball of radius 0.2")):
            bounds, skipped = lipschitz_bounds(graph, norm=norm, region=region, budget=1)
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
