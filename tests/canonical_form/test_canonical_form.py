"""Canonical forms answer as the networks do, and what has none is refused by its name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.canonical_form.nodes import Activation, Convolution, Dense, Scale
from bench.canonical_form.trace import canonical_form
from bench.errors import NotApplicable
from bench.models.base import Model
from bench.models.mobilenet_tiny import MobileNetTiny
from bench.models.resnet8 import ResNet8
from bench.models.training import initialise
from bench.networks.network import InputSpec
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

IMAGE = InputSpec((1, 8, 8), tuple("abc"), (0.0, 1.0), (0.3,), (0.4,))


def settle(module: nn.Module) -> nn.Module:
    """Statistics and factors of BatchNorm that are not 0 and 1; evaluation mode."""
    random = torch.Generator().manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            for name in ("running_mean", "weight", "bias"):
                value = getattr(layer, name)
                value.data = torch.randn(value.shape, generator=random)
            layer.running_var.data = torch.rand(layer.running_var.shape, generator=random) + 0.5
    return module.eval()


class Block(nn.Module):
    """Branches that are added, subtracted, concatenated, split, padded and scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 1, bias=False)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        a, b = self.left(x), self.norm(self.right(x))
        c = torch.cat([a + b, 2 * a - b, nn.functional.pad(a, (1, 0, 0, 1))[:, :, :8, :8]], dim=1)
        first, second = c.split([4, 5], dim=1)
        return torch.cat([1 - first, -second / 3], dim=1).transpose(2, 3)


ACTIVATIONS = [
    nn.ReLU(inplace=True), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(),
    nn.Hardswish(), nn.Hardsigmoid(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(2.0), nn.ReLU6(), nn.Hardtanh(-0.5, 0.25),
]  # fmt: skip
LAYERS = {
    **{type(layer).__name__ + str(k): nn.Sequential(layer) for k, layer in enumerate(ACTIVATIONS)},
    "convolutions": nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2), nn.BatchNorm2d(4), nn.ReLU(),
        nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1), nn.BatchNorm2d(2),
    ),
    "pools": nn.Sequential(
        nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, 1, 1, count_include_pad=False), nn.AdaptiveAvgPool2d(1)
    ),
    "shapes": nn.Sequential(
        nn.PixelUnshuffle(2), nn.Flatten(), nn.Dropout(), nn.Linear(128, 6), nn.Unflatten(1, (2, 3))
    ),
    "block": Block(),
    "logarithm": nn.Sequential(nn.Flatten(), nn.Linear(128, 3), nn.LogSoftmax(1)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_it_answers_as_the_layers_do(name) -> None:
    torch.manual_seed(1)
    module, x = settle(LAYERS[name]), 2 * torch.randn(6, 2, 8, 8)
    graph = canonical_form(module, x[:2])
    expected = module.double()(x.double().clone())
    module.float()
    torch.testing.assert_close(
        graph(x.double()[:, None]).reshape(expected.shape), expected.detach(), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("name", LAYERS)
def test_what_spreads_is_the_derivative_where_all_is_linear(name) -> None:
    """With centres in the place of nonlinearities: of a difference of inputs, the difference of outputs."""
    module = settle(LAYERS[name])
    graph = canonical_form(module, torch.zeros(2, 2, 8, 8))
    centres = {place: 0.5 * isinstance(graph.nodes[place], Activation) for place in graph.nonlinear}
    one, other = torch.randn(2, 3, 1, 2, 8, 8, dtype=torch.float64)
    values = [graph.spread({0: each}, centres)[-1] for each in (one, other, 2 * one - other)]
    if name in ("logarithm", "pools"):  # the centre of a softmax and of max pooling is 0
        assert values == [None] * 3
    else:
        torch.testing.assert_close(values[2], 2 * values[0] - values[1])
        assert values[0].shape[1:] == graph.nodes[-1].shape


@pytest.mark.parametrize("model", [ResNet8(), MobileNetTiny()])
def test_batch_norm_is_folded_into_real_networks(model: Model) -> None:
    module = settle(initialise(model, IMAGE, 0))
    graph = canonical_form(module, torch.rand(3, 1, 8, 8))
    assert not any(isinstance(node, Scale) for node in graph.nodes)
    convolutions = sum(isinstance(layer, nn.Conv2d) for layer in module.modules())
    assert sum(isinstance(node, Convolution) for node in graph.nodes) == convolutions


@pytest.mark.parametrize("name", ["reference", "onnx"])
def test_networks_on_both_runtimes_have_one(predictors, samples, name) -> None:
    predictor = predictors[name]
    predictor.trust(torch.from_numpy(samples.x))
    x = torch.from_numpy(samples.x[:20])
    graph = canonical_form(predictor.differentiable(), x)
    if name == "reference":  # layers by the names that the network itself gives them
        assert [node.name for node in graph.nodes if isinstance(node, Convolution)] == ["conv1", "conv2"]
    assert graph.nodes[-1].name == "classifier" or name == "onnx"
    torch.testing.assert_close(
        graph(x.double()[:, None]).reshape(20, -1).float(), predictor.logits(x)[0], rtol=1e-4, atol=1e-4
    )


def test_by_another_arithmetic_it_is_the_same_network(networks, samples) -> None:
    """The numerical floor opens networks of float64, to which images of float32 are brought within."""
    x = torch.from_numpy(samples.x[:8])
    plain, doubled = (
        open_predictor(networks["reference"], Target(name="torch"), floor=floor).differentiable()
        for floor in (False, True)
    )
    one, other = (canonical_form(module, x)(x.double()[:, None]) for module in (plain, doubled))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_dense_maps_that_follow_each_other_are_one() -> None:
    module = nn.Sequential(
        nn.Linear(4, 5), nn.Dropout(), nn.Linear(5, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2)
    )
    graph = canonical_form(settle(module), torch.randn(3, 4))
    assert [type(node) for node in graph.nodes[1:]] == [Dense, type(graph.nodes[2]), Dense]


class Odd(nn.Module):
    """A network of one function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(4, 4), function

    def forward(self, x):
        return self.function(self.layer(x))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (torch.round, "behind layer: operator 'round': it rounds, and a function that rounds has no finite"),
        (lambda x: x * x, "multiplies two figures of the input, as attention does"),
        (lambda x: x @ x.T @ x, "multiplies two figures of the input, as attention does"),
        (lambda x: nn.functional.layer_norm(x, (4,)), "layer normalisation has no useful global Lipschitz constant"),
        (lambda x: 1 / (x + 3), "divides by a figure of the input|'reciprocal': it has no canonical form"),
        (lambda x: x.sort().values, "operator 'sort': it has no canonical form"),
        (lambda x: x - x.mean(0), "adds values of shapes"),
        (lambda x: x / len(x), "may depend on the batch"),
        (lambda x: torch.ones(len(x), 2), "does not depend on its input"),
    ],
)  # fmt: skip
def test_what_has_no_canonical_form_is_named(function, said) -> None:
    with pytest.raises(NotApplicable, match=said):
        canonical_form(Odd(function).eval(), torch.randn(3, 4))


def test_training_mode_and_weights_that_are_no_numbers_are_refused() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    with pytest.raises(NotApplicable, match="1: BatchNorm in training mode"):
        canonical_form(network.train(), torch.randn(1, 4))
    with torch.no_grad():
        network[0].weight[0, 0] = torch.nan
    with pytest.raises(NotApplicable, match=r"0.weight: a weight is NaN or infinite"):
        canonical_form(network.eval(), torch.randn(3, 4))
    with pytest.raises(NotApplicable, match="no layer"):
        canonical_form(nn.Sequential(nn.Dropout()).eval(), torch.randn(3, 4))
