"""KernelSHAP: Shapley values by a weighted regression over coalitions of segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Coalitions(NamedTuple):
    """Coalitions of players (count, players), True where a player takes part, and their weights (count,)."""

    members: NDArray[np.bool_]
    weights: NDArray[np.float64]


def most_coalitions(players: int, most: int) -> int:
    """The number of coalitions that ``draw_coalitions`` gives: all but two where these are ``most`` or fewer.

    >>> most_coalitions(3, 100), most_coalitions(49, 1000), most_coalitions(1, 10)
    (6, 1000, 0)
    """
    if players < 2:
        return 0
    return 2**players - 2 if players < 60 and 2**players - 2 <= most else most // 2 * 2


def draw_coalitions(random: np.random.Generator, players: int, most: int) -> Coalitions:
    """All coalitions but the empty and the whole one, where these are ``most`` or fewer; else so many drawn ones.

    All of them carry the Shapley kernel's weight ``(d − 1) / (C(d, s) s (d − s))`` of s of d players. Drawn ones come
    as pairs of a coalition and its complement, of a size s with a probability in proportion to ``1 / (s (d − s))``,
    and weigh the same (Covert and Lee, arXiv 2012.01536). With pairs the values of a game without interactions of three
    or more players are exact.

    >>> every = draw_coalitions(np.random.default_rng(0), players=2, most=2)
    >>> every.members.astype(int).tolist(), every.weights.tolist()
    ([[0, 1], [1, 0]], [0.5, 0.5])
    >>> drawn = draw_coalitions(np.random.default_rng(0), players=5, most=8).members
    >>> bool((drawn[0::2] == ~drawn[1::2]).all()), drawn.shape
    (True, (8, 5))
    """
    if players < 2:
        return Coalitions(np.empty((0, players), dtype=bool), np.empty(0))
    if most_coalitions(players, most) == 2**players - 2:
        codes = np.arange(1, 2**players - 1)
        members = (codes[:, None] >> np.arange(players)[::-1] & 1).astype(bool)
        size = members.sum(axis=1)
        return Coalitions(members, (players - 1) / (_choose(players)[size] * size * (players - size)))
    pairs = most // 2
    sizes = np.arange(1, players)
    chance = 1.0 / (sizes * (players - sizes))
    size = random.choice(sizes, pairs, p=chance / chance.sum())
    rank = random.random((pairs, players)).argsort(axis=1).argsort(axis=1)
    one = rank < size[:, None]
    return Coalitions(np.stack([one, ~one], axis=1).reshape(2 * pairs, players), np.ones(2 * pairs))


def _choose(n: int) -> NDArray[np.float64]:
    """Binomial coefficients of n over 0, 1, ..., n."""
    row = np.ones(1)
    for _ in range(n):
        row = np.convolve(row, [1.0, 1.0])
    return row


def shapley_values(coalitions: Coalitions, values: NDArray[np.float64], empty: float, whole: float) -> NDArray[Any]:
    """Shapley values (players,) of a game, of its values over coalitions, by KernelSHAP (arXiv 1705.07874).

    They minimise ``Σ_S w_S (v(S) − v(∅) − Σ_{i ∈ S} φ_i)²`` under ``Σ φ_i = v(all) − v(∅)``. Over all coalitions they
    are the Shapley values themselves.

    Args:
        coalitions: which players take part, and the weights.
        values: v of each coalition, (count,).
        empty: v without any player.
        whole: v with all of them.

    Raises:
        ValueError: the coalitions do not tell the players apart.

    >>> every = draw_coalitions(np.random.default_rng(0), players=2, most=2)
    >>> shapley_values(every, np.array([1.0, 0.0]), empty=0.0, whole=4.0).round(12).tolist()  # alone: 0 and 1
    [1.5, 2.5]
    """
    members = coalitions.members.astype(np.float64)
    players, gain = members.shape[1], whole - empty
    if players == 1:
        return np.array([gain])
    root = np.sqrt(coalitions.weights)
    last = members[:, -1]
    left = (members[:, :-1] - last[:, None]) * root[:, None]
    right = (values - empty - last * gain) * root
    found, _, rank, _ = np.linalg.lstsq(left, right, rcond=None)
    if rank < players - 1:
        raise ValueError(f"{len(members)} coalitions do not tell {players} players apart; give more")
    return np.append(found, gain - found.sum())


def grid_segments(shape: Sequence[int], cells: int) -> NDArray[np.int64]:
    """Segments of a map: so many cells along every axis, of sizes that differ by one at most; numbered from 0.

    Raises:
        ValueError: more cells than places along an axis.

    >>> grid_segments((2, 5), cells=2).tolist()
    [[0, 0, 0, 1, 1], [2, 2, 2, 3, 3]]
    """
    numbers = np.zeros(tuple(shape), dtype=np.int64)
    for axis, length in enumerate(shape):
        if not 1 <= cells <= length:
            raise ValueError(f"{cells} cells do not fit an axis of {length}; give 1 to {length}")
        along = np.arange(length) * cells // length
        numbers = numbers * cells + along.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return numbers


def spread_over_segments(values: NDArray[np.float64], segments: NDArray[np.int64]) -> NDArray[np.float64]:
    """A map in which each segment's value is shared equally by its places, so that the sum stays.

    >>> spread_over_segments(np.array([3.0, 1.0]), np.array([0, 0, 1])).tolist()
    [1.5, 1.5, 1.0]
    """
    return np.asarray((values / np.bincount(segments.ravel(), minlength=len(values)))[segments])
