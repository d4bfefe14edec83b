"""Weights that hooks and parametrisations make: plain when a network is taken in, the same function, and said."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from bench.compression.base import StepContext, steps
from bench.compression.record import restore, run_step, to_bytes
from bench.data.digits import Digits
from bench.errors import UserError
from bench.graph.network import InputSpec, TorchNetwork
from bench.models.base import Recipe
from bench.models.materialise import materialise, refuse_hooks
from bench.models.outside import load_outside
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

DECLARED = InputSpec(shape=(1, 8, 8), classes=tuple(map(str, range(10))))
EDGE, CPU = Target(name="edge", runtime="onnxruntime"), Target(name="cpu")

FACTORIES = """
import warnings
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

def plain():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))

def made(how):
    def build():
        net = plain()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for place in (0, 3, 7):
                how(net[place])
        return net
    return build

def later(norm, *names):
    "Weights that were changed after the norm was put on: the attribute itself is stale."
    def how(layer):
        norm(layer)
        with torch.no_grad():
            for name in names:
                value = getattr(layer, name)
                value.mul_(torch.linspace(0.5, 3, value.numel()).view_as(value))
    return how

def several(layer):
    prune.l1_unstructured(layer, "weight", amount=0.3)
    prune.ln_structured(layer, "weight", amount=0.25, n=2, dim=1) if layer.weight.shape[1] > 4 else None
    prune.random_unstructured(layer, "bias", amount=2)

class Doubled(nn.Module):
    def forward(self, weight): return 2 * weight

def global_pruned():
    net = plain()
    prune.global_unstructured([(net[p], "weight") for p in (0, 3, 7)], prune.L1Unstructured, amount=0.5)
    return net

old_weight_norm = made(later(weight_norm, "weight_g"))
new_weight_norm = made(lambda layer: parametrizations.weight_norm(layer))
old_spectral_norm = made(later(spectral_norm, "weight_orig"))
new_spectral_norm = made(lambda layer: parametrizations.spectral_norm(layer))
orthogonal = made(lambda layer: parametrizations.orthogonal(layer))
masks = made(several)
own = made(lambda layer: parametrize.register_parametrization(layer, "weight", Doubled()))
two = made(lambda layer: parametrizations.weight_norm(layer, dim=None)
    or parametrize.register_parametrization(layer, "weight", Doubled()))
"""
NAMES = {
    "old_weight_norm": "weight_norm",
    "new_weight_norm": "weight_norm",
    "old_spectral_norm": "spectral_norm",
    "new_spectral_norm": "spectral_norm",
    "orthogonal": "Orthogonal",
    "own": "Doubled",
    "global_pruned": "prune",
}


CHAINS = [
    [("bn-fold", {})],
    [("ptq", {})],
    [("ptq-mixed", {"average_bits": 6})],
    [("qat", {"epochs": 1})],
    [("ptq", {}), ("onnx-export", {})],
    [("structured-prune", {"ratio": 0.2})],
]


@pytest.fixture(autouse=True)
def factories(tmp_path, monkeypatch):
    (tmp_path / "made_weights.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    return importlib.import_module("made_weights")


@pytest.fixture(scope="module")
def digits():
    return Digits().load(100, 64)


@pytest.mark.parametrize("name", [*NAMES, "masks"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_function_stays_and_the_record_says_so(factories, digits, name):
    x = torch.from_numpy(digits.evaluation.x)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)  # masks and singular vectors are drawn
        raw = getattr(factories, name)().eval()
        right = raw(x)
        made = materialise(raw)
        torch.testing.assert_close(raw(x), right, rtol=1e-6, atol=1e-6)
    if name in NAMES:
        assert made == [f"{place}.weight: {NAMES[name]}" for place in (0, 3, 7)]
    else:
        assert "3.weight: prune, 2 masks" in made
        assert "3.bias: prune" in made
        assert (raw[3].weight == 0).sum() >= 0.3 * raw[3].weight.numel() - 1
    for layer in raw.modules():
        assert not layer._forward_pre_hooks
        assert not parametrize.is_parametrized(layer)
    assert set(raw.state_dict()) == set(factories.plain().state_dict())
    assert set(dict(raw.named_parameters())) == set(dict(factories.plain().named_parameters()))
    assert all(parameter.requires_grad for parameter in raw.parameters())
    assert materialise(raw) == []


@pytest.mark.parametrize("name", ["old_weight_norm", "new_weight_norm", "old_spectral_norm", "global_pruned", "own"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_steps_see_the_weights_that_are_used(factories, digits, tmp_path, name):
    """Stale weights gave a Jensen-Shannon divergence of .15 for 1e-5: here all is as of a network of plain weights."""
    x = torch.from_numpy(digits.evaluation.x)
    network = load_outside(DECLARED, factory=f"made_weights:{name}")
    assert network.record["materialised"][0].startswith("0.weight: ")
    save_file(network.module.state_dict(), tmp_path / "plain.safetensors")
    plain = load_outside(DECLARED, factory="made_weights:plain", checkpoint=tmp_path / "plain.safetensors")
    right = open_predictor(network, CPU).logits(x)[0]
    for chain in CHAINS:
        found = []
        for made in (network, plain):
            context = StepContext(digits.train, digits.calibration, Recipe(epochs=1, learning_rate=1e-5), 0)
            for step, given in chain:
                made = run_step(steps.get(step)(**given), made, context)
            made = restore(made.record, to_bytes(made))
            found.append(open_predictor(made, EDGE if made.kind.startswith("onnx") else CPU).logits(x)[0])
        torch.testing.assert_close(*found, rtol=0, atol=0)
        if chain[0][0] in ("bn-fold", "ptq"):
            spread = float((right - right.mean(1, keepdim=True)).std())
            limit = 1e-4 if chain[0][0] == "bn-fold" else 0.15
            assert float((found[0] - right).abs().median()) < limit * spread


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", ["old_weight_norm", "new_weight_norm", "masks", "global_pruned"])
@pytest.mark.parametrize("form", ["raw", "plain"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_of_either_form(factories, digits, tmp_path, name, form, prefix):
    x = torch.from_numpy(digits.evaluation.x)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(5)
        trained = getattr(factories, name)().eval()
        for value in trained.state_dict().values():
            if value.is_floating_point() and value.min() < 0:
                value.mul_(1.5)
        right = trained(x)
    if form == "plain":
        materialise(trained)
    save_file({f"{prefix}{k}": v.contiguous() for k, v in trained.state_dict().items()}, tmp_path / "w.safetensors")
    network = load_outside(DECLARED, factory=f"made_weights:{name}", checkpoint=tmp_path / "w.safetensors")
    torch.testing.assert_close(open_predictor(network, CPU).logits(x)[0], right, rtol=1e-5, atol=1e-5)
    assert network.record["materialised"]
    again = restore(network.record, to_bytes(network))
    torch.testing.assert_close(open_predictor(again, CPU).logits(x)[0], right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_masks_in_a_checkpoint_of_a_plain_factory(factories, digits, tmp_path, prefix):
    """The usual way to hand over a pruned network."""
    pruned = factories.global_pruned().eval()
    x = torch.from_numpy(digits.evaluation.x)
    save_file({f"{prefix}{k}": v for k, v in pruned.state_dict().items()}, tmp_path / "w.safetensors")
    network = load_outside(DECLARED, factory="made_weights:plain", checkpoint=tmp_path / "w.safetensors")
    torch.testing.assert_close(open_predictor(network, CPU).logits(x)[0], pruned(x).detach(), rtol=1e-6, atol=1e-6)
    assert network.record["materialised"] == [f"{p}.weight: prune, the mask of the checkpoint" for p in (0, 3, 7)]


def test_what_cannot_be_taken_off_is_named():
    class Wider(nn.Module):
        def forward(self, weight):
            return torch.cat([weight, weight])

    layer = nn.Sequential(nn.Linear(2, 2))
    parametrize.register_parametrization(layer[0], "weight", Wider(), unsafe=True)
    found = materialise(layer)
    assert found == ["0.weight: Wider"]
    assert layer[0].weight.shape == (4, 2)


def hooked(kind):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))

    def double(layer, inputs):
        return tuple(2 * value for value in inputs)

    def make_weight(layer, inputs):
        layer.weight = layer.kernel * 2

    if kind == "pre":
        net[3].register_forward_pre_hook(double)
    elif kind == "post":
        net[0].register_forward_hook(lambda layer, inputs, out: out * 2)
    else:
        kernel = net[3].weight
        del net[3]._parameters["weight"]
        net[3].kernel = kernel
        net[3].weight = kernel.detach() * 0
        net[3].register_forward_pre_hook(make_weight)
    return net.eval()


SAID = {
    "pre": r"layer '3' has a forward hook \(hooked.<locals>.double\), which {step} would lose; take it off",
    "post": r"layer '0' has a forward hook \(hooked.<locals>.<lambda>\), which {step} would lose; take it off",
    "weight": r"layer '3' makes its weight by a hook \(.*make_weight\), which {step} cannot see; set layer.weight = ",
}


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("step", ["ptq", "ptq-mixed", "qat", "bn-fold", "structured-prune"])
def test_hooks_that_a_step_would_lose_are_refused_by_name(digits, kind, step):
    context = StepContext(digits.train, digits.calibration, Recipe(epochs=1), 0)
    made = steps.get(step)(**{"structured-prune": {"ratio": 0.1}, "ptq-mixed": {"average_bits": 6}}.get(step, {}))
    with pytest.raises(UserError, match=SAID[kind].format(step=step)):
        run_step(made, TorchNetwork(hooked(kind), DECLARED), context)


@pytest.mark.parametrize("kind", SAID)
def test_hooks_are_measured_and_exported_as_they_are(digits, kind):
    x = torch.from_numpy(digits.evaluation.x)
    network = TorchNetwork(hooked(kind), DECLARED)
    with torch.no_grad():
        right = network.module(x)
    torch.testing.assert_close(open_predictor(network, CPU).logits(x)[0], right)
    exported = run_step(steps.get("onnx-export")(), network, StepContext(digits.train, digits.calibration, None, 0))
    torch.testing.assert_close(open_predictor(exported, EDGE).logits(x)[0], right, rtol=1e-4, atol=1e-5)


def test_plain_networks_have_nothing_to_refuse(factories):
    refuse_hooks(factories.plain(), "ptq")
    assert parametrizations is not None
    assert prune is not None
