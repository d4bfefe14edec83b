"""Weights that are computed before each pass become parameters: the same function, from every form and every road."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.data.base import Samples
from bench.errors import UserError
from bench.models.base import Model
from bench.models.training import initialise
from bench.networks.materialise import made_weights, materialise
from bench.networks.network import InputSpec
from bench.outside_networks.loading import load_outside

DECLARED = InputSpec(shape=(1, 8, 8), classes=("a", "b", "c"))
SOURCE = """
import torch, warnings
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm
warnings.simplefilter("ignore", FutureWarning)

def plain():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3),
    )

def weight_norm_old():
    net = plain()
    weight_norm(net[0]), weight_norm(net[6], dim=None)
    net[0].weight_g.data.mul_(2)  # as an optimiser leaves it: the tensor called weight is stale
    return net

def spectral_norm_old():
    net = plain()
    spectral_norm(net[2])
    net[2].weight_orig.data.mul_(torch.rand(8, 1, 1, 1) + 0.5)
    return net

def parametrised():
    net = plain()
    parametrizations.weight_norm(net[0]), parametrizations.spectral_norm(net[2]), parametrizations.orthogonal(net[6])
    net[0].parametrizations.weight.original0.data.mul_(2)
    return net

def pruned():
    net = plain()
    prune.l1_unstructured(net[0], "weight", 0.5)
    prune.random_unstructured(net[0], "weight", 0.3)
    prune.random_unstructured(net[0], "bias", 0.5)
    prune.global_unstructured([(net[2], "weight"), (net[6], "weight")], prune.L1Unstructured, amount=0.4)
    for layer in (net[0], net[2], net[6]):
        layer.weight_orig.data.mul_(2).add_(0.1)  # masked weights that moved too
    return net

def mask_under_norm():
    net = plain()
    weight_norm(net[0])
    prune.random_unstructured(net[0], "weight_v", 0.5)
    parametrizations.weight_norm(net[2])
    prune.random_unstructured(net[2].parametrizations.weight, "original1", 0.5)
    return net

def hooked(how):
    def make():
        net = plain()
        net[2].register_parameter("raw", nn.Parameter(net[2].weight.detach().clone()))
        if how == "data":
            net[2].register_forward_pre_hook(lambda layer, inputs: setattr(layer.weight, "data", layer.raw.data * 2))
        elif how == "plain":
            del net[2]._parameters["weight"]
            net[2].register_forward_pre_hook(lambda layer, inputs: setattr(layer, "weight", layer.raw * 2))
        elif how == "parent":
            net.register_forward_pre_hook(lambda net, inputs: setattr(net[2].weight, "data", net[2].raw.data * 2))
        else:
            del net[2].raw
            net[2].register_forward_pre_hook(lambda layer, inputs: (inputs[0] * 2,))
        return net
    return make

class Attention(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)
        if kind == "prune":
            prune.l1_unstructured(self.attention.out_proj, "weight", 0.5)
        elif kind == "spectral_norm":
            spectral_norm(self.attention.out_proj)
        else:
            parametrizations.spectral_norm(self.attention.out_proj)
            parametrizations.weight_norm(self.attention, "in_proj_weight")

    def forward(self, x):
        return self.head(self.attention(x[:, 0], x[:, 0], x[:, 0], need_weights=False)[0].mean(1))

def attention_pruned(): return Attention("prune")
def attention_normed(): return Attention("spectral_norm")
def attention_parametrised(): return Attention("parametrised")

class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = parametrizations.weight_norm(nn.LSTM(8, 6, batch_first=True), "weight_hh_l0")
        self.second = weight_norm(nn.LSTM(6, 3, batch_first=True), "weight_hh_l0")
        self.first.parametrizations.weight_hh_l0.original0.data.mul_(5)
        self.second.weight_hh_l0_g.data.mul_(5)

    def forward(self, x):
        return self.second(self.first(x[:, 0])[0])[0][:, -1]

by_data, by_plain, by_parent, by_input = map(hooked, ("data", "plain", "parent", "input"))

class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)

def noisy():
    net = plain()
    parametrize.register_parametrization(net[2], "weight", Noisy())
    return net

def lazy():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(3))

def tied():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.Linear(64, 3))
    net[3].weight = net[1].weight
    return net

def tied_one_masked():
    net = tied()
    prune.l1_unstructured(net[1], "weight", 0.5)
    return net

def tied_both_masked():
    net = tied()
    prune.l1_unstructured(net[1], "weight", 0.5)
    prune.l1_unstructured(net[3], "weight", 0.5)
    return net
"""
KINDS = {
    "weight_norm_old": ["0.weight: weight_norm", "6.weight: weight_norm"],
    "spectral_norm_old": ["2.weight: spectral_norm"],
    "parametrised": ["0.weight: weight_norm", "2.weight: spectral_norm", "6.weight: orthogonal"],
    "pruned": ["0.weight: prune", "0.bias: prune", "2.weight: prune", "6.weight: prune"],
    "mask_under_norm": [
        "0.weight: weight_norm",
        "0.weight_v: prune",
        "2.weight: weight_norm",
        "2.parametrizations.weight.original1: prune",
    ],
}


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A module of factories, and its name."""
    name = "networks_with_made_weights"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    return __import__(name)


def load(nets, factory, **more):
    return load_outside(DECLARED, factory=f"{nets.__name__}:{factory}", **more)


def images(n=24):
    rng = np.random.default_rng(3)
    return Samples(tuple(map(str, range(n))), rng.random((n, 1, 8, 8), dtype=np.float32), rng.integers(0, 3, n))


def raw(nets, factory, seed=0):
    torch.manual_seed(seed)
    net = getattr(nets, factory)().eval()
    with torch.no_grad():
        net(torch.rand(1, 1, 8, 8))
    return net


def state_of(net):
    return {name: value.clone().contiguous() for name, value in net.state_dict().items()}


def same(found, wanted, kind):
    """Bit for bit; an orthogonal weight lay transposed in memory, so that its sums run in another order."""
    size = 1e-6 if kind == "parametrised" else 0.0
    torch.testing.assert_close(found, wanted, rtol=size, atol=size)


@pytest.mark.parametrize("kind", KINDS)
def test_the_function_stays_bit_for_bit_and_the_weights_are_parameters(nets, kind):
    x = torch.from_numpy(images().x)
    net = raw(nets, kind)
    with torch.no_grad():
        wanted = net(x)
        weights = [net[place].weight.detach().clone() for place in (0, 2, 6)]
        assert materialise(net) == KINDS[kind]
        same(net(x), wanted, kind)
    assert all(torch.equal(net[place].weight, weight) for place, weight in zip((0, 2, 6), weights, strict=True))
    assert set(net.state_dict()) == set(nets.plain().state_dict())
    assert [type(layer) for layer in net] == [type(layer) for layer in nets.plain()]
    assert not any(layer._forward_pre_hooks for layer in net.modules())
    assert made_weights(net) == materialise(net) == []
    assert set(dict(copy.deepcopy(net).named_parameters())) == set(net.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_raw_and_plain_checkpoints_load_and_the_store_gives_them_back(nets, kind, tmp_path):
    x = torch.from_numpy(images().x)
    net = raw(nets, kind, seed=7)
    with torch.no_grad():
        wanted = net(x)
    save_file(
        {name: value.clone().contiguous() for name, value in net.state_dict().items()}, tmp_path / "raw.safetensors"
    )
    materialise(net)
    save_file(net.state_dict(), tmp_path / "plain.safetensors")
    for form in ("raw", "plain"):
        network = load(nets, kind, checkpoint=tmp_path / f"{form}.safetensors")
        assert network.record["materialised"] == KINDS[kind]
        again = restore(network.record, to_bytes(network))
        with torch.no_grad():
            same(network.module(x), wanted, kind)
            assert torch.equal(again.module(x), network.module(x)), form
    assert "materialised" not in load(nets, "plain").record


def test_masks_of_a_checkpoint_are_applied_for_a_network_without_them(nets, tmp_path):
    net = raw(nets, "pruned", seed=7)
    save_file(
        {name: value.clone().contiguous() for name, value in net.state_dict().items()}, tmp_path / "masked.safetensors"
    )
    network = load(nets, "plain", checkpoint=tmp_path / "masked.safetensors")
    x = torch.from_numpy(images().x)
    assert torch.equal(network.module(x), net(x))
    assert float((network.module[0].weight == 0).double().mean()) > 0.5
    assert network.record["materialised"][0] == "0.weight: prune, of the checkpoint"


def test_old_weight_norm_checkpoints_load_into_the_new_one(nets, tmp_path):
    net = raw(nets, "plain", seed=7)
    parametrizations.weight_norm(net[0])
    wanted = net(torch.ones(1, 1, 8, 8))
    state = {name: value.clone() for name, value in net.state_dict().items()}
    state["0.weight_g"] = state.pop("0.parametrizations.weight.original0") * 1.0
    state["0.weight_v"] = state.pop("0.parametrizations.weight.original1") * 3.0  # its length does not count
    save_file(state, tmp_path / "old.safetensors")
    (tmp_path / "networks_with_new_norm.py").write_text(
        "from torch.nn.utils import parametrizations\n"
        f"from {nets.__name__} import plain\n"
        "def make():\n    net = plain()\n    parametrizations.weight_norm(net[0])\n    return net\n"
    )
    network = load_outside(DECLARED, factory="networks_with_new_norm:make", checkpoint=tmp_path / "old.safetensors")
    torch.testing.assert_close(network.module(torch.ones(1, 1, 8, 8)), wanted)


def test_a_checkpoint_that_fits_neither_form_names_the_raw_keys(nets, tmp_path):
    save_file({"other": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"missing '0.bias', '0.weight_g'"):
        load(nets, "weight_norm_old", checkpoint=tmp_path / "other.safetensors")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("step", "options"),
    [("ptq", {}), ("ptq-mixed", {"average_bits": 8}), ("qat", {"epochs": 1, "learning_rate": 1e-9})],
)
def test_quantising_takes_the_weights_that_the_network_computes_with(nets, kind, step, options):
    """The tensors called weight before are stale: twice or half as large, or without their masks."""
    network = load(nets, kind)
    x = torch.from_numpy(images().x)
    made = run_step(steps.get(step)(**options), network, StepContext(images(), images(), None, 0))
    with torch.no_grad():
        before, after = network.module(x), made.module(x)
    spread = float((before - before.mean(dim=0)).square().mean().sqrt())
    assert float((after - before).square().mean().sqrt()) < 0.2 * spread
    again = restore(made.record, to_bytes(made))
    assert torch.equal(again.module(x), after)


@pytest.mark.parametrize("kind", KINDS)
def test_structured_prune_cuts_them(nets, kind):
    made = run_step(
        steps.get("structured-prune")(ratio=0.5), load(nets, kind), StepContext(images(), images(), None, 0)
    )
    assert made.module[0].weight.shape == (4, 1, 3, 3)
    x = torch.from_numpy(images().x)
    assert torch.equal(restore(made.record, to_bytes(made)).module(x), made.module(x))


@pytest.mark.parametrize("how", ["by_data", "by_plain", "by_parent"])
def test_an_unknown_hook_that_sets_a_weight_is_refused_with_the_calls_that_remove_it(nets, how):
    with pytest.raises(UserError, match=r"layer '2': its weight is not a parameter of its own.*handle.remove\(\)"):
        load(nets, how)


def test_the_calls_that_the_refusal_names_work(nets):
    network = raw(nets, "by_plain")
    x = torch.from_numpy(images().x)
    wanted = network(x)
    network[2]._forward_pre_hooks.clear()
    layer = network.get_submodule("2")
    value = layer.weight.detach().clone()
    layer.__dict__.pop("weight", None)
    layer.weight = torch.nn.Parameter(value)
    assert torch.equal(network(x), wanted)


def test_a_hook_that_changes_inputs_alone_is_let_in_and_moves_no_weight(nets):
    network = load(nets, "by_input")
    torch.manual_seed(0)
    plain = load(nets, "plain")
    assert all(
        torch.equal(value, plain.module.state_dict()[name]) for name, value in network.module.state_dict().items()
    )


def test_a_weight_that_changes_from_pass_to_pass_is_refused(nets):
    with pytest.raises(UserError, match="layer '2': its weight is computed anew before each pass"):
        load(nets, "noisy")


def test_hooks_that_the_forward_pass_never_runs_are_not_believed(nets, tmp_path):
    """Attention reads its output layer's weight: what a hook would compute is not what the network computes with."""
    match = r"layer 'attention.out_proj': .* spectral_norm never runs.*remove_spectral_norm\(network.get_submodule"
    with pytest.raises(UserError, match=match):
        load(nets, "attention_normed")
    x = torch.from_numpy(images().x)
    network = load(nets, "attention_pruned")  # the mask was applied when it was made: nothing is stale
    assert network.record["materialised"] == ["attention.out_proj.weight: prune"]
    again = restore(network.record, to_bytes(network))
    assert torch.equal(again.module(x), network.module(x))
    wanted = raw(nets, "attention_pruned")
    before = wanted(x)
    materialise(wanted)
    assert torch.equal(wanted(x), before)
    wanted = raw(nets, "attention_pruned")
    state = {name: value.clone() for name, value in wanted.state_dict().items()}
    state["attention.out_proj.weight_orig"] += 1
    save_file(state, tmp_path / "moved.safetensors")
    with pytest.raises(UserError, match=r"its prune never runs.*torch.nn.utils.prune.remove"):
        load(nets, "attention_pruned", checkpoint=tmp_path / "moved.safetensors")


@pytest.mark.parametrize("kind", ["attention_parametrised", "Recurrent"])
def test_attention_and_recurrent_layers(nets, kind):
    x = torch.from_numpy(images().x)
    net = raw(nets, kind)
    with torch.no_grad():
        wanted = net(x)
        assert len(materialise(net)) == 2
        torch.testing.assert_close(net(x), wanted, rtol=1e-6, atol=1e-6)
        network = load(nets, kind)
        assert torch.equal(restore(network.record, to_bytes(network)).module(x), network.module(x))


def test_lazy_layers_are_refused_by_name(nets):
    with pytest.raises(UserError, match="layer '1' has no weights yet"):
        load(nets, "lazy")


def test_copies_of_a_parametrised_layer_keep_their_own_weights(nets):
    net = nets.plain()
    parametrizations.weight_norm(net[2])
    net.insert(4, copy.deepcopy(net[2]))  # the copy is of the same class, made for the first
    net[4].parametrizations.weight.original0.data.mul_(3)
    x = torch.from_numpy(images().x)
    wanted = net.eval()(x)
    materialise(net)
    assert torch.equal(net(x), wanted)


def test_a_parametrised_buffer_stays_a_buffer():
    class Double(nn.Module):
        def forward(self, x):
            return x * 2

    net = nn.Sequential(nn.BatchNorm2d(2))
    parametrize.register_parametrization(net[0], "running_mean", Double(), unsafe=True)
    net.eval()
    net[0].parametrizations.running_mean.original.fill_(1.0)
    assert materialise(net) == ["0.running_mean: parametrisation Double"]
    assert net[0].running_mean.tolist() == [2.0, 2.0]
    assert "running_mean" in dict(net[0].named_buffers())


def test_masks_on_shared_weights(nets):
    """A mask on one of two layers leaves the other's weight whole; equal masks on both leave one parameter."""
    x = torch.from_numpy(images().x)
    for factory, same in (("tied_one_masked", False), ("tied_both_masked", True)):
        wanted = raw(nets, factory)(x)
        torch.manual_seed(0)
        net = getattr(nets, factory)().eval()
        materialise(net)
        assert torch.equal(net(x), wanted)
        assert (net[1].weight is net[3].weight) == same
        assert int((net[1].weight == 0).sum()) == 64 * 64 // 2


def test_shared_weights_under_other_masks_come_back_from_the_store_apart(nets, tmp_path):
    net = raw(nets, "tied_both_masked", seed=7)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    state["3.weight_mask"] = 1 - state["3.weight_mask"]
    save_file(state, tmp_path / "net.safetensors")
    network = load(nets, "tied_both_masked", checkpoint=tmp_path / "net.safetensors")
    again = restore(network.record, to_bytes(network))
    x = torch.from_numpy(images().x)
    assert torch.equal(again.module[3].weight, network.module[3].weight)
    assert not torch.equal(again.module[3].weight, again.module[1].weight)
    assert torch.equal(again.module(x), network.module(x))


def test_an_architecture_that_is_trained_here_may_not_compute_its_weights():
    class Normed(Model):
        name = "normed"

        def build(self, declared):
            return nn.Sequential(nn.Flatten(), parametrizations.weight_norm(nn.Linear(64, 3)))

    with pytest.raises(UserError, match=r"'normed' computes weights before each pass \(1.weight: weight_norm\)"):
        initialise(Normed(), DECLARED, 0)


def test_pruned_with_torch_and_removed_is_the_same(nets):
    """Against torch's own way back."""
    net, other = raw(nets, "pruned"), raw(nets, "pruned")
    materialise(net)
    for layer, tensor in ((0, "weight"), (0, "bias"), (2, "weight"), (6, "weight")):
        prune.remove(other[layer], tensor)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in net.state_dict().items())
