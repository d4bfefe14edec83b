"""Impulse noise: dead and saturated pixels, salt and pepper."""

from __future__ import annotations

import numpy as np

from bench.functional.corruptions.base import Corruption, Image, corruptions


def impulse_noise(image: Image, strength: float, random: np.random.Generator) -> Image:
    """0 or 1, each with probability s / 2, in place of a value; else the value: (channels, h, w) to the same.

    What a strength replaces a greater one replaces alike.

    >>> impulse_noise(np.full((1, 1, 4), 0.5), 1.0, np.random.default_rng(0)).tolist()
    [[[1.0, 0.0, 0.0, 0.0]]]
    """
    drawn = random.random(size=image.shape)
    pepper, salt = drawn < strength / 2, drawn > 1 - strength / 2
    return np.where(pepper, 0.0, np.where(salt, 1.0, image))


corruptions.register("impulse-noise")(
    Corruption(impulse_noise, (0.01, 0.03, 0.06, 0.12, 0.25), "share of values replaced", most=1.0)
)
