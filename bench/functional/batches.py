"""Batches of one fixed size, so that a sample's figures do not depend on how many others there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Batch(NamedTuple):
    """Rows to compute together, and how many of them are wanted; the rest only fill the batch."""

    rows: NDArray[np.int64]
    wanted: int


def fixed_batches(n: int, size: int) -> Iterator[Batch]:
    """Cut n rows into batches of exactly ``size``; the last repeats its last row until it is full.

    Kernels of linear algebra may choose another order of summation for another batch size; in batches of one size
    every row is treated alike, whatever its neighbours are.

    >>> [(batch.rows.tolist(), batch.wanted) for batch in fixed_batches(3, 2)]
    [([0, 1], 2), ([2, 2], 1)]
    """
    for start in range(0, n, size):
        wanted = min(size, n - start)
        yield Batch(np.minimum(np.arange(start, start + size), n - 1), wanted)
