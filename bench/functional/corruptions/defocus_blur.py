"""Defocus blur: a lens out of focus spreads every point over a disc."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from bench.functional.corruptions.base import Corruption, Image, corruptions
from bench.functional.corruptions.blurring import blurred, point_kernel

POINTS = 16  # across a radius at least


@lru_cache(maxsize=32)
def disc_kernel(radius: float) -> NDArray[np.float64]:
    """The kernel of a disc of that radius in pixels, between pixels too: its variance grows with the radius from 0 on.

    >>> disc_kernel(0.5).sum().round(9).tolist(), disc_kernel(0.5).shape
    (1.0, (3, 3))
    """
    along = np.linspace(-1.0, 1.0, 2 * max(POINTS, 2 * ceil(radius)) + 1)
    down, right = (axis.ravel() for axis in np.meshgrid(along, along, indexing="ij"))
    inside = down**2 + right**2 <= 1.0
    return point_kernel(radius * down[inside], radius * right[inside])


def defocus_blur(image: Image, strength: float, random: np.random.Generator) -> Image:
    """The mean over a disc of radius s · min(h, w), edge pixels repeated: (channels, h, w) to the same.

    >>> defocus_blur(np.ones((1, 2, 2)), 0.5, np.random.default_rng(0)).round(9).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """
    return blurred(image, disc_kernel(strength * min(image.shape[1:])))


corruptions.register("defocus-blur")(
    Corruption(defocus_blur, (0.03, 0.05, 0.07, 0.09, 0.12), "radius, share of the shorter side", most=1.0)
)
