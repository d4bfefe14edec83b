"""Contrast: haze, and light that is even."""

from __future__ import annotations

import numpy as np

from bench.functional.corruptions.base import Corruption, Image, corruptions


def contrast(image: Image, strength: float, random: np.random.Generator) -> Image:
    """``m + (1 − s)(x − m)``, m the mean of each channel: (channels, h, w) to the same; below 0 contrast is raised.

    >>> contrast(np.array([[[0.0, 1.0]]]), 0.5, np.random.default_rng(0)).tolist()
    [[[0.25, 0.75]]]
    """
    mean = image.mean(axis=(1, 2), keepdims=True)
    return np.asarray(mean + (1.0 - strength) * (image - mean))


corruptions.register("contrast")(
    Corruption(contrast, (0.1, 0.2, 0.4, 0.6, 0.8), "share of the contrast taken away", least=-1.0, most=1.0)
)
