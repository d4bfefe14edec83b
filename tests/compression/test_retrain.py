"""Retraining: the recipe from another seed, sharing nothing but the structure."""

import copy
from dataclasses import replace

import pytest
import torch

from bench.compression.chains import run_step
from bench.compression.restoring import to_bytes
from bench.compression.retrain import Retrain
from bench.errors import UserError
from bench.models.training import accuracy


def test_another_network_as_good(network, context, digits):
    recipe = replace(context.recipe, epochs=3)
    made = run_step(Retrain(), network, replace(context, recipe=recipe))
    ours, theirs = (accuracy(n.module, digits.evaluation, digits.input) for n in (made, network))
    assert abs(ours - theirs) < 0.06
    weights = torch.stack([n.module.conv2.weight.detach().flatten() for n in (made, network)])
    assert abs(float(torch.corrcoef(weights)[0, 1])) < 0.2


def test_it_starts_afresh(network, context):
    """Whatever the weights were, the same seed gives the same network."""
    noisy = replace(network, module=copy.deepcopy(network.module))
    noisy.module.conv1.weight.data.add_(1)
    first = run_step(Retrain(), network, context)
    assert to_bytes(run_step(Retrain(), noisy, context)) == to_bytes(first)
    untrained = run_step(Retrain(), network, replace(context, recipe=replace(context.recipe, epochs=0)))
    assert to_bytes(untrained) != to_bytes(network)


def test_without_a_recipe_it_is_refused(network, context):
    with pytest.raises(UserError, match="retrain needs the recipe of a reference that is trained here"):
        run_step(Retrain(), network, replace(context, recipe=None))
    outside = replace(network, record={"source": "factory", "factory": "a:b", "kind": "torch"})
    with pytest.raises(UserError, match="retrain needs the recipe"):
        run_step(Retrain(), outside, context)


def test_another_margin_is_the_recipes_with_it(network, context):
    small = replace(context.recipe, epochs=1)
    margin = run_step(Retrain(lipschitz_margin=0.05), network, replace(context, recipe=small))
    recipe = replace(small, lipschitz_margin=0.05)
    assert to_bytes(margin) == to_bytes(run_step(Retrain(), network, replace(context, recipe=recipe)))
    assert to_bytes(margin) != to_bytes(run_step(Retrain(), network, replace(context, recipe=small)))
    assert "lipschitz_margin" not in Retrain().canonical()["parameters"]  # networks keep their keys
    assert Retrain(lipschitz_margin=0.05).canonical()["parameters"]["lipschitz_margin"] == 0.05
