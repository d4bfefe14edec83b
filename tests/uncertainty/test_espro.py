"""ESPRO: older vertices stay, the volume grows with its weight, and it does so below volume 1 too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.errors import UserError
from bench.models.base import Recipe
from bench.models.mlp import Mlp
from bench.models.training import accuracy, initialise, train
from bench.uncertainty.espro import Espro
from bench.uncertainty.weight_space import WeightSpace, log_volume
from bench.uncertainty.weight_vectors import some_samples, weight_vector, with_own_statistics

MODEL = Mlp(hidden=(16,), batch_norm=True)
RECIPE = Recipe(epochs=3, batch=32)
METHOD = Espro(members=3, vertices=3, epochs=2, draws=2)


def silent(line):
    pass


@pytest.fixture(scope="module")
def spaces(digits):
    return {
        weight: replace(METHOD, volume=weight).space(MODEL, digits.train, digits.input, RECIPE, 0, silent)
        for weight in (0.0, 1e-3, 1e-1)
    }


def test_the_first_vertex_is_the_trained_network_and_every_vertex_is_good(digits, spaces) -> None:
    mode = train(initialise(MODEL, digits.input, 0), digits.train, digits.input, RECIPE, 0)
    space = spaces[1e-3]
    two = replace(METHOD, vertices=2).space(MODEL, digits.train, digits.input, RECIPE, 0, silent)
    np.testing.assert_array_equal(weight_vector(space.vertices[0]), weight_vector(mode))
    np.testing.assert_array_equal(weight_vector(space.vertices[1]), weight_vector(two.vertices[1]))
    images = some_samples(digits.train, 512, 0)
    for point in np.eye(3):
        there = with_own_statistics(space.at(point), images, digits.input)
        assert accuracy(there, digits.evaluation, digits.input) > 0.75


def test_volume_grows_with_its_weight(digits, spaces) -> None:
    volumes = [float(log_volume(spaces[weight]).detach()) for weight in (0.0, 1e-3, 1e-1)]
    assert volumes[0] + 0.3 < volumes[1] < volumes[2]
    mode = spaces[0.0].vertices[0]
    start = WeightSpace([mode, METHOD.beside(WeightSpace([mode], np.zeros), 0)], np.zeros)
    assert float(log_volume(start).detach()) < 0  # where the published rule has no weight left
    assert float(METHOD.penalty(start)(start).detach()) > 0  # minus a log volume below 0


def test_points_and_refusals(digits) -> None:
    points = Espro(members=4, vertices=3).points(0)
    np.testing.assert_allclose(points[0], 1 / 3)
    np.testing.assert_allclose(points.sum(axis=1), 1)
    with pytest.raises(UserError, match="the recipe has 0 epochs"):
        METHOD.check(MODEL, digits.input, Recipe(epochs=0))
    with pytest.raises(UserError, match="Lipschitz margin"):
        METHOD.check(MODEL, digits.input, Recipe(lipschitz_margin=1.0))
    with pytest.raises(UserError, match=r"reference.method.learning_rate: the loss is not finite in epoch 1"):
        replace(METHOD, learning_rate=1e30).train(MODEL, digits.train, digits.input, RECIPE, 0, silent)
