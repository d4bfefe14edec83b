"""An array that is made row block by row block, and never whole in memory where it is large."""

from __future__ import annotations

from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from bench.store.npy import header_of
from bench.store.spill import Region, temporary_file

LARGE: Final = 32 * 2**20  # bytes from which on it lies in a temporary file


class Rows:
    """The first axis has a known length; the other axes and the type are those of the first block.

    >>> rows = Rows(3)
    >>> rows.append(np.zeros((2, 4)))
    >>> rows.append(np.ones((1, 4)))
    >>> rows.array().shape
    (3, 4)
    """

    def __init__(self, count: int) -> None:
        self.shape: tuple[int, ...] = (count,)
        self.dtype: np.dtype[Any] | None = None
        self.done = 0
        self._array: NDArray[Any] = np.empty(0)
        self._file: BinaryIO | None = None

    def append(self, part: NDArray[Any]) -> None:
        """Append the next rows.

        Raises:
            ValueError: other axes or another type than the first block's, or more rows than there are.
            OSError: no room for a temporary file.
        """
        if self.dtype is None:
            self._begin(part)
        end = self.done + len(part)
        if part.shape[1:] != self.shape[1:] or part.dtype != self.dtype or end > self.shape[0]:
            here = f"{part.dtype} {part.shape} from row {self.done} on"
            raise ValueError(f"blocks of an array do not fit: {here}, of {self.dtype} {self.shape}")
        if self._file is None:
            self._array[self.done : end] = part
        else:
            self._file.write(np.ascontiguousarray(part).data)
        self.done = end

    def _begin(self, part: NDArray[Any]) -> None:
        self.shape, self.dtype = (self.shape[0], *part.shape[1:]), part.dtype
        if int(np.prod(self.shape, dtype=object)) * part.dtype.itemsize < LARGE:
            self._array = np.empty(self.shape, part.dtype)
            return
        self._file = temporary_file()
        self._file.write(header_of(self.shape, part.dtype))

    def array(self) -> NDArray[Any]:
        """The whole array; a large one is read-only, mapped, and freed with the last that uses it.

        Raises:
            ValueError: rows are missing.
        """
        if self.dtype is None or self.done != self.shape[0]:
            raise ValueError(f"{self.done} of {self.shape[0]} rows of an array were made")
        if self._file is None:
            return self._array
        with self._file as file:
            file.flush()
            start = len(header_of(self.shape, self.dtype))
            return Region(file, 0, file.tell()).mapped(self.shape, self.dtype, start)
