"""The median of weighted samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def weighted_medians(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """The least value at which half of the weight is reached: values (n,) and weights (B, n) to (B,).

    >>> weighted_medians(np.array([3.0, 1.0, 2.0]), np.array([[1, 1, 1], [3, 0, 0]])).tolist()
    [2.0, 3.0]
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(np.asarray(weights)[:, order], axis=1)
    half = reached[:, -1:] / 2
    return np.asarray(values[order][(reached >= half).argmax(axis=1)], dtype=np.float64)
