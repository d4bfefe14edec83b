"""Places of weight space at which a loss is looked at, as weights of its modes: (places, modes), rows that sum to 1."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.functional.members.curves import bezier_weights, line_weights, parameters_along
from bench.functional.members.simplexes import barycentric

Float = NDArray[np.float64]


class Places(NamedTuple):
    """Places in their order, and what is interpolated there of the losses of their ends.

    ``ends`` are the rows of ``weights`` that are ends, ``shares`` (places, ends) how much each end's loss counts.
    """

    names: tuple[str, ...]
    weights: Float
    ends: tuple[int, ...]
    shares: Float


def on_line(points: int, modes: int, first: int, second: int) -> Places:
    """Evenly spaced places on the straight line between two of the modes, both ends exact.

    >>> on_line(3, 3, 0, 2).weights.tolist()
    [[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0]]
    """
    shares = line_weights(parameters_along(points))
    weights = np.zeros((points, modes))
    weights[:, [first, second]] = shares
    return Places(_numbers(points), weights, (0, points - 1), shares)


def on_curve(points: int) -> Places:
    """Places at equal steps of the parameter of a quadratic Bezier curve: first end, bend, second end.

    >>> found = on_curve(3)
    >>> found.weights.tolist(), found.shares.tolist()
    ([[1.0, 0.0, 0.0], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0]], [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    """
    along = parameters_along(points)
    return Places(_numbers(points), bezier_weights(along), (0, points - 1), line_weights(along))


def in_simplex(vertices: int, draws: int, *words: str | int) -> Places:
    """The vertices, the middles of all edges, the centre, and places drawn uniformly by the generator of these words.

    >>> found = in_simplex(2, 1)
    >>> found.names
    ('vertex 1', 'vertex 2', 'middle of 1 and 2', 'centre', 'drawn 1')
    >>> found.weights[:4].tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5]]
    """
    corners = np.eye(vertices)
    edges = list(combinations(range(vertices), 2))
    middles = [(corners[first] + corners[second]) / 2 for first, second in edges]
    names = [f"vertex {number + 1}" for number in range(vertices)]
    names += [f"middle of {first + 1} and {second + 1}" for first, second in edges]
    names += ["centre", *(f"drawn {number + 1}" for number in range(draws))]
    centre = np.full((1, vertices), 1 / vertices)
    weights = np.concatenate([corners, *(row[None] for row in middles), centre, barycentric(draws, vertices, *words)])
    return Places(tuple(names), weights, tuple(range(vertices)), weights)


def _numbers(points: int) -> tuple[str, ...]:
    return tuple(f"{number:g}" for number in parameters_along(points))
