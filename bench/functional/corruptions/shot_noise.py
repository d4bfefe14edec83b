"""Shot noise: light comes in photons."""

from __future__ import annotations

import numpy as np

from bench.functional.corruptions.base import Corruption, Image, corruptions

FINEST = 1e-6  # 10¹² photons: less noise than float32 can hold


def shot_noise(image: Image, strength: float, random: np.random.Generator) -> Image:
    """``σ² Poisson(x / σ²)``, of mean x and standard deviation ``σ √x``: (channels, h, w) to the same.

    White has 1 / σ² photons; black has no noise.

    >>> shot_noise(np.zeros((1, 1, 2)), 0.5, np.random.default_rng(0)).tolist()
    [[[0.0, 0.0]]]
    """
    photon = max(strength, FINEST) ** 2
    return np.asarray(photon * random.poisson(image / photon))


corruptions.register("shot-noise")(
    Corruption(shot_noise, (0.1, 0.2, 0.3, 0.4, 0.6), "standard deviation at white, share of the span")
)
