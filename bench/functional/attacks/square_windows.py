"""Where the Square attack changes an image, how large the place is, and the pattern that it puts there in l2."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
HALVED_AFTER: Final = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 steps
TILES = 5  # a side, of the first change in l2


def changed_share(step: int, steps: int, first: float) -> float:
    """The share of pixels that step 0, 1, ... of so many changes: ``first``, halved at each place of the schedule.

    The published schedule is of 10,000 steps; others are shrunk or stretched to it.

    >>> [changed_share(step, 1000, 0.8) for step in (0, 2, 6, 999)]
    [0.8, 0.4, 0.2, 0.0015625]
    """
    return float(first / 2 ** bisect_left(HALVED_AFTER, int(step / steps * 10_000)))


def window_sides(share: float, height: int, width: int, least: int = 1) -> tuple[int, int]:
    """Sides of the window of this share of an image: a square where the image has room for it, else a rectangle.

    With ``least`` above 1 they are odd, where the image has room, as the pattern in l2 has a middle.

    >>> window_sides(0.25, 8, 8), window_sides(0.25, 1, 64), window_sides(0.001, 8, 8, least=3)
    ((4, 4), (1, 16), (3, 3))
    """
    side = max(round(sqrt(share * height * width)), least)
    if least > 1 and side % 2 == 0:
        side += 1
    a, b = min(side, height), min(side, width)
    if a < side:
        b = min(width, max(b, round(share * height * width / a)))
    elif b < side:
        a = min(height, max(a, round(share * height * width / b)))
    return a, b


def window_index(
    places: Float, sides: tuple[int, int], shape: tuple[int, int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """An index of one window in each of m images, from uniform numbers (m, 2): all places are equally likely.

    Args:
        places: (m, 2), uniform on [0, 1): where the window's corner lies, down and across.
        sides: of the window.
        shape: channels, height and width of an image.

    >>> images = np.zeros((1, 1, 2, 3))
    >>> images[window_index(np.array([[0.9, 0.6]]), (1, 2), (1, 2, 3))] = 1
    >>> images[0, 0].tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    """
    free = np.array(shape[1:]) - sides + 1
    corner = (places * free).astype(np.intp)
    down, across = (corner[:, axis, None] + np.arange(sides[axis]) for axis in (0, 1))
    images, channels = np.arange(len(places)), np.arange(shape[0])
    return images[:, None, None, None], channels[None, :, None, None], down[:, None, :, None], across[:, None, None, :]


@cache
def two_bumps(height: int, width: int, sideways: bool = False) -> Float:
    """Two bumps of opposite sign beside each other, of l2 norm 1: (height, width), the pattern of the attack in l2.

    Of a bump whose middle is t pixels away in the maximum norm, the value is ``Σ_{k>t} 1/k²`` up to half its side.
    A window one pixel high holds them side by side; a single pixel is one bump.

    >>> (two_bumps(2, 1) * sqrt(2)).round(6).tolist()
    [[1.0], [-1.0]]
    """
    if width > 1 and (sideways or height == 1):
        return two_bumps(width, height).T.copy()
    upper = height // 2
    pattern = np.concatenate([_bump(upper, width), -_bump(height - upper, width)])
    return np.asarray(pattern / np.linalg.norm(pattern))


def _bump(height: int, width: int) -> Float:
    """One bump of l2 norm 1; nothing where it has no pixel."""
    if height == 0:
        return np.zeros((0, width))
    away = np.maximum(
        abs(np.arange(height) - height // 2)[:, None], abs(np.arange(width) - width // 2)[None, :]
    )  # fmt: skip
    rings = 1.0 / np.arange(1, max(height, width) // 2 + 2) ** 2
    bump = np.append(np.cumsum(rings[::-1])[::-1], 0.0)[away]
    return np.asarray(bump / np.linalg.norm(bump))
