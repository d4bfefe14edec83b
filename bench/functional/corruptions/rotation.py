"""Rotation: the camera is held askew."""

from __future__ import annotations

import numpy as np

from bench.functional.corruptions.base import Corruption, Image, corruptions


def turned(image: Image, degrees: float) -> Image:
    """The image turned about its centre against the clock, linearly between pixels, edge pixels repeated.

    >>> turned(np.array([[[1.0, 0.0], [0.0, 0.0]]]), 90.0).round(9).tolist()
    [[[0.0, 0.0], [1.0, 0.0]]]
    """
    from scipy.ndimage import rotate

    return np.asarray(rotate(image, degrees, axes=(1, 2), reshape=False, order=1, mode="nearest"))


def rotation(image: Image, strength: float, random: np.random.Generator) -> Image:
    """The image turned by so many degrees, with or against the clock, each as likely: (channels, h, w) to the same.

    >>> rotation(np.ones((1, 2, 2)), 30.0, np.random.default_rng(0)).round(9).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """
    return turned(image, strength if random.integers(2) else -strength)


corruptions.register("rotation")(Corruption(rotation, (6.0, 12.0, 18.0, 24.0, 30.0), "degrees", most=180.0))
