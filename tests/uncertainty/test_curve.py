"""Mode connectivity: the ends are the modes, and the bend takes the barrier between them away."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.models.base import Recipe
from bench.models.mlp import Mlp
from bench.models.training import initialise, preprocess, train
from bench.stats.streams import derive_seed
from bench.uncertainty.curve import Curve
from bench.uncertainty.weight_vectors import weight_vector

MODEL = Mlp(hidden=(16,))
RECIPE = Recipe(epochs=4, batch=32)


def test_ends_are_the_modes_and_the_bend_lowers_the_barrier(digits) -> None:
    method = Curve(members=3)
    made = method.train(MODEL, digits.train, digits.input, RECIPE, 0, lambda line: None)
    modes = []
    for number in range(2):
        own = derive_seed("curve", 0, number)
        modes.append(train(initialise(MODEL, digits.input, own), digits.train, digits.input, RECIPE, own))
    for member, mode in zip((made.members[0], made.members[-1]), modes, strict=True):
        np.testing.assert_array_equal(weight_vector(member), weight_vector(mode))
        x = preprocess(torch.from_numpy(digits.evaluation.x), digits.input)
        assert torch.equal(member(x), mode(x))
    space = method.space(MODEL, digits.train, digits.input, RECIPE, 0, lambda line: None)
    x, y = preprocess(torch.from_numpy(digits.train.x), digits.input), torch.from_numpy(digits.train.y)

    def loss(point):
        with torch.no_grad():
            return float(torch.nn.functional.cross_entropy(space.at(np.array(point))(x), y))

    worst_end = max(loss([1.0, 0.0, 0.0]), loss([0.0, 0.0, 1.0]))
    straight, bent = loss([0.5, 0.0, 0.5]), loss([0.25, 0.5, 0.25])
    assert straight > 2 * worst_end
    assert bent < 0.7 * straight


def test_refusals(digits) -> None:
    with pytest.raises(UserError, match="the recipe has 0 epochs"):
        Curve().check(MODEL, digits.input, Recipe(epochs=0))
    with pytest.raises(UserError, match="Lipschitz margin"):
        Curve().check(MODEL, digits.input, Recipe(lipschitz_margin=1.0))
