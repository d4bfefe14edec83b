"""Packed ensembles: groups that share nothing but the input, and what they cost."""

from __future__ import annotations

import pytest
import torch

from bench.errors import UserError
from bench.functional.module_cost import multiply_accumulates
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.mlp import Mlp
from bench.models.resnet8 import ResNet8
from bench.models.vit_tiny import VitTiny
from bench.uncertainty.packed import PackedEnsemble


@pytest.mark.parametrize("model", [Convnet(widths=(8, 16), strides=(2, 2)), Mlp(hidden=(16, 8)), ResNet8(width=4)])
def test_a_head_depends_on_its_own_group_alone(model, digits) -> None:
    """The gradient of one head is zero in every other group of every layer but the first, and there in half of it."""
    module = PackedEnsemble(members=4).build(model, digits.input).eval()
    x = torch.rand(3, 1, 8, 8)
    assert module(x).shape == (3, 4, 10)
    layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d)]
    gradients = torch.autograd.grad(module(x)[:, 1].square().sum(), [layer.weight for layer in layers])
    for layer, gradient in zip(layers, gradients, strict=True):
        by_member = gradient.abs().flatten(1).sum(dim=1).view(4, -1).sum(dim=1)
        assert (by_member > 0).tolist() == [False, True, False, False], layer


def test_hidden_layers_cost_what_one_network_does(digits) -> None:
    model = Mlp(hidden=(64, 64, 64))
    found, _ = multiply_accumulates(PackedEnsemble().build(model, digits.input), digits.input.shape)
    assert found == 64 * 128 + 2 * 128 * 128 // 4 + 128 * 40 // 4


def test_what_cannot_be_grouped_is_refused(digits) -> None:
    with pytest.raises(UserError, match="3 groups do not divide"):
        PackedEnsemble(members=3).check(Convnet(widths=(8, 16), strides=(2, 2)), digits.input, Recipe())
    with pytest.raises(UserError, match="cannot be cut into groups"):
        PackedEnsemble().check(VitTiny(), digits.input, Recipe())
