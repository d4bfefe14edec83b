"""Where attacks that see the class alone begin: an input of another class, drawn near to the sample."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Wrong: TypeAlias = Callable[[Float], bool]  # whether an input, from 0 to 1, is of another class

TRIES: Final = 100  # random inputs that are asked at most
STARTS: Final = 5  # inputs of another class that are drawn near
HALVINGS: Final = 10


def nearby_start(
    wrong: Wrong, x: Float, own: np.random.Generator, norm: Literal["linf", "l2"], given: Float | None = None
) -> Float | None:
    """An input of another class, of values from 0 to 1: the nearest of five that were drawn near to x.

    They are the given one, and random ones, of at most 100; None where no input was of another class.

    >>> bright = nearby_start(lambda x: bool(x.mean() > 0.5), np.zeros((1, 4, 4)), np.random.default_rng(0), "l2")
    >>> round(float(bright.mean()), 2)
    0.5
    >>> nearby_start(lambda x: False, np.zeros((1, 4, 4)), np.random.default_rng(0), "l2") is None
    True
    """
    found = [] if given is None or not wrong(given) else [given]
    for turn in range(TRIES):
        if len(found) == STARTS:
            break
        tried = coarse_noise(own, x.shape, turn)
        if wrong(tried):
            found.append(tried)
    near = [drawn_near(wrong, x, far) for far in found]
    order = np.inf if norm == "linf" else 2
    return min(near, key=lambda start: float(np.linalg.norm((start - x).ravel(), order)), default=None)


def coarse_noise(own: np.random.Generator, shape: tuple[int, ...], turn: int) -> Float:
    """Uniform noise on cells of 1, 2, 4, ... pixels a side, turn by turn, up to one cell of the whole image.

    A network may give all noise of single pixels one class: that of the sample, for some samples.

    >>> coarse_noise(np.random.default_rng(0), (2, 3), 1).round(2).tolist()  # turn 1: cells of two pixels a side
    [[0.64, 0.64, 0.27], [0.64, 0.64, 0.27]]
    """
    plane = shape[-2:] if len(shape) > 1 else shape[-1:]
    cell = 2 ** (turn % (1 + ceil(np.log2(max(plane)))))
    before = len(shape) - len(plane)
    coarse = own.random((*shape[:before], *(ceil(side / cell) for side in plane)))
    for axis, side in enumerate(plane, before):
        coarse = np.take(np.repeat(coarse, cell, axis=axis), range(side), axis=axis)
    return coarse


def drawn_near(wrong: Wrong, x: Float, far: Float) -> Float:
    """The input of another class on the line from x to ``far`` after ten halvings; x is right, ``far`` wrong.

    >>> drawn_near(lambda x: x[0] > 0.3, np.array([0.0]), np.array([1.0])).round(3).tolist()
    [0.301]
    """
    right, beyond = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (right + beyond) / 2
        if wrong(x + middle * (far - x)):
            beyond = middle
        else:
            right = middle
    return np.asarray(x + beyond * (far - x))
