"""Gradient estimates by natural evolution strategies: an attack that follows differences of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.functional.attacks.allowed import brought_back, lengths
from bench.functional.attacks.score_margins import score_log_odds, wrong_score_margin
from bench.functional.attacks.square import Images, Norm, Scores, Searched, check_one_each

Float = NDArray[np.float64]
ASKED_AT_ONCE: Final = 4096  # inputs: what a group of samples needs for one estimate


def nes(
    scores: Scores,
    x: Images,
    labels: NDArray[np.int64],
    generators: Sequence[np.random.Generator],
    *,
    epsilon: float,
    queries: int,
    norm: Norm = "linf",
    bounds: tuple[float, float] = (0.0, 1.0),
    pairs: int = 25,
    sigma: float = 0.01,
    momentum: float = 0.9,
    relative_stepsize: float | None = None,
) -> Searched:
    """Projected ascent on gradients estimated from scores (Ilyas et al., arXiv 1804.08598).

    ``g = 1 / (2 k σ) Σ_i (L(x + σ u_i) − L(x − σ u_i)) u_i`` with k pairs, u standard normal and L the log-odds against
    the label; ``m ← μ m + (1 − μ) g``; a step along the sign of m in l_inf, along its direction in l2, then back into
    the ball and the bounds. Each iterate is asked too, and a sample whose class is wrong asks no more. A sample's
    result depends on its generator and scores alone.

    A network that rounds its input needs a σ of several of its steps: where all differences are 0 nothing moves.

    Args:
        scores: inputs (m, ...) to log-probabilities or logits (m, classes), float64, each row on its own.
        x: samples (n, ...) within the bounds.
        labels: the class that is attacked, int64 (n,).
        generators: one a sample.
        epsilon: largest change in the norm, above 0.
        queries: inputs that may be asked of a sample, at least ``2 pairs + 1``: one step.
        norm: of the change.
        bounds: lowest and highest input; the places where scores are asked are cut to them.
        pairs: of opposite places for one estimate.
        sigma: distance of the places, as a share of the width of the bounds, a pixel's standard deviation.
        momentum: share of the old direction in the new.
        relative_stepsize: of epsilon; 2.5 / steps by default.

    Raises:
        ValueError: a number is out of its range, or generators do not match the samples.

    >>> def scores(x): return np.stack([0 * x[:, 0], x.sum(axis=1)], axis=1).astype(np.float64)
    >>> x, labels = np.full((1, 4), 0.5, dtype=np.float32), np.array([1])
    >>> found = nes(scores, x, labels, [np.random.default_rng(0)], epsilon=0.25, queries=510, bounds=(-1, 1))
    >>> found.best.tolist(), found.margin.tolist(), found.queries.tolist()  # ten steps of 51
    ([[0.25, 0.25, 0.25, 0.25]], [-1.0], [510])
    """
    check_one_each(x, labels, generators)
    if not (epsilon > 0 and sigma > 0 and pairs > 0 and queries > 2 * pairs):
        what = f"epsilon {epsilon}, sigma {sigma}, {pairs} pairs, {queries} queries"
        raise ValueError(f"{what}: the first three must be above 0, and one step asks 2 pairs + 1")
    steps = queries // (2 * pairs + 1)
    stepsize = epsilon * (2.5 / steps if relative_stepsize is None else relative_stepsize)
    reach = sigma * (bounds[1] - bounds[0])
    best, margin = x.copy(), np.full(len(x), -np.inf)
    asked, fell = np.zeros(len(x), dtype=np.int64), np.zeros(len(x), dtype=bool)
    current, direction = x.copy(), np.zeros(x.shape)
    group = max(1, ASKED_AT_ONCE // (2 * pairs))
    for _ in range(steps):
        alive = np.flatnonzero(~fell)
        if not alive.size:
            break
        for rows in np.array_split(alive, -(-len(alive) // group)):
            loss = _loss(scores, labels[rows], 2 * pairs)
            own = [generators[row] for row in rows.tolist()]
            gradient = _estimate(loss, current[rows], own, pairs, reach, bounds)
            direction[rows] = momentum * direction[rows] + (1 - momentum) * gradient
            moved = (current[rows] + stepsize * _unit(direction[rows], norm)).astype(np.float32)
            current[rows] = point = brought_back(x[rows], moved, norm, epsilon, bounds)
            answers = scores(point)
            value = wrong_score_margin(answers, labels[rows])
            wrong = answers.argmax(axis=1) != labels[rows]
            asked[rows] += 2 * pairs + 1
            kept = (value > margin[rows]) | wrong
            best[rows[kept]], margin[rows[kept]] = point[kept], value[kept]
            fell[rows[wrong]] = True
    return Searched(best, margin, asked, fell)


def _loss(scores: Scores, labels: NDArray[np.int64], repeated: int) -> Callable[[Images], Float]:
    """What is raised, of ``repeated`` inputs of each sample after one another."""
    return lambda points: score_log_odds(scores(points), np.repeat(labels, repeated))


def _estimate(
    loss: Callable[[Images], Float], current: Images, generators: Sequence[np.random.Generator], pairs: int,
    reach: float, bounds: tuple[float, float],
) -> Float:  # fmt: skip
    """The gradient (m, ...) of the loss at m points, each from its own pairs of places."""
    shape = current.shape[1:]
    drawn = np.stack([own.standard_normal((pairs, *shape)) for own in generators])
    places = current[:, None, None] + reach * np.stack([drawn, -drawn], axis=2)  # (m, pairs, 2, ...)
    points = np.clip(places, *bounds).astype(np.float32).reshape(-1, *shape)
    value = loss(points).reshape(len(current), pairs, 2)
    difference = value[:, :, 0] - value[:, :, 1]
    gradients = [each @ own.reshape(pairs, -1) for each, own in zip(difference, drawn, strict=True)]
    return np.asarray(np.stack(gradients).reshape(current.shape) / (2 * pairs * reach))


def _unit(direction: Float, norm: Norm) -> Float:
    """The step of length 1 that raises most."""
    if norm == "linf":
        return np.sign(direction)
    return direction / np.maximum(lengths(direction, "l2"), 1e-300).reshape(-1, *[1] * (direction.ndim - 1))
