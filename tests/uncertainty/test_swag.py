"""SWAG: the covariance of its samples is the one that it says, and BatchNorm fits every sampled network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.functional.members.weight_gaussian import weight_gaussian
from bench.models.base import Recipe
from bench.models.batch_norm_statistics import estimate_again
from bench.models.mlp import Mlp
from bench.models.training import Additions, initialise, train
from bench.stats.streams import derive_seed, generator
from bench.uncertainty.swag import Swag
from bench.uncertainty.weight_vectors import some_samples, weight_vector

MODEL = Mlp(hidden=(12,), batch_norm=True)
METHOD = Swag(members=2, epochs=3, rank=2)
RECIPE = Recipe(epochs=2)


def silent(line):
    pass


def test_samples_have_the_covariance_of_the_formula() -> None:
    points = generator("test-swag").standard_normal((6, 4)) @ np.diag([1.0, 2.0, 0.5, 1.0])
    fitted = weight_gaussian(points, 4)
    drawn = fitted.samples(40_000, 0.3, "test")
    last = points[-4:] - points.mean(axis=0)
    wanted = 0.3 * (np.diag(points.var(axis=0)) + last.T @ last / 3)
    assert np.abs(np.cov(drawn.T) - wanted).max() < 0.03 * wanted.max()
    assert np.abs(drawn.mean(axis=0) - points.mean(axis=0)).max() < 0.03
    for rank in (1, 7):
        with pytest.raises(ValueError, match="of 6 points"):
            weight_gaussian(points, rank)


def test_at_scale_0_every_member_is_the_mean_of_the_weights_kept(digits) -> None:
    made = replace(METHOD, scale=0.0).train(MODEL, digits.train, digits.input, RECIPE, 0, silent)
    start = train(initialise(MODEL, digits.input, 0), digits.train, digits.input, RECIPE, 0)
    kept = []
    additions = Additions(schedule="constant", each_epoch=lambda module: kept.append(weight_vector(module)))
    further = replace(RECIPE, epochs=3, learning_rate=RECIPE.learning_rate / 5)
    train(start, digits.train, digits.input, further, derive_seed("swag", 0), silent, additions)
    for member in made.members:
        np.testing.assert_allclose(weight_vector(member), np.mean(kept, axis=0), atol=1e-6)


def test_statistics_of_batch_norm_are_each_members_own(digits) -> None:
    made = METHOD.train(MODEL, digits.train, digits.input, RECIPE, 0, silent)
    images = some_samples(digits.train, 512, derive_seed("swag", 0))
    assert len(images.x) == 512
    for member in made.members:
        again = estimate_again(member, images, digits.input)
        assert torch.equal(again.bn1.running_mean, member.bn1.running_mean)
    assert not torch.equal(made.members[0].bn1.running_mean, made.members[1].bn1.running_mean)


def test_refusals(digits) -> None:
    with pytest.raises(UserError, match="rank 5, and 4 epochs"):
        Swag(epochs=4, rank=5).check(MODEL, digits.input, RECIPE)
    with pytest.raises(UserError, match="the recipe has 0 epochs"):
        Swag().check(MODEL, digits.input, Recipe(epochs=0))
    with pytest.raises(UserError, match=r"reference.method.learning_rate: the loss is not finite in epoch 1"):
        replace(METHOD, learning_rate=1e30).train(Mlp(), digits.train, digits.input, RECIPE, 0, silent)
