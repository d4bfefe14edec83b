"""Where inputs lie: between two corners, or in a ball about a point."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float: TypeAlias = NDArray[np.float64]

UP = 1 + 2.0**-50  # outward, beyond the rounding of one sum


class Box(NamedTuple):
    """The inputs between two corners, (n_0,) each."""

    low: Float
    high: Float


class Ball(NamedTuple):
    """The inputs no farther than a radius from a centre (n_0,), in l2."""

    centre: Float
    radius: float


Region: TypeAlias = Box | Ball


def checked(region: Region, size: int) -> Region:
    """The region with flat float64 arrays.

    Raises:
        ValueError: it has another dimension, a low end above its high end, a radius below 0, or what is not finite.

    >>> checked(Ball(np.zeros((1, 2)), 0.5), 2).centre.tolist()
    [0.0, 0.0]
    """
    if isinstance(region, Ball):
        centre, radius = np.asarray(region.centre, dtype=np.float64).ravel(), float(region.radius)
        if centre.shape != (size,) or not np.isfinite(centre).all():
            raise ValueError(f"a ball about {centre.size} numbers for {size} inputs: finite ones are needed, one each")
        if not 0 <= radius < np.inf:
            raise ValueError(f"a ball of radius {radius}: it must be finite, and 0 or more")
        return Ball(centre, radius)
    low, high = (np.asarray(end, dtype=np.float64).ravel() for end in region)
    if low.shape != (size,) or high.shape != low.shape or not (np.isfinite(low) & np.isfinite(high)).all():
        raise ValueError(f"a box with ends of shapes {low.shape} and {high.shape} for {size} inputs: finite, one each")
    if not (low <= high).all():
        raise ValueError(f"a box whose low end exceeds its high end at {int((low > high).sum())} inputs")
    return Box(low, high)


def enclosing_box(region: Region) -> Box:
    """The smallest box around a region, rounded outward.

    >>> [end.round(9).tolist() for end in enclosing_box(Ball(np.array([1.0, 0.0]), 0.5))]
    [[0.5, -0.5], [1.5, 0.5]]
    """
    if isinstance(region, Box):
        return region
    reach = np.abs(region.centre) * (UP - 1) + region.radius * UP
    return Box(region.centre - reach, region.centre + reach)


def around(sample: NDArray[Any], radius: float, domain: str = "box") -> Region:
    """The ball of a radius about a sample, or the box of that half width.

    Raises:
        ValueError: the domain is neither ``ball`` nor ``box``.

    >>> around(np.zeros(2), 0.5).high.round(9).tolist()
    [0.5, 0.5]
    """
    centre = np.asarray(sample, dtype=np.float64).ravel()
    if domain == "ball":
        return checked(Ball(centre, radius), centre.size)
    if domain != "box":
        raise ValueError(f"{domain!r} is no region; there are ball and box")
    reach = np.abs(centre) * (UP - 1) + radius * UP
    return checked(Box(centre - reach, centre + reach), centre.size)
