"""Gaussian noise, as of a sensor in low light."""

from __future__ import annotations

import numpy as np

from bench.functional.corruptions.base import Corruption, Image, corruptions


def gaussian_noise(image: Image, strength: float, random: np.random.Generator) -> Image:
    """``x + σ z``, z standard normal for every value: (channels, h, w) to the same; σ in units of the span.

    >>> z = np.random.default_rng(0).normal(size=(1, 1, 2))
    >>> bool((gaussian_noise(np.zeros((1, 1, 2)), 0.5, np.random.default_rng(0)) == 0.5 * z).all())
    True
    """
    return image + strength * random.normal(size=image.shape)


corruptions.register("gaussian-noise")(
    Corruption(gaussian_noise, (0.02, 0.05, 0.1, 0.15, 0.25), "standard deviation, share of the span")
)
