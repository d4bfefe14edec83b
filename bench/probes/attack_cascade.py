"""A declared set of attacks run one after another on what is left, each judged on the network as it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bench.attacks.base import Asked, Attack
from bench.errors import NotApplicable
from bench.functional.attacks.allowed import FURTHER, brought_back, on_grid, to_grid
from bench.functional.attacks.score_margins import wrong_score_margin


@dataclass
class Cascade:
    """What a set of attacks found: (n,) each; a sample that was wrong before was never attacked."""

    clean: NDArray[np.bool_]  # right before
    robust: NDArray[np.bool_]  # right before, and under every attack
    fell_to: NDArray[np.int16]  # the number of the attack that succeeded; -1: none did
    queries: NDArray[np.int64]  # by attacks that count them, of the network as it runs
    inputs: NDArray[np.float32]  # (n, ...), of the first success, else of the least margin; unattacked the sample
    margins: NDArray[np.float64]  # (n,), of these inputs: the class's score less the largest other; unattacked infinite
    flags: dict[str, NDArray[np.bool_]] = field(default_factory=dict)


def run_cascade(asked: Asked, attacks: tuple[Attack, ...], *, pixel_grid: bool = False) -> Cascade:
    """Run attacks in their order, round by round, on the samples that withstood what came before.

    Every candidate is brought back into the ball and the bounds, on request to 8-bit pixels, and succeeds where the
    network as it runs gives another class then.

    Raises:
        NotApplicable: 8-bit pixels are asked for of samples that have others.
    """
    assert asked.epsilon is not None
    if pixel_grid and not on_grid(asked.x, asked.bounds):
        raise NotApplicable("pixel_grid needs samples of 8-bit pixels; these have values between")
    n = len(asked.x)
    clean = asked.scores(asked.x).argmax(axis=1) == asked.labels
    result = Cascade(
        clean, clean.copy(), np.full(n, -1, dtype=np.int16), np.zeros(n, dtype=np.int64), asked.x.copy(),
        np.full(n, np.inf), {name: np.zeros(n, dtype=bool) for name in ("zero_gradient", "rising")},
    )  # fmt: skip
    for number, attack in enumerate(attacks):
        for turn in range(attack.rounds):
            rows = np.flatnonzero(result.robust)
            if rows.size:
                _one_round(result, asked, attack, number, rows, turn, pixel_grid)
    return result


def _further(x: NDArray[np.float32], candidates: tuple[NDArray[np.float32], ...]) -> Iterator[NDArray[np.float64]]:
    """Inputs at a boundary, and some beyond it, where the network as it runs puts it a little farther."""
    for candidate in candidates:
        for share in FURTHER:
            yield x + share * (candidate.astype(np.float64) - x)


def _among(points: NDArray[np.float32], judged: list[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Which rows of points (n, ...) are those of an earlier array."""
    known = np.zeros(len(points), dtype=bool)
    for earlier in judged:
        known |= (points == earlier).reshape(len(points), -1).all(axis=1)
    return known


def _one_round(
    result: Cascade, asked: Asked, attack: Attack, number: int, rows: NDArray[np.intp], turn: int, grid: bool
) -> None:
    left = replace(asked.take(rows), round=turn)
    found = attack.run(left)
    if found.queries is not None:
        result.queries[rows] += found.queries
    for name, flags in found.flags.items():
        result.flags[name][rows] |= flags
    assert asked.epsilon is not None
    judged: list[NDArray[np.float32]] = []
    for candidate in _further(left.x, found.candidates) if attack.nearest else found.candidates:
        points = brought_back(left.x, candidate, asked.norm, asked.epsilon, asked.bounds)
        if grid:
            points = to_grid(left.x, points, asked.norm, asked.epsilon, asked.bounds)
        fresh = np.flatnonzero(~_among(points, judged))  # beyond epsilon all come back to one point
        judged.append(points)
        if not fresh.size:
            continue
        scores, labels, own = asked.scores(points[fresh]), left.labels[fresh], rows[fresh]
        fooled, margins = scores.argmax(axis=1) != labels, -wrong_score_margin(scores, labels)
        standing = result.robust[own]
        stronger = standing & (fooled | (margins < result.margins[own]))
        result.inputs[own[stronger]], result.margins[own[stronger]] = points[fresh[stronger]], margins[stronger]
        new = own[fooled & standing]
        result.robust[new] = False
        result.fell_to[new] = number
