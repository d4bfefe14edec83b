"""Quantiles as they are told beside a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def named_quantiles(figures: NDArray[Any], shares: Sequence[float]) -> dict[str, float]:
    """The quantiles of figures (n,) at these shares, by their names.

    >>> named_quantiles(np.array([1.0, 3.0]), (0.5, 1))
    {'0.5': 2.0, '1': 3.0}
    """
    return {f"{share:g}": float(quantile) for share, quantile in zip(shares, np.quantile(figures, shares), strict=True)}
