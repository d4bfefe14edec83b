"""Shares of events among chosen samples, under weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def share_among(events: NDArray[Any], chosen: NDArray[Any], weights: Float) -> Float:
    """``Σ w e / Σ w s`` of events e that happen only among chosen samples s: (B,); NaN where none is chosen.

    Args:
        events: 0 or 1, (n,).
        chosen: 0 or 1, (n,).
        weights: (B, n).

    >>> share_among(np.array([1, 0, 0]), np.array([1, 1, 0]), np.ones((1, 3))).tolist()
    [0.5]
    """
    above, below = weights @ (events * chosen).astype(np.float64), weights @ chosen.astype(np.float64)
    return np.asarray(np.divide(above, below, out=np.full(len(weights), np.nan), where=below > 0))


def first_column(table: NDArray[Any]) -> NDArray[Any]:
    """The first column of (n, k), (n,).

    >>> first_column(np.array([[1, 2], [3, 4]])).tolist()
    [1, 3]
    """
    return table[:, 0]


def found_or_apart(found: NDArray[Any], outcomes: NDArray[Any], *apart: int) -> NDArray[np.uint8]:
    """1 where an input was found from a sample, or two networks part on the sample itself: (n,).

    Args:
        found: 0 or 1, of several methods (n, k), of which the first counts.
        outcomes: of both networks on the sample, (n,).
        apart: the outcomes that count.

    >>> found_or_apart(np.array([[1, 0], [0, 1], [0, 0]]), np.array([0, 0, 1]), 1).tolist()
    [1, 0, 1]
    """
    return np.asarray((first_column(found) > 0) | np.isin(outcomes, apart), dtype=np.uint8)
