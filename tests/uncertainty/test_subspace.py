"""Learned subspaces: where members lie, their BatchNorm, the penalty's effect, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.models.base import Recipe
from bench.models.batch_norm_statistics import estimate_again
from bench.models.mlp import Mlp
from bench.models.training import accuracy
from bench.stats.streams import derive_seed
from bench.uncertainty.subspace import Subspace
from bench.uncertainty.weight_space import mean_squared_cosine
from bench.uncertainty.weight_vectors import some_samples, weight_vector, with_own_statistics

MODEL = Mlp(hidden=(16,), batch_norm=True)
RECIPE = Recipe(epochs=3, batch=32)


def silent(line):
    pass


def test_points() -> None:
    np.testing.assert_allclose(Subspace(members=3).points(0)[:, 1], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(Subspace(members=3, ends=True).points(0)[:, 1], [0, 0.5, 1])
    np.testing.assert_allclose(Subspace(members=3, shape="curve").points(0)[1], [0.25, 0.5, 0.25])
    simplex = Subspace(members=5, shape="simplex", vertices=4)
    np.testing.assert_allclose(simplex.points(0)[0], 0.25)
    assert not np.array_equal(simplex.points(0), simplex.points(1))
    both = Subspace(members=6, shape="simplex", vertices=4, ends=True).points(0)
    np.testing.assert_array_equal(both[:4], np.eye(4))
    np.testing.assert_allclose(both.sum(axis=1), 1)


def test_members_are_the_points_and_the_whole_line_is_good(digits) -> None:
    method = Subspace(members=2, ends=True)
    space = method.space(MODEL, digits.train, digits.input, RECIPE, 0, silent)
    made = method.train(MODEL, digits.train, digits.input, RECIPE, 0, silent)
    images = some_samples(digits.train, 512, derive_seed("subspace", 0))
    for member, vertex in zip(made.members, space.vertices, strict=True):
        np.testing.assert_array_equal(weight_vector(member), weight_vector(vertex))
        again = estimate_again(member, images, digits.input)
        assert torch.equal(again.bn1.running_var, member.bn1.running_var)
    for a in (0.0, 0.3, 0.5, 1.0):
        there = with_own_statistics(space.at(np.array([1 - a, a])), images, digits.input)
        assert accuracy(there, digits.evaluation, digits.input) > 0.75


def test_beta_turns_vertices_away_from_each_other(digits) -> None:
    found = [
        float(
            mean_squared_cosine(
                Subspace(shape="simplex", beta=beta).space(MODEL, digits.train, digits.input, RECIPE, 0, silent)
            ).detach()
        )
        for beta in (0.0, 1.0)
    ]
    assert found[1] < 0.1 * found[0]


def test_refusals(digits) -> None:
    for given, recipe, message in [
        ({"vertices": 3}, RECIPE, "3 vertices of a line, which has 2"),
        ({"shape": "simplex", "vertices": 6, "ends": True}, RECIPE, "5 members for 6 vertices"),
        ({}, Recipe(epochs=0), "the recipe has 0 epochs"),
        ({}, Recipe(lipschitz_margin=0.5), "Lipschitz margin reads the layers"),
    ]:
        with pytest.raises(UserError, match=message):
            Subspace(**given).check(MODEL, digits.input, recipe)
    hot = Recipe(epochs=1, learning_rate=1e30)
    with pytest.raises(UserError, match="not finite in epoch 1"):
        Subspace(members=2).train(Mlp(), digits.train, digits.input, hot, 0, silent)
