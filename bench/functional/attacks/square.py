"""The Square attack: random search for a wrong class by scores alone, in l_inf and l2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.functional.attacks.score_margins import wrong_score_margin
from bench.functional.attacks.square_windows import TILES, changed_share, two_bumps, window_index, window_sides

Float = NDArray[np.float64]
Images = NDArray[np.float32]
Scores: TypeAlias = Callable[[Images], Float]  # (m, ...) to log-probabilities or logits (m, classes)
Norm: TypeAlias = Literal["linf", "l2"]

FIRST_SHARE: Final[dict[Norm, float]] = {"linf": 0.8, "l2": 0.1}  # of pixels that the first steps change
DRAWN = 64  # steps whose random numbers are drawn at once


class Searched(NamedTuple):
    """What a search by scores found of each sample."""

    best: Images  # (n, ...), the input of the largest margin; the wrong one where the sample fell
    margin: Float  # (n,), of ``best``: the largest wrong score less the label's
    queries: NDArray[np.int64]  # (n,), inputs that were asked; a sample that fell asked no more
    fell: NDArray[np.bool_]  # (n,)


def square(
    scores: Scores,
    x: Images,
    labels: NDArray[np.int64],
    generators: Sequence[np.random.Generator],
    *,
    epsilon: float,
    queries: int,
    norm: Norm = "linf",
    bounds: tuple[float, float] = (0.0, 1.0),
    first_share: float | None = None,
) -> Searched:
    """Random search with square changes (Andriushchenko et al., arXiv 1912.00049) for a margin above 0.

    It begins at the ball's edge: in l_inf with vertical stripes of ``± epsilon``, in l2 with tiles of bumps. Each step
    asks one more input, which it keeps where the margin grows or the class is wrong. In l_inf it changes one window to
    ``± epsilon``, one sign a channel; in l2 it takes what one window holds to another, as bumps. The window's share of
    the image shrinks with the steps (``changed_share``). A sample's result depends on its generator and scores alone.

    Vectors (n, features) are taken as images one pixel high: their windows are runs of neighbours.

    Args:
        scores: inputs (m, ...) to log-probabilities or logits (m, classes), float64, each row on its own.
        x: images (n, channels, height, width), or vectors (n, features), within the bounds.
        labels: the class whose margin is attacked, int64 (n,).
        generators: one a sample.
        epsilon: largest change in the norm, above 0.
        queries: inputs that may be asked of a sample, at least 1.
        norm: of the change.
        bounds: lowest and highest input.
        first_share: of pixels, changed by the first steps; by default .8 in l_inf and .1 in l2, as published.

    Raises:
        ValueError: x has another number of axes, a number is out of its range, or generators do not match the samples.

    >>> def scores(x): return np.stack([0 * x[:, 0], x.sum(axis=1)], axis=1).astype(np.float64)
    >>> x, labels = np.full((1, 4), 0.5, dtype=np.float32), np.array([1])
    >>> found = square(scores, x, labels, [np.random.default_rng(0)], epsilon=0.25, queries=50, bounds=(-1, 1))
    >>> found.best.tolist(), found.margin.tolist(), found.fell.tolist(), found.queries.tolist()
    ([[0.25, 0.25, 0.25, 0.25]], [-1.0], [False], [50])
    """
    channels, height, width = _as_images(x, generators, labels, epsilon, queries)
    low, high = np.float32(bounds[0]), np.float32(bounds[1])
    images = x.reshape(len(x), channels, height, width)
    share = FIRST_SHARE[norm] if first_share is None else first_share
    propose = _propose_linf if norm == "linf" else _propose_l2
    start = _stripes if norm == "linf" else _tiles

    best = np.empty_like(images)
    for row, own in enumerate(generators):
        best[row] = np.clip(images[row] + epsilon * start(own, images.shape[1:]), low, high)
    answers = scores(best.reshape(x.shape))
    margin = wrong_score_margin(answers, labels)
    fell = answers.argmax(axis=1) != labels
    asked = np.ones(len(x), dtype=np.int64)
    alive = np.flatnonzero(~fell)
    drawn = np.empty((0, DRAWN, 0))
    for step in range(queries - 1):
        if not alive.size:
            break
        if step % DRAWN == 0:
            numbers = channels + (2 if norm == "linf" else 5)
            drawn = np.stack([generators[row].random((DRAWN, numbers)) for row in alive.tolist()])
        now = changed_share(step, queries, share)
        tried = propose(images[alive], best[alive], drawn[:, step % DRAWN], now, epsilon)
        np.clip(tried, low, high, out=tried)
        answers = scores(tried.reshape(len(alive), *x.shape[1:]))
        value = wrong_score_margin(answers, labels[alive])
        wrong = answers.argmax(axis=1) != labels[alive]
        kept = (value > margin[alive]) | wrong
        best[alive[kept]], margin[alive[kept]] = tried[kept], value[kept]
        asked[alive] += 1
        fell[alive[wrong]] = True
        alive, drawn = alive[~wrong], drawn[~wrong]
    return Searched(best.reshape(x.shape), margin, asked, fell)


def check_one_each(x: Images, labels: NDArray[np.int64], generators: Sequence[np.random.Generator]) -> None:
    """Raise ``ValueError`` unless each sample has one label and one generator.

    >>> check_one_each(np.zeros((1, 2)), np.array([0, 1]), [])
    Traceback (most recent call last):
    ...
    ValueError: 1 samples, 2 labels and 0 generators: give one each
    """
    if not len(x) == len(generators) == len(labels):
        raise ValueError(f"{len(x)} samples, {len(labels)} labels and {len(generators)} generators: give one each")


def _as_images(
    x: Images, generators: Sequence[np.random.Generator], labels: NDArray[np.int64], epsilon: float, queries: int
) -> tuple[int, int, int]:
    """Channels, height and width."""
    check_one_each(x, labels, generators)
    if not epsilon > 0 or queries < 1:
        raise ValueError(f"epsilon {epsilon} and queries {queries}: epsilon must be above 0, queries at least 1")
    if x.ndim == 4:
        return x.shape[1], x.shape[2], x.shape[3]
    if x.ndim == 2:
        return 1, 1, x.shape[1]
    raise ValueError(f"samples of shape {x.shape[1:]}: give images (channels, height, width) or vectors (features,)")


def _signs(uniform: Float) -> Float:
    return np.where(uniform < 0.5, -1.0, 1.0)


def _stripes(own: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """Vertical stripes of ± 1, the first change in l_inf."""
    return np.broadcast_to(_signs(own.random((shape[0], 1, shape[2]))), shape)


def _tiles(own: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """Tiles of bumps all over the image, of l2 norm 1 together."""
    channels, height, width = shape
    a, b = max(1, height // TILES), max(1, width // TILES)
    made = np.zeros(shape)
    for top in range(0, height, a):
        for left in range(0, width, b):
            numbers = own.random(1 + channels)
            place = made[:, top : top + a, left : left + b]
            bumps = two_bumps(a, b, bool(numbers[0] < 0.5))[: place.shape[1], : place.shape[2]]
            place[...] = _signs(numbers[1:])[:, None, None] * bumps
    return made / np.linalg.norm(made)


def _propose_linf(x: Images, best: Images, numbers: Float, share: float, epsilon: float) -> Images:
    """One window of each image at ± epsilon, a sign a channel."""
    shape = x.shape[1], x.shape[2], x.shape[3]
    window = window_index(numbers[:, :2], window_sides(share, *shape[1:]), shape)
    tried = best.copy()
    tried[window] = x[window] + (epsilon * _signs(numbers[:, 2:]))[:, :, None, None]
    return tried


def _propose_l2(x: Images, best: Images, numbers: Float, share: float, epsilon: float) -> Images:
    """The budget of two windows, and what clipping left unused, put into the first as bumps; the second is emptied."""
    shape = x.shape[1], x.shape[2], x.shape[3]
    sides = window_sides(share, *shape[1:], least=3)
    first, second = (window_index(numbers[:, at : at + 2], sides, shape) for at in (0, 2))
    change = best.astype(np.float64) - x
    both = np.zeros(x.shape, dtype=bool)
    both[first] = both[second] = True
    held = np.square(change * both).sum(axis=(2, 3), keepdims=True)
    unused = np.maximum(epsilon**2 - np.square(change).sum(axis=(1, 2, 3), keepdims=True), 0.0)
    own = np.ascontiguousarray(change[first])  # sums add in the same order whatever the number of images
    upright, sideways = two_bumps(*sides), two_bumps(*sides, True)
    bumps = np.where((numbers[:, 4] < 0.5)[:, None, None, None], upright, sideways)
    pattern = bumps * _signs(numbers[:, 5:])[:, :, None, None]
    pattern = pattern + own / np.maximum(_norm(own, (2, 3)), 1e-12)
    change[second] = 0.0
    change[first] = pattern / np.maximum(_norm(pattern, (2, 3)), 1e-12) * np.sqrt(held + unused / shape[0])
    change *= epsilon / np.maximum(_norm(change, (1, 2, 3)), 1e-12)
    return (x + change).astype(np.float32)


def _norm(values: Float, axes: tuple[int, ...]) -> Float:
    return np.asarray(np.sqrt(np.square(values).sum(axis=axes, keepdims=True)))
