from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from bench.functional.kernel_shap import (
    Coalitions,
    draw_coalitions,
    grid_segments,
    shapley_values,
    spread_over_segments,
)

Game = Callable[[np.ndarray], np.ndarray]


def by_permutations(game: Game, players: int) -> np.ndarray:
    """Shapley values by definition: the mean gain of a player over all orders in which players come in."""
    total = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        inside = np.zeros(players, dtype=bool)
        before = float(game(inside[None])[0])
        for player in order:
            inside[player] = True
            after = float(game(inside[None])[0])
            total[player] += after - before
            before = after
    return total / len(orders)


def of(game: Game, coalitions: Coalitions) -> np.ndarray:
    players = coalitions.members.shape[1]
    empty, whole = (float(game(np.full((1, players), inside))[0]) for inside in (False, True))
    return shapley_values(coalitions, game(coalitions.members), empty, whole)


@pytest.mark.parametrize("players", [1, 2, 3, 5, 6])
def test_all_coalitions_give_the_shapley_values_by_definition(players: int) -> None:
    worth = np.random.default_rng(players).normal(size=2**players)  # any game at all

    def game(members: np.ndarray) -> np.ndarray:
        return worth[members @ (1 << np.arange(players))]

    every = draw_coalitions(np.random.default_rng(0), players, most=2**players)
    assert len(every.members) == 2**players - 2
    found = of(game, every)
    np.testing.assert_allclose(found, by_permutations(game, players), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.sum(), worth[-1] - worth[0], rtol=1e-12)


def test_drawn_coalitions_come_near_the_shapley_values_and_add_up_exactly() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 8)), random.normal(size=8)

    def game(members: np.ndarray) -> np.ndarray:
        return np.tanh(members @ first[0]) * np.exp(0.3 * members @ first[1]) + np.maximum(members @ second, 0)

    exact = of(game, draw_coalitions(random, 8, most=2**8))
    errors = []
    for most in (40, 200):
        found = [of(game, draw_coalitions(np.random.default_rng(seed), 8, most)) for seed in range(40)]
        errors.append(np.sqrt(np.mean((np.array(found) - exact) ** 2)))
        np.testing.assert_allclose([each.sum() for each in found], exact.sum(), rtol=1e-12)
        error = np.std(found, axis=0) / np.sqrt(40)
        assert (np.abs(np.mean(found, axis=0) - exact) < 5 * error + 0.2 * np.abs(exact).max() * 8 / most).all()
    assert errors[1] < 0.6 * errors[0]
    assert errors[1] < 0.1 * np.abs(exact).max()


def test_pairs_leave_no_noise_of_interactions_of_two_players() -> None:
    random = np.random.default_rng(0)
    linear, both = random.normal(size=12), random.normal(size=(12, 12))

    def game(members: np.ndarray) -> np.ndarray:
        z = members.astype(float)
        return 1.0 + z @ linear + np.einsum("ni,ij,nj->n", z, both, z)

    interactions = both + both.T - 2 * np.diag(np.diag(both))
    expected = linear + np.diag(both) + interactions.sum(axis=1) / 2
    drawn = draw_coalitions(random, 12, most=60)
    np.testing.assert_allclose(of(game, drawn), expected, rtol=1e-9, atol=1e-9)
    alone = Coalitions(drawn.members[::2], drawn.weights[::2])  # without their complements they are not
    assert np.abs(of(game, alone) - expected).max() > 0.05


def test_sizes_are_drawn_as_the_kernel_weighs_them() -> None:
    drawn = draw_coalitions(np.random.default_rng(0), 9, most=400).members[::2]
    drawn = np.concatenate(
        [drawn, *(draw_coalitions(np.random.default_rng(s), 9, 400).members[::2] for s in range(20))]
    )
    size = drawn.sum(axis=1)
    chance = 1 / (np.arange(1, 9) * np.arange(8, 0, -1))
    seen = np.bincount(size, minlength=9)[1:9] / len(size)
    expected = chance / chance.sum()
    assert (np.abs(seen - expected) < 4 * np.sqrt(expected * (1 - expected) / len(size))).all()
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(len(drawn))


def test_coalitions_that_do_not_tell_players_apart_are_refused() -> None:
    members = np.array([[True, True, False], [False, False, True]])
    with pytest.raises(ValueError, match="2 coalitions do not tell 3 players apart"):
        shapley_values(Coalitions(members, np.ones(2)), np.zeros(2), 0.0, 1.0)


def test_segments_are_as_equal_as_they_can_be_and_a_spread_keeps_the_sum() -> None:
    segments = grid_segments((8, 11), cells=3)
    sizes = np.bincount(segments.ravel())
    assert len(sizes) == 9
    assert set(sizes) <= {2 * 3, 2 * 4, 3 * 3, 3 * 4}
    values = np.random.default_rng(0).normal(size=9)
    spread = spread_over_segments(values, segments)
    np.testing.assert_allclose([spread[segments == i].sum() for i in range(9)], values)
    with pytest.raises(ValueError, match="9 cells do not fit an axis of 8"):
        grid_segments((8, 11), cells=9)
