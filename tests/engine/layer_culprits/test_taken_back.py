"""Equalised channels and BatchNorm folded forward are no fault; a fault beside them is named all the same."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from bench.batch_norm_folding.modules import fold_batch_norms
from bench.cli import run_cli
from bench.compression.base import StepContext, steps
from bench.data.digits import Digits
from bench.engine.layer_culprits import diagnose
from bench.engine.layer_culprits.files import as_onnx
from bench.models.base import Recipe
from bench.models.training import train
from bench.networks.network import TorchNetwork

LAYERS = ("c1", "c2", "fc")


class Small(nn.Module):
    """Without padding, so that the BatchNorm behind the activation can be folded into c2."""

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3)
        self.bn = nn.BatchNorm2d(8)
        self.c2 = nn.Conv2d(8, 8, 3)
        self.fc = nn.Linear(8 * 4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn(torch.relu(self.c1(x)))
        x = torch.max_pool2d(torch.relu(self.c2(x)), 2).flatten(1)
        made: torch.Tensor = self.fc(x)
        return made


@pytest.fixture(scope="module")
def digits():
    return Digits().load(120, 64)


@pytest.fixture(scope="module")
def network(digits):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = train(Small(), digits.train, digits.input, Recipe(epochs=4), 0).eval()
    with torch.no_grad():
        module.bn.weight[1].neg_()  # a scale may be negative
    return TorchNetwork(module, digits.input)


def _equalise(module, both):
    """Scale the channels between c1 and c2, and between c2 and fc, and take it back behind them."""
    random = np.random.default_rng(3)
    first, second = (torch.from_numpy(np.exp(random.normal(size=8)).astype(np.float32)) for _ in range(2))
    module.bn.weight.mul_(first)
    module.bn.bias.mul_(first)
    module.c2.weight.div_(first[:, None, None])
    if both:
        module.c2.weight.mul_(second[:, None, None, None])
        module.c2.bias.mul_(second)
        module.fc.weight.div_(second.repeat_interleave(4))
    return module


def _folded(module, shape):
    found = fold_batch_norms(module, shape)
    assert [(fold.into, fold.direction) for fold in found.folded] == [(("c2",), "forward")]
    return found.module


REWRITES = {
    "equalised": lambda module, shape: _equalise(module, both=False),
    "equalised twice": lambda module, shape: _equalise(module, both=True),
    "folded forward": _folded,
}


def _noise(layer):
    layer.weight.add_(
        torch.from_numpy(np.random.default_rng(1).normal(size=layer.weight.shape)) * 0.3 * layer.weight.std()
    )


FAULTS = {
    "one output scaled": lambda layer: layer.weight[2].mul_(4.0),
    "all outputs scaled": lambda layer: layer.weight.mul_(4.0),
    "noise": _noise,
    "one output zeroed": lambda layer: layer.weight[1].zero_(),
    "signs flipped": lambda layer: layer.weight.neg_(),
    "outputs swapped": lambda layer: layer.weight.copy_(layer.weight.flip(0).clone()),
}


def _made(network, rewrite, fault=None, layer=None):
    module = copy.deepcopy(network.module)
    with torch.no_grad():
        module = REWRITES[rewrite](module, network.input.shape)
        if fault is not None:
            FAULTS[fault](module.get_submodule(layer))
    return TorchNetwork(module, network.input)


@pytest.mark.parametrize("form", ["torch", "onnx"])
@pytest.mark.parametrize("rewrite", REWRITES)
def test_no_fault_has_no_culprit(network, digits, rewrite, form):
    pair = network, _made(network, rewrite)
    if form == "onnx":
        pair = tuple(as_onnx(item, "") for item in pair)
    found = diagnose(*pair, digits.evaluation)
    assert found.divergence.js.estimate <= found.divergence.rounding < 1e-9
    assert found.culprits == []
    rows = {row.name: row for row in found.layers}
    assert all(row.added.relative_mse < 1e-10 and row.relative_mse < 1e-10 for row in rows.values())
    assert rows["c1"].divided_out.channels == rows["c1"].divided_out.of == 8
    assert (rows["c2"].divided_out is not None) == (rewrite == "equalised twice")
    assert rows["fc"].divided_out is None
    assert not any(row.unclear for row in rows.values())


@pytest.mark.parametrize("form", ["torch", "onnx"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("rewrite", REWRITES)
def test_names_the_fault_beside_a_rewrite_that_changes_nothing(network, digits, rewrite, fault, layer, form):
    pair = network, _made(network, rewrite, fault, layer)
    if form == "onnx":
        pair = tuple(as_onnx(item, "") for item in pair)
    found = diagnose(*pair, digits.evaluation)
    assert found.culprits[0] == found.ranking[0] == layer


@pytest.mark.parametrize("fault", FAULTS)
def test_all_of_a_fault_in_the_layer_that_undoes_the_scaling_is_removed(network, digits, fault):
    found = diagnose(network, _made(network, "equalised", fault, "c2"), digits.evaluation)
    rows = {row.name: row for row in found.layers}
    assert rows["c2"].restored.js.after < 1e-6
    assert abs(rows["c1"].restored.js.removed) < 1e-6
    assert abs(rows["fc"].restored.js.removed) < 1e-6


def test_a_scaling_that_nothing_undoes_is_a_fault(network, digits):
    """Exactly affine, weights and bias alike, channel by channel; the next layers are the reference's."""
    module = copy.deepcopy(network.module)
    with torch.no_grad():
        factors = torch.linspace(0.3, 3.0, 8)
        module.c2.weight.mul_(factors[:, None, None, None])
        module.c2.bias.mul_(factors)
    found = diagnose(network, TorchNetwork(module, network.input), digits.evaluation)
    assert found.culprits == ["c2"]
    assert all(row.divided_out is None for row in found.layers)


def test_a_shift_that_nothing_undoes_is_a_fault(network, digits):
    module = copy.deepcopy(network.module)
    with torch.no_grad():
        module.bn.bias.add_(0.7)
    found = diagnose(network, TorchNetwork(module, network.input), digits.evaluation)
    assert found.culprits == ["c1"]
    assert all(row.divided_out is None for row in found.layers)


def test_one_channel_that_is_not_undone_among_others_that_are(network, digits):
    module = _made(network, "equalised").module
    with torch.no_grad():
        module.bn.weight[3].mul_(3.0)  # and its shift is not
        module.bn.bias[3].mul_(3.0)
        module.c2.weight[:, 3].mul_(1.0)
    found = diagnose(network, TorchNetwork(module, network.input), digits.evaluation)
    # which of the two layers is off by 3 nothing can tell: what the first one shows goes before
    assert found.ranking[0] == "c2"
    plain = copy.deepcopy(network.module)
    with torch.no_grad():
        factors = torch.tensor([2.0, 0.5, 4.0, 3.0, 1.0, 1.0, 1.0, 1.0])
        plain.bn.weight.mul_(factors)
        plain.bn.bias.mul_(factors)
        factors[3] = 1.0
        plain.c2.weight.div_(factors[:, None, None])
    found = diagnose(network, TorchNetwork(plain, network.input), digits.evaluation)
    assert found.culprits == ["c1"]  # here the reader's weights of this channel are the reference's own


@pytest.fixture(scope="module")
def equalised(digits, zoo):
    reference = zoo("deep")
    context = StepContext(digits.train, digits.calibration, None, 0)
    made = [steps.get("ptq")(bits=8, weight_bits=bits, equalise=True).apply(reference, context)[0] for bits in (8, 2)]
    return reference, made[0], made[1]


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3", "classifier"])
def test_names_the_layer_of_two_bits_in_an_equalised_network_of_eight(equalised, digits, layer):
    reference, high, low = equalised
    module = copy.deepcopy(high.module)
    module.set_submodule(layer, copy.deepcopy(low.module.get_submodule(layer)))
    found = diagnose(reference, TorchNetwork(module, digits.input, quantised=True), digits.evaluation)
    assert found.culprits[0] == layer


def _smoothed(module):
    """Activations divided, and the weights of all that read them multiplied, as before quantising a transformer."""
    factors = torch.from_numpy(np.exp(np.random.default_rng(5).normal(size=16)).astype(np.float32))
    with torch.no_grad():
        for block in (module.attention1.inner, module.perceptron1.inner):
            block.norm.weight.div_(factors)
            block.norm.bias.div_(factors)
        for head in module.attention1.inner.attend.heads:
            for part in (head.query, head.key, head.value):
                part.weight.mul_(factors)
        module.perceptron1.inner.linear1.weight.mul_(factors)
    return module


@pytest.fixture(scope="module")
def transformer(zoo):
    return zoo("transformer")


READERS = ["attention1.inner.attend.heads.0.value", "perceptron1.inner.linear1"]


@pytest.mark.parametrize("layer", [None, "patches", *READERS])
def test_several_readers_of_a_smoothed_value_undo_it_together(transformer, digits, layer):
    module = _smoothed(copy.deepcopy(transformer.module))
    if layer is not None:
        with torch.no_grad():
            module.get_submodule(layer).weight.neg_()
    found = diagnose(transformer, TorchNetwork(module, digits.input), digits.evaluation)
    assert found.culprits == ([] if layer is None else [layer])
    divided = [row.divided_out for row in found.layers if row.divided_out]
    assert [(told.channels, told.of) for told in divided] == [(16, 16)] * 2


def test_two_faults_that_hide_a_scaling_are_said_to(network, digits):
    """Noise on both sides of the scaling: neither layer shows it any more."""
    module = _made(network, "equalised").module
    with torch.no_grad():
        for number, layer in enumerate((module.c1, module.c2)):
            random = np.random.default_rng(number)
            layer.weight.copy_(torch.from_numpy(random.normal(size=layer.weight.shape)) * layer.weight.std())
    found = diagnose(network, TorchNetwork(module, network.input), digits.evaluation)
    assert found.layers[0].unclear


def test_the_command_says_what_it_divides_out(network, digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, made in (("good", network), ("rewritten", _made(network, "equalised"))):
        (tmp_path / f"{name}.onnx").write_bytes(as_onnx(made, "").model)
    np.savez("x.npz", x=digits.evaluation.x, y=digits.evaluation.y)
    command = ["why-diverged", "good.onnx", "rewritten.onnx", "--data", "x.npz", "--quiet"]
    assert run_cli(command) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "No layer is to blame" in shown
    assert "c1: 8 of 8 channels are scaled by" in shown
    assert "which the next layers undo: divided out, no fault" in shown
    assert run_cli([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["culprits"] == []
