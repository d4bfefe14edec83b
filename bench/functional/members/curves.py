"""Lines, Bezier curves and planes in weight space, as weights of their vertices: whatever is combined by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def parameters_along(points: int) -> Float:
    """Equally spaced parameters from 0 to 1, both exact: (points,).

    Raises:
        ValueError: If there are fewer than two points.

    >>> parameters_along(5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if points < 2:
        raise ValueError(f"{points} points: a curve needs its two ends")
    return np.linspace(0.0, 1.0, points)


def line_weights(parameters: NDArray[Any]) -> Float:
    """Weights ``(1 − a, a)`` of both ends of a line: parameters (points,) to (points, 2).

    Raises:
        ValueError: If a parameter is not from 0 to 1.

    >>> line_weights(np.array([0.0, 0.25, 1.0])).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.0, 1.0]]
    """
    a = _checked(parameters)
    return np.stack([1.0 - a, a], axis=1)


def bezier_weights(parameters: NDArray[Any]) -> Float:
    """Weights ``((1 − a)², 2 a (1 − a), a²)`` of first end, bend and second end: (points,) to (points, 3).

    A quadratic Bezier curve (Garipov et al. 2018, arXiv 1802.10026). It begins and ends exactly in its ends, and
    passes the bend by: at a = ½ the bend weighs ½. Equal steps of a are not equal lengths.

    Raises:
        ValueError: If a parameter is not from 0 to 1.

    >>> bezier_weights(np.array([0.0, 0.5, 1.0])).tolist()
    [[1.0, 0.0, 0.0], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]
    """
    a = _checked(parameters)
    return np.stack([(1.0 - a) ** 2, 2.0 * a * (1.0 - a), a**2], axis=1)


def combined(weights: NDArray[Any], vertices: NDArray[Any]) -> Float:
    """Points ``Σ_j w_ij v_j``: weights (points, vertices) and vertices (vertices, d) to (points, d), in float64.

    A point of one weight 1 and others 0 is exactly its vertex.

    Raises:
        ValueError: If the numbers of vertices differ.

    >>> combined(np.array([[0.5, 0.5]]), np.array([[0.0, 2.0], [4.0, 4.0]])).tolist()
    [[2.0, 3.0]]
    """
    w, v = np.asarray(weights, dtype=np.float64), np.asarray(vertices, dtype=np.float64)
    if w.ndim != 2 or v.ndim != 2 or w.shape[1] != len(v):
        raise ValueError(f"weights of shape {w.shape} and vertices of shape {v.shape} do not go together")
    return np.asarray(w @ v)


@dataclass(frozen=True)
class Plane:
    """The plane through three modes: an orthonormal basis (2, d) and the modes' coordinates in it (3, 2).

    The first mode is the origin, the second lies on the first axis, the third at a positive second coordinate.
    """

    basis: Float
    coordinates: Float

    def mode_weights(self, points: NDArray[Any]) -> Float:
        """Weights of the three modes, which sum to 1, of points (p, 2) of the plane: (p, 3); negative outside.

        >>> square = plane_through(np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0]]))
        >>> square.mode_weights(np.array([[1.0, 0.0], [1.0, 1.0]])).tolist()  # the far corner: 2nd + 3rd − 1st
        [[0.0, 1.0, 0.0], [-1.0, 1.0, 1.0]]
        """
        x, y = np.asarray(points, dtype=np.float64).T
        third = y / self.coordinates[2, 1]
        second = (x - third * self.coordinates[2, 0]) / self.coordinates[1, 0]
        return np.stack([1.0 - second - third, second, third], axis=1)

    def grid(self, steps: int, margin: float = 0.2) -> Float:
        """Points (steps · steps, 2) around the three modes: their rectangle, wider by a share on each side.

        Rows by the second coordinate, from low to high, so that ``reshape(steps, steps)`` of a loss is a picture.

        >>> plane_through(np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0]])).grid(2, 0.0).tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
        """
        low, high = self.coordinates.min(axis=0), self.coordinates.max(axis=0)
        wide = margin * (high - low)
        x, y = (np.linspace(a, b, steps) for a, b in zip(low - wide, high + wide, strict=True))
        return np.stack([np.tile(x, steps), np.repeat(y, steps)], axis=1)


def plane_through(modes: NDArray[Any]) -> Plane:
    """The plane through three modes (3, d): ``u = w₂ − w₁``, ``v = w₃ − w₁`` less its part along u, both of length 1.

    (Garipov et al. 2018, arXiv 1802.10026.)

    Raises:
        ValueError: If there are not three finite modes, or they lie on one line (to 1e-7 of their distances).

    >>> plane_through(np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]])).coordinates.tolist()
    [[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]]
    """
    table = np.asarray(modes, dtype=np.float64)
    if table.ndim != 2 or len(table) != 3 or not np.isfinite(table).all():
        raise ValueError(f"modes of shape {table.shape}: three finite ones (3, d) are needed")
    to_second, to_third = table[1:] - table[0]
    distance = float(np.linalg.norm(to_second))
    first = to_second / distance if distance else to_second
    along = float(first @ to_third)
    across = to_third - along * first
    across -= (first @ across) * first  # once more: what rounding left along the first axis
    height = float(np.linalg.norm(across))
    if not distance or height <= 1e-7 * max(distance, float(np.linalg.norm(to_third))):
        raise ValueError("the three modes lie on one line: no plane is theirs alone")
    return Plane(np.stack([first, across / height]), np.array([[0.0, 0.0], [distance, 0.0], [along, height]]))


def _checked(parameters: NDArray[Any]) -> Float:
    a = np.asarray(parameters, dtype=np.float64)
    if a.ndim != 1 or not ((a >= 0) & (a <= 1)).all():
        raise ValueError(f"parameters of shape {a.shape}: numbers (points,) from 0 to 1 are needed")
    return a
