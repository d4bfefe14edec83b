"""Prune-and-tune: pairs are complements of one parent, and what is not kept stays 0."""

from __future__ import annotations

import pytest
import torch

from bench.errors import UserError
from bench.models import training
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.mlp import Mlp
from bench.uncertainty.prune_and_tune import PruneAndTune

MODEL = Convnet(widths=(5, 6), strides=(2, 2))
RECIPE = Recipe(epochs=1)


def test_pairs_are_complementary_and_masks_hold(digits, monkeypatch) -> None:
    starts, real = [], training.train
    monkeypatch.setattr(training, "train", lambda module, *rest: starts.append(module) or real(module, *rest))
    method = PruneAndTune(members=4, epochs=2)
    made = method.train(MODEL, digits.train, digits.input, RECIPE, 0, lambda line: None)
    parent = starts[1]
    assert all(start is parent for start in starts[1:])
    masks = [method.masks(parent, number, 0) for number in range(4)]
    assert set(masks[0]) == {"conv1", "conv2"}
    for name in masks[0]:
        weights = [member.get_submodule(name).weight for member in made.members]
        for weight, mask in zip(weights, masks, strict=True):
            assert torch.equal(weight != 0, mask[name] == 1)
            assert abs(int(mask[name].sum()) - weight.numel() / 2) <= 0.5
        for first in (0, 2):
            assert torch.equal((weights[first] != 0) ^ (weights[first + 1] != 0), torch.ones_like(masks[0][name]) == 1)
        assert not torch.equal(masks[0][name], masks[2][name])
    assert all(bool((member.classifier.weight != 0).all()) for member in made.members)
    assert all(not torch.equal(member.classifier.weight, parent.classifier.weight) for member in made.members)


def test_refusals(digits) -> None:
    with pytest.raises(UserError, match="3 members are not pairs"):
        PruneAndTune(members=3).check(MODEL, digits.input, RECIPE)
    with pytest.raises(UserError, match="no layer beside the last one"):
        PruneAndTune(members=2).check(Mlp(hidden=()), digits.input, RECIPE)
    with pytest.raises(UserError, match="the recipe has 0 epochs"):
        PruneAndTune(members=2).check(MODEL, digits.input, Recipe(epochs=0))
    with pytest.raises(UserError, match=r"reference.method.learning_rate: the loss is not finite in epoch 1"):
        PruneAndTune(members=2, learning_rate=1e30).train(
            Mlp(), digits.train, digits.input, RECIPE, 0, lambda line: None
        )
