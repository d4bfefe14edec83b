"""Importances by hand, and refused where they have no meaning."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.compression.pruning.graph import find_channels, remove
from bench.compression.pruning.importance import TAYLOR_BATCH, score_units
from bench.data.base import Samples
from bench.errors import UserError
from bench.networks.network import InputSpec
from tests.compression.pruning.test_graph import IMAGE, shaken

PAIR = InputSpec(shape=(2, 1, 1), classes=("a", "b"))


def small(norm=True):
    """Two inputs, three units with BatchNorm, two classes; weights that a person can square."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2))
    if not norm:
        del module[2]
    with torch.no_grad():
        module[1].weight.copy_(torch.tensor([[3.0, 4.0], [1.0, -6.0], [0.0, 2.0]]))
        module[-1].weight.copy_(torch.tensor([[0.0, 1.0, 2.0], [12.0, 1.0, 0.0]]))
        if norm:
            module[2].weight.copy_(torch.tensor([0.0, -0.5, 1.0]))
    return module.eval()


def scores(module, importance, declared=PAIR, samples=None, seed=0):
    return score_units(module, find_channels(module, declared).groups, importance, declared, samples, seed)


@pytest.mark.parametrize(
    ("importance", "raw"),
    [
        ("l1", [7, 7, 2]),
        ("l2", [5, 37**0.5, 2]),
        ("group-norm", [13, (37 + 0.25 + 2) ** 0.5, 3]),
        ("bn-scale", [0, 0.5, 1]),
    ],
)
def test_weights_by_hand(importance, raw):
    np.testing.assert_allclose(scores(small(), importance)["1"], np.array(raw) / np.mean(raw), rtol=1e-6)


def test_taylor_is_the_first_order_change_of_the_loss(digits):
    """Against the loss's own derivative when the channel is scaled down."""
    network = shaken("convnet")
    declared = replace(IMAGE, classes=tuple("0123456789"))
    module = nn.Sequential(network.module, nn.Linear(3, 10)).double().eval()
    samples = digits.train.take(slice(0, 2 * TAYLOR_BATCH))
    x, y = torch.from_numpy(samples.x).double(), torch.from_numpy(samples.y)
    group = next(group for group in find_channels(module, declared).groups if group.name == "0.conv1")
    layer = module.get_submodule(group.name.replace("conv", "relu"))
    expected = np.zeros(group.size)
    for start in range(0, len(x), TAYLOR_BATCH):
        gate = torch.ones(group.size, dtype=torch.float64, requires_grad=True)
        handle = layer.register_forward_hook(lambda _, __, out, gate=gate: out * gate.view(1, -1, 1, 1))
        part = slice(start, start + TAYLOR_BATCH)
        nn.functional.cross_entropy(module(x[part]), y[part]).backward()
        handle.remove()
        expected += gate.grad.numpy() ** 2 / 2
    wide = Samples(samples.ids, samples.x.astype(np.float64), samples.y)
    found = scores(module, "taylor", declared, wide)[group.name]
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-8)


def test_depthwise_and_flattened_channels_are_counted(digits):
    """A channel that is read at many positions counts with all of them."""
    network = shaken("lenet5")
    layers = network.module
    own = scores(layers, "group-norm", IMAGE)["conv2"]
    conv, linear = layers.conv2.weight.detach().double(), layers.linear1.weight.detach().double()
    positions = linear.shape[1] // conv.shape[0]
    read = linear.view(len(linear), conv.shape[0], positions).square().sum((0, 2))
    raw = (conv.square().sum((1, 2, 3)) + read).sqrt().numpy()
    np.testing.assert_allclose(own, raw / raw.mean(), rtol=1e-6)
    mobile = shaken("mobilenet-tiny")
    found = scores(mobile.module, "l1", IMAGE)["depthwise1.conv"]
    parts = [mobile.module.stem.conv, mobile.module.depthwise1.conv]
    raw = sum(part.weight.detach().double().abs().sum((1, 2, 3)) for part in parts).numpy()
    np.testing.assert_allclose(found, raw / raw.mean(), rtol=1e-6)


def test_random_follows_its_seed_alone():
    module, same = small(), small()
    state = torch.get_rng_state()
    first = scores(module, "random", seed=1)["1"]
    assert np.array_equal(first, scores(same, "random", seed=1)["1"])
    assert not np.array_equal(first, scores(module, "random", seed=2)["1"])
    assert torch.equal(torch.get_rng_state(), state)


def test_where_an_importance_has_no_meaning_it_is_refused(digits):
    with pytest.raises(
        UserError, match="'bn-scale' needs a BatchNorm with scales after every pruned layer; '1' has none"
    ):
        scores(small(norm=False), "bn-scale")
    plain = nn.Sequential(nn.Flatten(), nn.Linear(2, 3), nn.BatchNorm1d(3, affine=False), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(UserError, match="'bn-scale' needs"):
        scores(plain.eval(), "bn-scale")
    for samples in (None, replace(digits.train, y=None), digits.train.take(slice(0, 0))):
        with pytest.raises(UserError, match="'taylor' needs labelled training or calibration samples"):
            scores(small(), "taylor", samples=samples)


def test_zero_weights_give_zero_scores_not_nan():
    module = small()
    with torch.no_grad():
        module[1].weight.zero_()
    assert scores(module, "l1")["1"].tolist() == [0, 0, 0]
    groups = find_channels(module, PAIR).groups
    remove(module, PAIR, groups, {"1": [0]})
