"""Brightness: daylight and exposure."""

from __future__ import annotations

import numpy as np

from bench.functional.corruptions.base import Corruption, Image, corruptions


def brightness(image: Image, strength: float, random: np.random.Generator) -> Image:
    """``x + s`` in every channel, s in units of the span, darker below 0: (channels, h, w) to the same.

    >>> brightness(np.array([[[0.25, 0.5]]]), -0.25, np.random.default_rng(0)).tolist()
    [[[0.0, 0.25]]]
    """
    return image + strength


corruptions.register("brightness")(
    Corruption(brightness, (0.05, 0.1, 0.2, 0.3, 0.4), "share of the span", least=-1.0, most=1.0)
)
