"""Simplexes of weight vectors: their volume, and points drawn uniformly in them."""

from __future__ import annotations

from math import lgamma
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.streams import generator

Float = NDArray[np.float64]


def log_volume(vertices: NDArray[Any]) -> float:
    """Log of the k-dimensional volume of the simplex of k + 1 vertices, (k + 1, d); −inf where it is degenerate.

    ``½ log det(E Eᵀ) − log k!`` with E the edges from the first vertex, in float64: the volume of the Cayley-Menger
    determinant (Benton et al. 2021, arXiv 2102.13042), without its loss of precision. Of one vertex it is 0.

    Edges are brought to length 1 for the determinant, so that no scale overflows. Degenerate is where the smallest
    eigenvalue of that Gram matrix is lost in rounding (below ``8 k ε`` times the largest): some vertex lies in the
    plane of the others up to about 1e-7 of the edges.

    Raises:
        ValueError: If the vertices are no finite table of at least one row.

    >>> float(np.exp(log_volume(np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])))).__round__(6)  # 3 · 4 / 2
    6.0
    >>> log_volume(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]))
    -inf
    """
    table = np.asarray(vertices, dtype=np.float64)
    if table.ndim != 2 or not len(table) or not np.isfinite(table).all():
        raise ValueError(f"vertices of shape {table.shape}: finite numbers (vertices, d) are needed")
    edges = table[1:] - table[0]
    k = len(edges)
    if not k:
        return 0.0
    longest = np.abs(edges).max(axis=1, initial=0.0)
    if k > table.shape[1] or not longest.all():
        return -np.inf
    edges /= longest[:, None]
    lengths = np.linalg.norm(edges, axis=1)
    edges /= lengths[:, None]
    gram = edges @ edges.T
    spread = np.linalg.eigvalsh(gram)
    if spread[0] <= least_eigenvalue(k, float(spread[-1])):
        return -np.inf
    return float(0.5 * np.linalg.slogdet(gram)[1] + np.log(longest).sum() + np.log(lengths).sum() - lgamma(k + 1))


def least_eigenvalue(k: int, largest: float) -> float:
    """What an eigenvalue of a Gram matrix of k unit edges must exceed to be told from 0: ``8 k ε largest``.

    >>> least_eigenvalue(2, 1.0) == 2.0**-48
    True
    """
    return 8.0 * k * float(np.finfo(np.float64).eps) * largest


def barycentric(points: int, vertices: int, *words: str | int) -> Float:
    """Weights of points drawn uniformly in a simplex: (points, vertices), ≥ 0, rows that sum to 1.

    Dirichlet(1, ..., 1), as exponentials over their sum; drawn by the generator of these words.

    Raises:
        ValueError: If there is no vertex.

    >>> barycentric(2, 1, "simplex", 0).tolist()
    [[1.0], [1.0]]
    """
    if vertices < 1:
        raise ValueError("a simplex without vertices has no points")
    drawn = generator("simplex", *words).standard_exponential((points, vertices))
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))
