"""Pixelation: a small image made large."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from bench.functional.corruptions.base import Corruption, Image, corruptions


def overlaps(length: int, side: float) -> NDArray[np.float64]:
    """How much of each pixel lies in each block of that side, from the first pixel on: (blocks, length), from 0 to 1.

    >>> overlaps(4, 1.5).tolist()
    [[1.0, 0.5, 0.0, 0.0], [0.0, 0.5, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """
    ends = np.append(side * np.arange(ceil(length / side - 1e-9)), length)
    starts = np.arange(length)
    shared = np.minimum(ends[1:, None], starts + 1) - np.maximum(ends[:-1, None], starts)
    return np.asarray(np.maximum(shared, 0.0))


def pixelate(image: Image, strength: float, random: np.random.Generator) -> Image:
    """The means of blocks of ``1 / (1 − s)`` pixels a side, at most the whole side: (channels, h, w) to the same.

    Blocks need not end with a pixel: means, and what a pixel shows, are by shares of area. The last block is what is
    left.

    >>> pixelate(np.array([[[0.0, 1.0, 0.5, 0.5]]]), 0.5, np.random.default_rng(0)).tolist()
    [[[0.5, 0.5, 0.5, 0.5]]]
    """
    for axis in (1, 2):
        length = image.shape[axis]
        shares = overlaps(length, 1 / max(1 - strength, 1 / length))
        shown = (shares / shares.sum(axis=1, keepdims=True)).T @ shares  # by symmetry: pixels to means to pixels
        image = np.moveaxis(np.tensordot(image, shown, axes=(axis, 0)), -1, axis)
    return image


corruptions.register("pixelate")(
    Corruption(pixelate, (0.2, 0.4, 0.6, 0.7, 0.8), "share of the resolution taken away", most=1.0)
)
