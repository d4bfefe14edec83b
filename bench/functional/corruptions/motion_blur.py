"""Motion blur: the camera moves while the shutter is open."""

from __future__ import annotations

from math import ceil

import numpy as np

from bench.functional.corruptions.base import Corruption, Image, corruptions
from bench.functional.corruptions.blurring import blurred, point_kernel

POINTS = 8  # a pixel of the way


def along_line(image: Image, length: float, angle: float) -> Image:
    """The mean along a line through each pixel, edge pixels repeated: (channels, h, w) to the same.

    Args:
        image: (channels, h, w).
        length: of the line, in pixels.
        angle: in radians, from the horizontal.

    >>> along_line(np.array([[[0.0, 0.0, 1.0, 0.0, 0.0]]]), 2.0, 0.0).round(9).tolist()
    [[[0.0, 0.25, 0.5, 0.25, 0.0]]]
    """
    points = 2 * POINTS * ceil(max(1.0, length))
    way = length * ((np.arange(points) + 0.5) / points - 0.5)
    return blurred(image, point_kernel(way * np.sin(angle), way * np.cos(angle)))


def motion_blur(image: Image, strength: float, random: np.random.Generator) -> Image:
    """The mean along a line of length s · min(h, w) at an angle uniform in [0, π): (channels, h, w) to the same.

    >>> motion_blur(np.ones((1, 2, 2)), 0.5, np.random.default_rng(0)).round(9).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """
    return along_line(image, strength * min(image.shape[1:]), random.uniform(0.0, np.pi))


corruptions.register("motion-blur")(
    Corruption(motion_blur, (0.1, 0.15, 0.2, 0.3, 0.4), "length, share of the shorter side", most=1.0)
)
