"""Inputs brought back to where an attack may go: a ball around the sample, the bounds, the grid of 8-bit pixels."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]
STEPS = 255  # of an 8-bit pixel
FURTHER = (1.0, 1.02, 1.1, 1.3, 2.0)  # of the way to an input at a boundary, which rounding moves
TOLERANCE = 1e-4  # of such a step: what rounding to float32 does to a pixel


def lengths(change: NDArray[np.floating], norm: Literal["linf", "l2"]) -> NDArray[np.float64]:
    """The norm of each sample's change: (n, ...) to (n,), float64.

    >>> lengths(np.array([[3.0, -4.0]]), "linf").tolist(), lengths(np.array([[3.0, -4.0]]), "l2").tolist()
    ([4.0], [5.0])
    """
    rows = change.reshape(len(change), -1).astype(np.float64)
    return np.asarray(np.abs(rows).max(axis=1) if norm == "linf" else np.sqrt((rows**2).sum(axis=1)))


def finite_or(x: Images, points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Points (n, ...), and the samples themselves where an attack followed a gradient that is not a number.

    >>> finite_or(np.zeros((2, 1)), np.array([[np.nan], [1.0]])).tolist()
    [[0.0], [1.0]]
    """
    whole = np.isfinite(points).reshape(len(points), -1).all(axis=1).reshape(-1, *[1] * (x.ndim - 1))
    return np.asarray(np.where(whole, points, x))


def brought_back(
    x: Images, points: NDArray[np.floating], norm: Literal["linf", "l2"], epsilon: float, bounds: tuple[float, float]
) -> Images:
    """Points (n, ...) projected into the ball of radius epsilon around x and into the bounds; x where one is no number.

    >>> brought_back(np.zeros((1, 2)), np.array([[3.0, -4.0]]), "l2", 1.0, (-0.7, 1.0)).astype(float).round(6).tolist()
    [[0.6, -0.7]]
    """
    change = finite_or(x, points).astype(np.float64) - x
    if norm == "linf":
        change = np.clip(change, -epsilon, epsilon)
    else:
        change *= np.minimum(1.0, epsilon / np.maximum(lengths(change, "l2"), 1e-300)).reshape(-1, *[1] * (x.ndim - 1))
    return np.clip(x + change, *bounds).astype(np.float32)


def on_grid(x: Images, bounds: tuple[float, float]) -> bool:
    """Whether every pixel is one of the 256 values of an 8-bit pixel between the bounds.

    >>> on_grid(np.array([0.0, 1.0, 51 / 255]), (0.0, 1.0)), on_grid(np.array([0.5]), (0.0, 1.0))
    (True, False)
    """
    levels = (x.astype(np.float64) - bounds[0]) / (bounds[1] - bounds[0]) * STEPS
    return bool((np.abs(levels - levels.round()) < TOLERANCE).all())


def to_grid(
    x: Images, points: Images, norm: Literal["linf", "l2"], epsilon: float, bounds: tuple[float, float]
) -> Images:
    """Points (n, ...) within epsilon of x as 8-bit pixels that lie within epsilon of x too; x itself is on the grid.

    In l_inf each pixel is rounded, and taken back a step where that leaves the ball; in l2 it is rounded towards x.

    >>> points = to_grid(np.array([[0.0]]), np.array([[2.6 / 255]]), "linf", 2.6 / 255, (0.0, 1.0))
    >>> (points * 255).round(3).tolist()
    [[2.0]]
    """
    low, high = bounds
    step = (high - low) / STEPS
    own = ((x.astype(np.float64) - low) / step).round()
    change = (points.astype(np.float64) - low) / step - own
    if norm == "linf":
        most = np.floor(epsilon / step + TOLERANCE)
        change = np.clip(change.round(), -most, most)
    else:
        change = np.trunc(change + np.sign(change) * TOLERANCE)
    return np.clip(low + (own + change) * step, low, high).astype(np.float32)
