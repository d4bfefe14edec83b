"""Weighted means: one row of weights a bootstrap draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def weighted_mean(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of values (n,) under every row of weights (B, n): ``Σ w_i v_i / Σ w_i``, shape (B,).

    >>> weighted_mean(np.array([1.0, 3.0]), np.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
    [2.0, 1.0]
    """
    totals = weights.sum(axis=1, dtype=np.float64)
    return np.asarray((weights @ values.astype(np.float64)) / totals, dtype=np.float64)
