"""An array as an ``.npy`` file, and what its record says of it: shape, type, size and the sha256 of each block."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.store.checksums import sha256
from bench.store.spill import PIECE, SMALL, Region, Whole, release

BLOCK: Final = PIECE  # bytes of the file that one sha256 is of
KINDS: Final = "biufcSU"  # of types that are numbers or fixed text
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
VERSION: Final = (1, 0)  # of the format


def header_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """The header of an ``.npy`` file, in C order."""
    buffer = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, described)
    return buffer.getvalue()


def check_names(names: list[str]) -> None:
    """Raise ``ValueError`` for a name that cannot be a file's on every disk."""
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"an array may not be called {name!r}: give letters, digits and _, at most 64")
    if len({name.lower() for name in names}) < len(names):
        raise ValueError(f"names of arrays that differ in case alone: {', '.join(sorted(names))}")


@dataclass(frozen=True)
class ArrayEntry:
    """The entry of a record for an array's file."""

    shape: tuple[int, ...]
    dtype: str
    size: int  # bytes of the file
    sha256: tuple[str, ...]

    @staticmethod
    def read(data: Any) -> ArrayEntry:
        """Read an entry from JSON; anything else than what ``canonical`` gives raises ``ValueError``."""
        if not isinstance(data, dict) or data.keys() != {"shape", "dtype", "size", "sha256"}:
            raise ValueError("it describes no array")
        shape, dtype, size, blocks = data["shape"], data["dtype"], data["size"], data["sha256"]
        sizes = [*shape, size] if isinstance(shape, list) else [None]
        if not all(type(number) is int and number >= 0 for number in sizes):
            raise ValueError("an array's shape that is none")
        if not isinstance(blocks, list) or not all(isinstance(block, str) for block in blocks):
            raise ValueError("checksums that are none")
        if not isinstance(dtype, str) or not re.fullmatch(rf"[<>|][{KINDS}]\d{{1,6}}", dtype):
            raise ValueError("an array's type that is none")
        return ArrayEntry(tuple(shape), dtype, size, tuple(blocks))

    def canonical(self) -> dict[str, Any]:
        """The entry as JSON."""
        return {"shape": list(self.shape), "dtype": self.dtype, "size": self.size, "sha256": list(self.sha256)}

    def check(self, file: Region | Whole) -> None:
        """Read a file through a small buffer; one that is not what was committed raises ``ValueError``."""
        if file.size != self.size or len(self.sha256) != -(-self.size // BLOCK):
            raise ValueError("its size does not fit")
        for block, piece in zip(self.sha256, file.pieces(), strict=True):
            if sha256(piece) != block:
                raise ValueError("its checksum does not fit")

    def array(self, file: Region | Whole) -> NDArray[Any]:
        """The array, read-only and mapped; in memory where the file's content is.

        Raises:
            ValueError: the file's own header says something else.
        """
        offset, dtype = self._offset(file), np.dtype(self.dtype)
        if isinstance(file, Whole) or offset == self.size:
            return np.frombuffer(file.read(offset), dtype).reshape(self.shape)
        return file.mapped(self.shape, dtype, offset)

    def _offset(self, file: Region | Whole) -> int:
        """The offset at which the numbers begin."""
        head = io.BytesIO(file.read(0, 2**16 + 10))
        if np.lib.format.read_magic(head) != VERSION:
            raise ValueError("an array of another format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(head)
        offset = head.tell()
        numbers = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if fortran or shape != self.shape or dtype != np.dtype(self.dtype) or offset + numbers != self.size:
            raise ValueError("its header says something else than its record")
        return offset


class NpyContent:
    """The content of an ``.npy`` file block by block; it may be asked for again.

    A small array is copied at once, a large one is read when it is written: it must not change until then.

    Raises:
        ValueError: it holds objects, which would be pickled.
    """

    def __init__(self, array: Any) -> None:
        given = np.asarray(array, order="C")
        if given.dtype.kind not in KINDS or given.dtype.hasobject:
            raise ValueError(f"an array of {given.dtype} cannot be stored: give numbers")
        self._array = given.copy() if given.nbytes <= SMALL else given
        self._header = header_of(given.shape, given.dtype)
        self.size = len(self._header) + given.nbytes
        self._blocks: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        """The blocks, noting the sha256 of each."""
        self._blocks = []
        data = self._array.reshape(-1).view(np.uint8)
        first = BLOCK - len(self._header)
        yield self._noted(self._header + data[:first].tobytes())
        for start in range(first, data.size, BLOCK):
            yield self._noted(data[start : start + BLOCK].tobytes())
            release(self._array)

    def _noted(self, piece: bytes) -> bytes:
        self._blocks.append(sha256(piece))
        return piece

    @property
    def entry(self) -> ArrayEntry:
        """The entry of a record, once it was asked for."""
        return ArrayEntry(self._array.shape, self._array.dtype.str, self.size, tuple(self._blocks))
