"""Which channels belong together, in every architecture, and that taking them out is the same as silencing them."""

import copy

import pytest
import torch
from torch import nn

from bench.compression.base import StepContext
from bench.compression.chains import run_step
from bench.compression.pruning.graph import find_channels, remove, replay, shrink
from bench.compression.restoring import restore, to_bytes
from bench.compression.structured_prune import StructuredPrune
from bench.models.base import models
from bench.models.training import initialise
from bench.networks.network import InputSpec, TorchNetwork
from bench.outside_networks.records import source_record

IMAGE = InputSpec(shape=(1, 8, 8), classes=("a", "b", "c"))
SMALL = {
    "convnet": {"widths": (6, 8), "strides": (1, 2)},
    "mlp": {"hidden": (12, 8), "batch_norm": True},
    "lenet5": {},
    "resnet8": {"width": 4},
    "mobilenet-tiny": {"stem": 6, "widths": (8, 10), "strides": (2, 1)},
    "vit-tiny": {"width": 8, "depth": 2, "heads": 2, "hidden": 12},
}


def shaken(name):
    """An architecture with random weights and BatchNorm statistics, so that no channel is like another."""
    model = models.get(name)(**SMALL[name])
    module = initialise(model, IMAGE, 3)
    noise = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=noise) * 0.2)
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.running_mean.add_(torch.randn(layer.running_mean.shape, generator=noise) * 0.2)
                layer.running_var.add_(torch.rand(layer.running_var.shape, generator=noise))
    return TorchNetwork(module, IMAGE, source_record(model, IMAGE))


def images():
    return torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(5))


def silence(module, group, units):
    """Whatever makes or passes these units gives zeros for them."""
    quiet = copy.deepcopy(module)
    with torch.no_grad():
        for entry in group.entries:
            if entry.role == "reads":
                continue
            layer = quiet.get_submodule(entry.layer)
            channels = [channel for channel, unit in zip(entry.channels, entry.units, strict=True) if unit in units]
            for parameter in layer.parameters(recurse=False):
                parameter[channels] = 0
    return quiet


@pytest.mark.parametrize("name", SMALL)
def test_removing_is_silencing_in_every_architecture(name):
    module = shaken(name).module.double()
    x = images().double()
    found = find_channels(module, IMAGE)
    compared = 0
    for group in found.groups:
        if any(isinstance(module.get_submodule(entry.layer), nn.LayerNorm) for entry in group.entries):
            continue  # LayerNorm averages over its channels: one less is another function than one of zeros
        units = [1, group.size - 1]
        cut, history = remove(module, IMAGE, (group,), {group.name: units})
        assert history == [[group.name, True, group.channels(units)]]
        with torch.no_grad():
            torch.testing.assert_close(cut(x), silence(module, group, units)(x), atol=1e-10, rtol=1e-10)
            assert float((cut(x) - module(x)).abs().max()) > 1e-6
        compared += 1
    assert compared == {"convnet": 2, "mlp": 2, "lenet5": 4, "resnet8": 6, "mobilenet-tiny": 3, "vit-tiny": 6}[name]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("global_pruning", [False, True])
def test_every_architecture_is_pruned_and_restored(name, global_pruning, context):
    network = shaken(name)
    context = StepContext(context.train, context.calibration, None, 3)
    made = run_step(StructuredPrune(ratio=0.4, global_pruning=global_pruning), network, context)
    record = made.record["record"]
    assert record["macs_after"] < record["macs_before"]
    assert record["parameters_after"] < record["parameters_before"]
    again = restore(made.record, to_bytes(made))
    with torch.no_grad():
        assert torch.equal(again.module(images()), made.module(images()))
    assert record["kept"] == {"classifier": "its channels are the outputs"}


class Cut(nn.Module):
    """Attention whose single linear layer is cut into queries, keys and values."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 12)
        self.mixed = nn.Linear(12, 24)
        self.project = nn.Linear(8, 12)
        self.wide = nn.Linear(12, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.embed(x.flatten(1, 2))
        query, key, value = self.mixed(x).reshape(len(x), -1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        mixed = (query @ key.transpose(-1, -2)).softmax(-1) @ value
        x = x + self.project(mixed.transpose(1, 2).reshape(len(x), -1, 8))
        return self.head(self.wide(x).relu().mean(1))


def test_what_cannot_be_cut_is_kept_with_the_reason():
    module = Cut().eval()
    found = find_channels(module, IMAGE)
    assert "wide" in {group.name for group in found.groups}
    assert found.kept["mixed"] == "the network does not run without one of its channels"
    assert found.kept["head"] == "its channels are the outputs"
    single = nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.ReLU(), nn.Linear(1, 3))
    assert find_channels(single.eval(), IMAGE).kept["1"] == "it has a single channel"


class Grouped(nn.Module):
    """A grouped convolution: its groups must stay of one size."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 12, 3, groups=2, padding=1)
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        return self.head(self.grouped(self.stem(x).relu()).relu().mean((2, 3)))


def test_groups_of_a_convolution_lose_the_same():
    torch.manual_seed(0)
    module = Grouped().eval()
    found = {group.name: group for group in find_channels(module, IMAGE).groups}
    assert (found["stem"].size, found["stem"].repeats) == (4, 2)
    assert (found["grouped"].size, found["grouped"].repeats) == (6, 2)
    cut, history = remove(module, IMAGE, (found["stem"],), {"stem": [1]})
    assert history == [["stem", True, [1, 5]]]
    with torch.no_grad():
        torch.testing.assert_close(cut(images()), silence(module, found["stem"], [1])(images()))


@pytest.mark.parametrize("name", ["convnet", "resnet8", "mobilenet-tiny"])
def test_shrinking_little_by_little_is_removing_at_once(name):
    network = shaken(name)
    group = find_channels(network.module, IMAGE).groups[0]
    cuts = [[], [2], [0, 2], [0, 2, 3]]
    with torch.no_grad():
        for cut, module in zip(cuts, shrink(network.module, IMAGE, group, cuts), strict=True):
            at_once, _ = remove(network.module, IMAGE, (group,), {group.name: cut})
            assert torch.equal(module(images()), at_once(images()))


def test_replaying_leaves_the_network_and_the_random_state_alone():
    network = shaken("resnet8")
    before, state = to_bytes(network), torch.get_rng_state()
    found = find_channels(network.module, IMAGE)
    _, history = remove(network.module, IMAGE, found.groups, {group.name: [0] for group in found.groups})
    first, second = (replay(network.module, IMAGE, history) for _ in range(2))
    assert to_bytes(network) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
