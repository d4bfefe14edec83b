"""Pruning really removes channels, the least important ones, and never a class."""

import copy

import pytest
import torch
from torch import nn

from bench.compression.record import run_step, to_bytes
from bench.compression.structured_prune import StructuredPrune
from bench.errors import NotApplicable
from bench.graph.network import InputSpec, TorchNetwork

RGB = InputSpec(shape=(3, 8, 8), classes=("a", "b", "c", "d"))


def widths(module):
    kinds = (nn.Conv2d, nn.Linear)
    return {name: layer.weight.shape[0] for name, layer in module.named_modules() if isinstance(layer, kinds)}


@pytest.mark.parametrize("importance", ["l1", "l2", "random"])
def test_the_network_becomes_smaller(network, context, importance):
    made = run_step(StructuredPrune(ratio=0.5, importance=importance), network, context)
    record = made.record["record"]
    assert widths(made.module) == record["widths"] == {"conv1": 4, "conv2": 6, "classifier": 10}
    assert record["parameters_before"] == sum(p.numel() for p in network.module.parameters())
    assert record["parameters_after"] == sum(p.numel() for p in made.module.parameters())
    assert record["parameters_after"] == 9 * (4 + 4 * 6) + 2 * (4 + 6) + 7 * 10
    assert record["macs_before"] == 9 * 8 * 64 + 9 * 8 * 12 * 16 + 12 * 10
    assert record["macs_after"] == 9 * 4 * 64 + 9 * 4 * 6 * 16 + 6 * 10
    assert len(to_bytes(made)) < len(to_bytes(network))


@pytest.mark.parametrize("model", ["pool", "flatten", "mlp"])
@pytest.mark.parametrize("global_pruning", [False, True])
def test_removing_is_the_same_as_silencing(trained, context, digits, model, global_pruning):
    """A pruned network is the original with those channels set to zero after their BatchNorm."""
    source = trained[model]
    made = run_step(StructuredPrune(ratio=0.4, global_pruning=global_pruning), source, context)
    silenced = copy.deepcopy(source.module)
    for name, output, indices in made.record["record"]["history"]:
        assert output
        norm = silenced.get_submodule(name.replace("conv", "bn").replace("linear", "bn"))
        with torch.no_grad():
            norm.weight[indices] = 0
            norm.bias[indices] = 0
    x = torch.from_numpy(digits.evaluation.x)
    with torch.no_grad():
        torch.testing.assert_close(made.module(x), silenced(x), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(made.module(x), source.module(x), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("importance", ["l1", "l2"])
def test_the_weakest_channels_go(digits, context, importance):
    """By hand: one hidden layer; a unit's importance is the p-norm power of its row plus its column."""
    rows = torch.tensor([[1.0, 0.0], [0.7, 0.7], [0.1, 0.1], [2.0, 2.0]])
    module = nn.Sequential(nn.Flatten(), nn.Linear(2, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        module[1].weight.copy_(rows)
        module[3].weight.fill_(0.5)
    declared = InputSpec(shape=(1, 1, 2), classes=("a", "b"))
    made = run_step(StructuredPrune(ratio=0.5, importance=importance), TorchNetwork(module, declared, {}), context)
    gone = {"l1": [0, 2], "l2": [1, 2]}[importance]  # l1: 1.0 and 1.4; l2: 1.0 and 0.98
    assert made.record["record"]["history"] == [["1", True, gone]]
    kept = [row for row in range(4) if row not in gone]
    assert torch.equal(made.module[1].weight, rows[kept])


class Residual(nn.Module):
    """Two branches that are added: their channels must go together."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.head = nn.Linear(8, 4)
        self.side = nn.Linear(8, 4)

    def forward(self, x):
        x = self.stem(x)
        x = self.depthwise(x + self.branch(x)).mean(dim=(2, 3))
        return self.head(x) + self.side(x)


def test_coupled_channels_go_together_and_every_class_stays(context):
    source = TorchNetwork(Residual().eval(), RGB, {})
    for global_pruning in (False, True):
        made = run_step(StructuredPrune(ratio=0.5, global_pruning=global_pruning), source, context)
        assert widths(made.module) == {"stem": 4, "branch.0": 4, "depthwise": 4, "head": 4, "side": 4}
        rebuilt = StructuredPrune(ratio=0.5).rebuild(source, made.record["record"])
        rebuilt.module.load_state_dict(made.module.state_dict(), strict=True)
        x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            assert torch.equal(rebuilt.module(x), made.module(x))
    assert widths(source.module)["stem"] == 8


def test_the_outputs_stay_where_something_follows_them(context):
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    made = run_step(StructuredPrune(ratio=0.5), TorchNetwork(module.eval(), RGB, {}), context)
    assert widths(made.module) == {"0": 3, "2": 4}


def test_a_linear_classifier_has_nothing_to_prune(context):
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    with pytest.raises(NotApplicable, match="no channel that it may remove"):
        run_step(StructuredPrune(ratio=0.5), TorchNetwork(module.eval(), RGB, {}), context)
