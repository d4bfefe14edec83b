"""Pixelation: a small image made large."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.functional.corruptions.base import Corruption, Image, corruptions


def overlaps(length: int, blocks: int) -> NDArray[np.float64]:
    """The share of each of so many equal blocks that each pixel fills: (blocks, length), rows sum to 1.

    >>> overlaps(3, 2).round(3).tolist()
    [[0.667, 0.333, 0.0], [0.0, 0.333, 0.667]]
    """
    ends = np.arange(blocks + 1) * (length / blocks)
    starts = np.arange(length)
    shared = np.minimum(ends[1:, None], starts + 1) - np.maximum(ends[:-1, None], starts)
    return np.asarray(np.maximum(shared, 0.0) * (blocks / length))


def pixelate(image: Image, strength: float, random: np.random.Generator) -> Image:
    """The means of ``round(h (1 − s))`` by ``round(w (1 − s))`` equal blocks, at least one, each shown as its block.

    A pixel shows the block that its centre lies in: (channels, h, w) to the same.

    >>> pixelate(np.array([[[0.0, 1.0, 0.5, 0.5]]]), 0.5, np.random.default_rng(0)).tolist()
    [[[0.5, 0.5, 0.5, 0.5]]]
    """
    for axis in (1, 2):
        length = image.shape[axis]
        blocks = max(1, round(length * (1 - strength)))
        means = np.tensordot(image, overlaps(length, blocks), axes=(axis, 1))  # the blocks' axis comes last
        own = ((2 * np.arange(length) + 1) * blocks) // (2 * length)
        image = np.moveaxis(means[..., own], -1, axis)
    return image


corruptions.register("pixelate")(
    Corruption(pixelate, (0.3, 0.5, 0.6, 0.7, 0.8), "share of the resolution taken away", most=1.0)
)
