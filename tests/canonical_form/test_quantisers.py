"""Canonical forms keep rounding where they are asked to, and its surrogate is half a step away at most."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from bench.canonical_form.nodes import Activation, Concatenate, Quantise, Scale
from bench.canonical_form.quantisers import clamped, surrogate
from bench.canonical_form.trace import canonical_form
from bench.errors import NotApplicable
from bench.functional.lipschitz.graph_bounds.liplt import product
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

form = partial(canonical_form, rounding="keep")


class Function(nn.Module):
    """A dense layer with an activation, a function, and another layer."""

    def __init__(self, function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.function, self.last = nn.Linear(4, 6), function, nn.Linear(6, 3)

    def forward(self, x):
        return self.last(self.function(nn.functional.leaky_relu(self.first(x), 0.5)))


def straight(x, function):
    return x + (function(x) - x).detach()


def by_comparison(x):
    """As brevitas cuts off: with a zero point, between two numbers."""
    codes = torch.round(x / 0.1 + 3)
    codes = torch.where(codes > 15, torch.tensor(15.0), codes)
    codes = torch.where(codes < 0, torch.tensor(0.0), codes)
    return (codes - 3) * 0.1


SCALES, ZEROS = torch.tensor([0.1, 0.2, 0.05, 0.3, 0.15, 0.1]), torch.tensor([0, 1, 3, 7, 0, 2], dtype=torch.int32)
FUNCTIONS = {
    "round": (torch.round, 1.0, -np.inf, np.inf),
    "straight through": (lambda x: straight(x.relu() / 0.25, torch.round).clamp(0, 7) * 0.25, 0.25, 0, 1.75),
    "comparison": (by_comparison, 0.1, -0.3, 1.2),
    "minimum": (lambda x: torch.minimum(torch.round(x * 4), torch.tensor(3.0)) / 4, 0.25, -np.inf, 0.75),
    "torch": (lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 3, 0, 15), 0.1, -0.3, 1.2),
    "ReLU behind": (lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 3, 0, 15).relu(), 0.1, 0, 1.2),
    "twice": (lambda x: torch.round(torch.round(x * 4).clamp(-2, 3) / 4 * 4).clamp(-9, 3) / 4, 0.25, -0.5, 0.75),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_rounds_is_one_quantiser_with_its_scale_and_range(name) -> None:
    function, scale, low, high = FUNCTIONS[name]
    module, x = Function(function).eval(), 2 * torch.randn(500, 4, generator=torch.Generator().manual_seed(1))
    graph = form(module, x[:5])
    nodes = [node for node in graph.nodes if isinstance(node, Quantise)]
    assert len(nodes) == 1
    assert not any(isinstance(node, Scale) for node in graph.nodes)
    found = [float(value) for value in (nodes[0].scale, nodes[0].low, nodes[0].high)]
    assert found == pytest.approx([scale, low, high], rel=1e-6)
    own, answer = module(x).detach().double(), graph(x.double()[:, None]).reshape(500, -1)
    apart = (own - answer).abs().amax(1)
    assert apart.median() < 1e-6
    assert apart.max() <= 1.01 * scale * float(module.last.weight.detach().abs().max())  # a step of the one quantiser


def test_one_scale_for_each_index_of_an_axis() -> None:
    module = Function(lambda x: torch.fake_quantize_per_channel_affine(x, SCALES, ZEROS, 1, 0, 15)).eval()
    x = 3 * torch.randn(300, 4, generator=torch.Generator().manual_seed(1))
    graph = form(module, x[:5])
    torch.testing.assert_close(graph(x.double()[:, None]).reshape(300, -1).float(), module(x), rtol=1e-5, atol=1e-5)
    values = nn.functional.leaky_relu(module.first(x), 0.5).detach().double()
    (place,) = (place for place, node in enumerate(graph.nodes) if isinstance(node, Quantise))
    node = graph.nodes[place]
    clamp = surrogate(graph).nodes[place]
    torch.testing.assert_close(clamp(values[:, None]), node.surrogate(values[:, None]))
    apart = (node(values[:, None]) - clamp(values[:, None])).abs()
    assert bool((apart <= node.scale / 2 * (1 + 1e-9)).all())
    assert apart.amax((0, 1)).numpy() == pytest.approx(SCALES.numpy() / 2, rel=0.2)


def test_random_quantisers_are_half_a_step_from_their_clamp_even_with_a_grid_that_misses_zero() -> None:
    random = torch.Generator().manual_seed(0)
    for _ in range(50):
        scale, zero, ends = (torch.rand(size, generator=random).double() for size in ((), (), (2,)))
        node = Quantise(
            name="q", inputs=(0,), shape=(1000,), scale=scale, zero=9 * zero, low=-3 * ends[0], high=3 * ends[1]
        )
        x = 4 * torch.randn(1, 1000, generator=random).double()
        apart = (node(x) - node.surrogate(x)).abs().max()
        assert 0.9 * scale / 2 < apart <= scale / 2 * (1 + 1e-9)


def test_halves_go_to_even_codes_whatever_the_zero_point() -> None:
    module = nn.Sequential(nn.Identity())
    module.forward = lambda x: torch.fake_quantize_per_tensor_affine(x, 0.5, 3, 0, 15)
    halves = (torch.arange(-8, 8) + 0.5)[:, None] * 0.5
    assert form(module, halves)(halves.double()[:, None]).flatten().tolist() == module(halves).flatten().tolist()


@pytest.mark.parametrize("network", ["ptq4", "onnx4", "onnx8"])
@pytest.mark.parametrize("optimisation", ["all", "disabled"])
def test_real_quantised_networks_answer_as_their_form_does(networks, samples, network, optimisation) -> None:
    """Brevitas, QDQ and integer operators; a sum of integers and one of floats are the same nodes."""
    if network == "ptq4" and optimisation == "disabled":
        pytest.skip("torch knows no optimisation")
    edge = Target(name="edge", runtime="onnxruntime", integer_sums="exact", optimisation=optimisation)
    predictor = open_predictor(networks[network], Target(name="torch") if network == "ptq4" else edge)
    x = torch.from_numpy(samples.x)
    predictor.trust(x[:64])
    graph = form(predictor.differentiable(gradient="straight_through"), x[:64])
    quantisers = sum(isinstance(node, Quantise) for node in graph.nodes)
    assert quantisers == (5 if network == "onnx8" else 4)
    apart = (graph(x.double()[:, None]).reshape(len(x), -1) - predictor.logits(x)[0]).abs().amax(1)
    assert apart.median() < 1e-5
    smooth, places = clamped(graph)
    assert len(places) == quantisers
    assert not any(isinstance(node, Quantise) for node in smooth.nodes)
    assert all(isinstance(smooth.nodes[place], Activation) for place in places.values())
    for before, node in zip(smooth.nodes, smooth.nodes[1:], strict=False):  # a ReLU and its clamp are one
        assert not (isinstance(before, Activation) and isinstance(node, Activation))
    apart = (smooth(x.double()[:, None]) - graph(x.double()[:, None])).abs().max()
    assert 0 < apart < 0.2 * predictor.logits(x).abs().max()
    assert product(smooth).value > 0


def test_without_being_asked_to_it_refuses_what_rounds(predictors, samples) -> None:
    x = torch.from_numpy(samples.x[:8])
    for name in ("ptq4", "onnx8"):
        predictors[name].trust(x)
        view = predictors[name].differentiable(gradient="straight_through")
        with pytest.raises(NotApplicable, match="rounds, and a function that rounds has no finite Lipschitz"):
            canonical_form(view, x)
        with pytest.raises(NotApplicable, match="rounds, and a function that rounds has no finite Lipschitz"):
            product(form(view, x))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (torch.floor, "it rounds"),
        (lambda x: x.round(decimals=1), "rounds to decimals"),
        (lambda x: torch.where(x > 0, torch.tensor(1.0), x), "'where' chooses between other things"),
        (lambda x: torch.where(x > 1, x, torch.tensor(0.0)), "'where' chooses between other things"),
        (lambda x: x * (x > 0), "of a comparison has no canonical form"),
        (lambda x: x * 2 if bool(x.sum() > 0) else x, "no canonical form|multiplies|of a comparison"),
        (lambda x: x * float(x.max()), "operator 'max'"),
        (lambda x: torch.round(x / x.abs().max()), "operator 'max'"),
    ],
)  # fmt: skip
def test_what_no_rule_knows_is_named(function, said) -> None:
    with pytest.raises(NotApplicable, match=said):
        form(Function(function).eval(), torch.randn(3, 4))


def test_a_graph_that_is_another_network_is_refused_though_it_rounds() -> None:
    class Odd(nn.Module):
        def forward(self, x):
            return torch.round(x * 8 * x.detach().numpy().mean()) / 8

    with pytest.raises(NotApplicable, match="does not answer as its layers do"):
        form(Odd(), torch.rand(20, 4) + torch.arange(20)[:, None])


def test_sums_that_keep_several_values_stay_sums() -> None:
    module = Function(lambda x: torch.cat([x + (x - torch.round(x)), x[:, :0]], 1)).eval()
    graph = form(module, torch.randn(3, 4))
    assert sum(len(node.inputs) > 1 and not isinstance(node, Concatenate) for node in graph.nodes) >= 1
