"""Arrays worked on by blocks of rows, so that memory does not grow with the number of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.store.rows import Rows
from bench.store.spill import release

BLOCK = 2**19  # numbers worked on at a time: 4 MB as float64


def blocks(*arrays: NDArray[Any]) -> Iterator[slice]:
    """Rows to work on at a time; what was read of mapped arrays is let go of after each block.

    >>> list(blocks(np.zeros((3, 2**18))))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    n = next(len(array) for array in arrays if array.ndim)
    entries = max(int(np.prod(array.shape[1:], dtype=np.int64)) for array in arrays)
    size = max(1, BLOCK // max(1, entries))
    for start in range(0, n, size):
        yield slice(start, min(n, start + size))
        release(*arrays)


def by_rows(function: Callable[..., NDArray[Any]], arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """``function`` of rows that stand alone, in blocks: its answers (n, ...) joined; a large one is mapped.

    A number (0-d) is given to every block as it is.

    >>> by_rows(lambda a, b: a + b, [np.arange(3), np.ones(3, int)]).tolist()
    [1, 2, 3]
    >>> by_rows(lambda a, b: a > b, [np.arange(3), np.array(1)]).tolist()
    [False, False, True]
    """
    n = next(len(array) for array in arrays if array.ndim)
    made = Rows(n)
    for rows in blocks(*arrays):
        part = np.asarray(function(*(array[rows] if array.ndim else array for array in arrays)))
        if rows.stop - rows.start == n:
            return part
        made.append(part)
    return made.array() if n else np.asarray(function(*arrays))
