"""Shift: the object stands elsewhere."""

from __future__ import annotations

from math import floor

import numpy as np

from bench.functional.corruptions.base import Corruption, Image, corruptions

WAYS = 4  # up, down, left, right


def moved(image: Image, pixels: float, axis: int) -> Image:
    """The image moved along an axis, linearly between pixels, edge pixels repeated: (channels, h, w) to the same.

    >>> moved(np.array([[[1.0, 0.0, 0.0]]]), 1.5, 2).tolist()
    [[[1.0, 1.0, 0.5]]]
    """
    whole, length = floor(pixels), image.shape[axis]
    near, far = (image.take((np.arange(length) - way).clip(0, length - 1), axis) for way in (whole, whole + 1))
    part = pixels - whole
    return np.asarray((1 - part) * near + part * far)


def shift(image: Image, strength: float, random: np.random.Generator) -> Image:
    """The image moved by s · min(h, w) pixels up, down, left or right, each as likely: (channels, h, w) to the same.

    >>> shift(np.array([[[1.0]]]), 0.5, np.random.default_rng(0)).tolist()
    [[[1.0]]]
    """
    pixels, way = strength * min(image.shape[1:]), int(random.integers(WAYS))
    return moved(image, pixels if way % 2 else -pixels, 1 + way // 2)


corruptions.register("shift")(
    Corruption(shift, (2 / 28, 3 / 28, 4 / 28, 6 / 28, 8 / 28), "share of the shorter side", most=1.0)
)
