"""Pruning really removes channels, the least important ones, and never a class."""

import copy
import json
import re
from dataclasses import replace

import numpy as np
import pydantic
import pytest
import torch
from torch import nn

from bench.compression.base import StepContext
from bench.compression.chains import run_step
from bench.compression.pruning.graph import find_channels
from bench.compression.restoring import restore, to_bytes
from bench.compression.structured_prune import StructuredPrune
from bench.data.base import Samples
from bench.errors import NotApplicable, UserError
from bench.functional.module_cost import multiply_accumulates
from bench.models.training import accuracy
from bench.networks.network import InputSpec, TorchNetwork

RGB = InputSpec(shape=(3, 8, 8), classes=("a", "b", "c", "d"))


def widths(module):
    kinds = (nn.Conv2d, nn.Linear)
    return {name: layer.weight.shape[0] for name, layer in module.named_modules() if isinstance(layer, kinds)}


IMPORTANCES = ["l1", "l2", "group-norm", "bn-scale", "taylor", "random"]


@pytest.mark.parametrize("importance", IMPORTANCES)
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


@pytest.mark.parametrize("importance", ["l1", "l2", "group-norm"])
def test_the_weakest_channels_go(context, importance):
    """By hand: one hidden layer; l1 and l2 see a unit's row, group-norm its column too."""
    rows = torch.tensor([[1.0, 0.0], [0.7, 0.7], [0.1, 0.1], [2.0, 2.0]])
    module = nn.Sequential(nn.Flatten(), nn.Linear(2, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        module[1].weight.copy_(rows)
        module[3].weight.copy_(torch.tensor([[0.0, 0.0, 3.0, 0.0]]).expand(2, 4))
    declared = InputSpec(shape=(1, 1, 2), classes=("a", "b"))
    made = run_step(StructuredPrune(ratio=0.5, importance=importance), TorchNetwork(module, declared, {}), context)
    gone = {"l1": [0, 2], "l2": [1, 2], "group-norm": [0, 1]}[importance]  # rows: 1, 1.4, .2, 4 and 1, .99, .14, 2.8
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
        assert made.record["record"]["kept"]["head"] == "its channels are the outputs"
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


def prune(network, context, **parameters):
    return run_step(StructuredPrune(**parameters), network, context)


def test_single_layers(network, context):
    made = prune(network, context, layers={"conv2": 0.5})
    assert widths(made.module) == {"conv1": 8, "conv2": 6, "classifier": 10}
    both = prune(network, context, ratio=0.25, layers={"conv2": 0.5})
    assert widths(both.module) == {"conv1": 6, "conv2": 6, "classifier": 10}
    spared = prune(network, context, ratio=0.25, layers={"conv1": 0.0}, global_pruning=True)
    assert widths(spared.module) == {"conv1": 8, "conv2": 9, "classifier": 10}


def test_wrong_layers_are_named(network, context):
    with pytest.raises(UserError, match=r"layers.conv3: no layer 'conv3'; did you mean 'conv[12]'"):
        prune(network, context, layers={"conv3": 0.5})
    with pytest.raises(UserError, match="'classifier' cannot be pruned: its channels are the outputs"):
        prune(network, context, layers={"classifier": 0.5})
    source = TorchNetwork(Residual().eval(), RGB, {})
    with pytest.raises(UserError, match="share their channels; give them one ratio"):
        prune(source, context, layers={"stem": 0.5, "branch.0": 0.25})
    made = prune(source, context, layers={"branch.0": 0.5})
    assert widths(made.module) == {"stem": 4, "branch.0": 4, "depthwise": 4, "head": 4, "side": 4}


def test_widths_stay_multiples(network, context):
    made = prune(network, context, ratio=0.5, round_to=4)
    assert widths(made.module) == {"conv1": 4, "conv2": 8, "classifier": 10}  # 4 and 6, rounded up
    with pytest.raises(UserError, match=r"no layer loses a channel.*round_to = 16"):
        prune(network, context, ratio=0.6, round_to=16)


@pytest.mark.parametrize("parameters", [{}, {"global_pruning": True}, {"allocation": "sensitivity"}, {"rounds": 3}])
def test_a_budget_of_multiplications_is_met(network, context, parameters):
    before = multiply_accumulates(network.module, network.input.shape).macs
    for macs in (0.8, 0.4):
        made = prune(network, context, macs=macs, **parameters)
        after = multiply_accumulates(made.module, network.input.shape).macs
        record = made.record["record"]
        assert record["macs_after"] == after
        assert record["macs_share"] == after / before
        assert macs - 0.15 < record["macs_share"] <= macs
    again = restore(made.record, to_bytes(made))
    assert to_bytes(again) == to_bytes(made)


def test_a_budget_that_cannot_be_met_says_what_can(network, context):
    with pytest.raises(
        UserError, match=r"macs = 0\.01 cannot be met: the smallest reachable share is 0\.0\d+"
    ) as error:
        prune(network, context, macs=0.01)
    least = float(re.search(r"give macs = (\S+) or more", str(error.value)).group(1))
    made = prune(network, context, macs=least)
    assert widths(made.module)["conv1"] == widths(made.module)["conv2"] == 1


def test_sensitivity_spares_what_matters(digits, context):
    """A layer whose removal destroys the network keeps its channels, one that does nothing loses them."""
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        module[2].weight[2:] *= 1e-4  # six of eight channels carry nothing
        module[2].bias[2:] *= 1e-4
    source = TorchNetwork(module.eval(), digits.input, {})
    record = prune(source, context, macs=0.4, allocation="sensitivity").record["record"]
    assert record["ratios"]["0"] == 0.0
    assert record["ratios"]["2"] >= 0.6
    assert record["widths"]["0"] == 8
    with pytest.raises(UserError, match=r"data.calibration: sensitivity is measured on it, it is empty"):
        prune(
            source,
            replace(context, calibration=context.calibration.take(slice(0, 0))),
            macs=0.5,
            allocation="sensitivity",
        )


def test_rounds_with_training_between(network, context, digits):
    slowly = prune(network, context, ratio=0.25, rounds=4, finetune_epochs=1)
    without = prune(network, context, ratio=0.25, rounds=4)
    assert widths(slowly.module) == widths(without.module) == {"conv1": 6, "conv2": 9, "classifier": 10}
    assert [cut["groups"] for cut in slowly.record["record"]["rounds"]] == [
        2,
        1,
        2,
        0,
    ]  # 7.5, 7, 6.5, 6 of 8 and 11.25, 10.5, 9.75, 9 of 12
    trained, untrained = (accuracy(each.module, digits.evaluation, digits.input) for each in (slowly, without))
    assert trained > untrained + 0.1  # .47 and .20; at half the width both are at chance
    again = restore(json.loads(json.dumps(slowly.record)), to_bytes(slowly))
    with torch.no_grad():
        x = torch.from_numpy(digits.evaluation.x)
        assert torch.equal(again.module(x), slowly.module(x))


def test_another_seed_another_network(network, context):
    for parameters in ({"importance": "random"}, {"importance": "taylor", "taylor_samples": 8}):
        made = [to_bytes(prune(network, context, ratio=0.5, seed=seed, **parameters)) for seed in (0, 1, 1)]
        assert made[0] != made[1] == made[2]


def test_taylor_reads_calibration_samples_where_training_has_no_labels(network, context):
    without = replace(context, train=replace(context.train, y=None))
    prune(network, without, ratio=0.5, importance="taylor")
    with pytest.raises(UserError, match="'taylor' needs labelled"):
        prune(
            network, replace(without, calibration=replace(context.calibration, y=None)), ratio=0.5, importance="taylor"
        )


def test_only_data_that_is_looked_at_enters_the_key():
    assert StructuredPrune(ratio=0.5).uses() == frozenset()
    assert StructuredPrune(ratio=0.5, batch_norm_samples=9).uses() == {"train"}
    assert StructuredPrune(macs=0.5, allocation="sensitivity").uses() == {"calibration"}
    assert StructuredPrune(macs=0.5, importance="taylor").uses() == {"train", "calibration"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"ratio": 0.5, "macs": 0.5},
        {"layers": {"conv1": 0.0}},
        {"layers": {"conv1": 1.0}},
        {"ratio": 0.5, "allocation": "sensitivity"},
        {"macs": 0.5, "allocation": "sensitivity", "global_pruning": True},
        {"ratio": 0.5, "finetune_epochs": 1},
        {"ratio": 0.5, "round_to": 0},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        StructuredPrune(**wrong)


def test_channels_that_a_second_call_ties_to_several_units_are_kept_with_the_reason():
    """Four features a channel behind the flattening: to cut one of them would cut the channel."""
    layer = torch.nn.Linear(32, 32)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 3), torch.nn.ReLU(), torch.nn.Conv2d(6, 8, 3), torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(), layer, torch.nn.ReLU(), layer, torch.nn.Linear(32, 10),
    ).eval()  # fmt: skip
    network = TorchNetwork(module, InputSpec((1, 8, 8), tuple("0123456789")), {"source": "none"})
    empty = Samples((), np.zeros((0, 1, 8, 8), np.float32), None)
    made = run_step(StructuredPrune(ratio=0.5), network, StepContext(empty, empty, None, 0))
    assert (made.module[0].out_channels, made.module[2].out_channels, made.module[5].out_features) == (3, 8, 32)
    found = find_channels(module, network.input)
    assert found.kept["2"] == "several of its units are one channel of 2"
