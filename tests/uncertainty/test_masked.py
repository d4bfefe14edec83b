"""Masks of hidden units: where they stand, and that they stay aligned when channels go."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.errors import UserError
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.mlp import Mlp
from bench.models.resnet8 import ResNet8
from bench.networks.members import MemberMask, Stacked, Tiled, one_member
from bench.networks.network import InputSpec, TorchNetwork
from bench.outside_networks.records import source_record
from bench.uncertainty.masked import fill, masked, masks_of
from bench.uncertainty.masksembles import Masksembles
from bench.uncertainty.mc_dropout import MonteCarloDropout
from bench.uncertainty.placing import maskable_places

DECLARED = InputSpec((1, 8, 8), tuple("0123456789"))


def drawn(model, members=3, share=0.6):
    network = masked(model, DECLARED, members)
    random = torch.Generator().manual_seed(0)
    fill(network, lambda number, units: (torch.rand(members, units, generator=random) < share).float())
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(generator=random)
            norm.running_var.uniform_(0.5, 2.0, generator=random)
    return network.eval()


def test_places_by_hand() -> None:
    plain = Convnet(widths=(4, 6), strides=(1, 2)).build(DECLARED)
    assert [tuple(place) for place in maskable_places(plain, DECLARED)] == [("relu1", 4, 2), ("relu2", 6, 2)]
    places = maskable_places(ResNet8(width=4).build(DECLARED), DECLARED)
    assert [tuple(place) for place in places] == [
        ("block1.relu1", 4, 2), ("block2.relu1", 8, 2), ("block3.relu1", 16, 2)
    ]  # what is added to a shortcut is masked nowhere  # fmt: skip
    with pytest.raises(UserError, match="no hidden activation"):
        maskable_places(Mlp(hidden=()).build(DECLARED), DECLARED)


@pytest.mark.parametrize("model", [Convnet(widths=(6, 8), strides=(1, 2)), Mlp(hidden=(12, 8)), ResNet8(width=4)])
def test_a_tile_is_each_member_alone_with_its_mask(model) -> None:
    network = drawn(model)
    x = torch.randn(5, 1, 8, 8)
    found = network(x)
    assert found.shape == (5, 3, 10)
    for member in range(3):
        with one_member(network, member):
            torch.testing.assert_close(network(x), found[:, member], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found[:, 0], found[:, 1])


def test_rows_of_a_batch_are_shared_out_in_training() -> None:
    mask = MemberMask(2, 4).train()
    mask.fill(torch.tensor([[1.0, 1, 0, 0], [0.0, 0, 1, 1]]))
    assert mask(torch.ones(5, 4)).tolist() == [[1, 1, 0, 0]] * 3 + [[0, 0, 1, 1]] * 2
    dropout = MemberMask(2, 1000, rate=0.25).train()
    out = dropout(torch.ones(8, 1000))
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float((out == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    channels = MemberMask(2, 100, dimensions=2, rate=0.5).train()(torch.ones(4, 100, 3, 3))
    assert set(channels.sum(dim=(2, 3)).unique().tolist()) == {0.0, 18.0}  # whole channels


@pytest.mark.parametrize("model", [Convnet(widths=(12, 16), strides=(1, 2)), ResNet8(width=8)])
def test_pruning_takes_the_same_columns_out_of_every_mask(model, digits) -> None:
    """Channels that are zero everywhere go first, and no member's answer changes."""
    network = drawn(model)
    places = [place.name for place in maskable_places(model.build(DECLARED), DECLARED)]
    dead = {}
    with torch.no_grad():
        for name in places:
            layers = dict(network.network.named_modules())
            conv, norm = (layers[name.replace("relu", kind)] for kind in ("conv", "bn"))
            dead[name] = torch.randperm(len(conv.weight), generator=torch.Generator().manual_seed(1))[
                : len(conv.weight) // 4
            ]
            for tensor in (conv.weight, norm.weight, norm.bias):
                tensor[dead[name]] = 0
    method = MonteCarloDropout(members=3)
    declared = method.answers(DECLARED)
    before = TorchNetwork(network, declared, source_record(model, declared, method))
    step = steps.get("structured-prune")(ratio=0.25, importance="l1")
    after = run_step(step, before, StepContext(digits.train, digits.calibration, Recipe(), 0))
    wide, narrow = ([mask.units for mask in masks_of(each.module)] for each in (before, after))
    assert narrow == [width * 3 // 4 for width in wide]
    if isinstance(model, Convnet):  # of a residual network living channels of the stream go too
        x = torch.randn(6, 1, 8, 8)
        torch.testing.assert_close(after.module(x), before.module(x), rtol=1e-4, atol=1e-5)


def test_what_cannot_carry_masks_is_refused_before_training(digits) -> None:
    with pytest.raises(UserError, match="4 masks do not divide a batch of 30"):
        Masksembles().check(Mlp(), DECLARED, Recipe(batch=30))
    with pytest.raises(UserError, match="wider layers"):
        Masksembles(members=4, scale=1.2).check(Mlp(hidden=(3,)), DECLARED, Recipe(batch=60))
    with pytest.raises(UserError, match="no hidden activation"):
        MonteCarloDropout().check(Mlp(hidden=()), DECLARED, Recipe())


def test_networks_side_by_side() -> None:
    parts = [nn.Sequential(nn.Flatten(), nn.Linear(64, 10)) for _ in range(3)]
    x = torch.randn(4, 1, 8, 8)
    assert torch.equal(Stacked(parts)(x)[:, 1], parts[1](x))
    assert isinstance(masked(Mlp(), DECLARED, 2), Tiled)
