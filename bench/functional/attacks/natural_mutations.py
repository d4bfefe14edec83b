"""Small natural changes of an image, of which each has its limit, and all together one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.functional.corruptions.base import Image, corruptions
from bench.functional.corruptions.rotation import turned
from bench.functional.corruptions.shift import moved
from bench.stats.streams import generator

Applied = Callable[[Image, float, np.random.Generator], Image]


class Mutation(NamedTuple):
    """One kind: ``apply(image, strength, random)``, the most that is taken, and whether it has two directions."""

    name: str
    apply: Applied
    most: float
    signed: bool


def _shifted(image: Image, strength: float, random: np.random.Generator, *, axis: int) -> Image:
    return moved(image, strength * min(image.shape[1:]), axis)


def _rotated(image: Image, strength: float, random: np.random.Generator) -> Image:
    return turned(image, strength)


def _corruption(name: str) -> Applied:
    return corruptions.get(name).function


MUTATIONS: Final = (  # in the order in which they are applied; the most is the corruption's third severity or nearby
    Mutation("rotation", _rotated, 15.0, True),
    Mutation("shift-down", partial(_shifted, axis=1), 0.1, True),
    Mutation("shift-right", partial(_shifted, axis=2), 0.1, True),
    Mutation("contrast", _corruption("contrast"), 0.4, True),
    Mutation("brightness", _corruption("brightness"), 0.2, True),
    Mutation("defocus-blur", _corruption("defocus-blur"), 0.07, False),
    Mutation("gaussian-noise", _corruption("gaussian-noise"), 0.1, False),
    Mutation("jpeg", _corruption("jpeg"), 0.85, False),
)
COLOURS: Final = (1, 3)  # channels that JPEG knows


def mutations_for(shape: tuple[int, ...]) -> tuple[Mutation, ...]:
    """The mutations of images (channels, height, width): JPEG knows one channel or three.

    >>> len(mutations_for((1, 8, 8))), len(mutations_for((2, 8, 8)))
    (8, 7)
    """
    return MUTATIONS if shape[0] in COLOURS else tuple(each for each in MUTATIONS if each.name != "jpeg")


def within_limits(shares: NDArray[np.float64], kinds: tuple[Mutation, ...], total: float) -> NDArray[np.float64]:
    """Strengths in shares of each kind's most, (kinds,), brought to where images stay realistic.

    No kind is taken further than its most, none below 0 that has one direction, and ``Σ |share| ≤ total``: where the
    sum is more, all shrink alike.

    >>> within_limits(np.array([0.9, -0.9, 0.0, 0, 0, -1.0, 0, 0]), MUTATIONS, 0.9).round(9).tolist()[:2]
    [0.45, -0.45]
    """
    least = np.array([-1.0 if each.signed else 0.0 for each in kinds])
    inside = np.clip(shares, least, 1.0)
    return np.asarray(inside * min(1.0, total / max(float(np.abs(inside).sum()), 1e-300)))


def mutated(
    image: NDArray[np.float32],
    shares: NDArray[np.float64],
    kinds: tuple[Mutation, ...],
    *,
    words: tuple[str | int, ...],
    bounds: tuple[float, float] = (0.0, 1.0),
) -> NDArray[np.float32]:
    """The image (channels, height, width) under all kinds at these shares of their most, cut off at the bounds.

    Made of the image itself in one fixed order, each kind once: nothing is interpolated again and again. The noise of
    an image is that of ``generator("mutation.KIND", *words)``, whatever its strength.

    >>> shares = np.zeros(8)
    >>> shares[4] = 0.5  # brightness by .1 of the span
    >>> np.allclose(mutated(np.zeros((1, 1, 2)), shares, MUTATIONS, words=("a",)), 0.1)
    True
    """
    low, high = bounds
    own = (image.astype(np.float64) - low) / (high - low)
    for kind, share in zip(kinds, shares.tolist(), strict=True):
        if share:
            own = kind.apply(own, share * kind.most, generator(f"mutation.{kind.name}", *words)).clip(0.0, 1.0)
    return np.clip(low + (high - low) * own, low, high).astype(np.float32)
