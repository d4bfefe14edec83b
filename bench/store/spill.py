"""Large content outside of memory: in an anonymous temporary file, or in a file that is there, and mapped."""

from __future__ import annotations

import mmap
import os
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

SMALL: Final = 2**20  # bytes up to which content is held in memory as it is
PIECE: Final = 4 * 2**20  # bytes read or written at a time
PAGE: Final = mmap.ALLOCATIONGRANULARITY
FOLDERS: Final = ("TMPDIR", "TEMP", "TMP")  # where the user says that temporary files belong
ROOMY: Final = "/var/tmp"


def temporary_file() -> BinaryIO:
    """An anonymous file that is gone when it is closed; ``TMPDIR`` says where, else it is on a disk if there is one."""
    named = tempfile.tempdir or any(os.environ.get(name) for name in FOLDERS)
    folder = ROOMY if not named and os.access(ROOMY, os.W_OK | os.X_OK) else None
    return tempfile.TemporaryFile(dir=folder)


@dataclass(frozen=True, eq=False)
class Whole:
    """Little content, in memory, read as a region is."""

    content: bytes

    @property
    def size(self) -> int:
        """The size in bytes."""
        return len(self.content)

    def read(self, offset: int = 0, count: int | None = None) -> bytes:
        """Bytes from an offset on, fewer where it ends."""
        return self.content[offset:] if count is None else self.content[offset : offset + count]

    def pieces(self) -> Iterator[bytes]:
        """All of it, 4 MiB at a time."""
        for offset in range(0, self.size, PIECE):
            yield self.read(offset, PIECE)

    def stamp(self) -> None:
        """Nothing tells: it is read once."""

    def close(self) -> None:
        """Do nothing: no file is open."""


@dataclass(frozen=True, eq=False)
class Region:
    """A part of an open file."""

    file: BinaryIO
    start: int
    size: int
    own: bool = False  # nobody else needs the file

    def read(self, offset: int = 0, count: int | None = None) -> bytes:
        """Bytes from an offset on, fewer where it ends."""
        end = self.size if count is None else min(self.size, offset + count)
        return os.pread(self.file.fileno(), max(0, end - offset), self.start + offset)

    def pieces(self) -> Iterator[bytes]:
        """All of it, 4 MiB at a time."""
        for offset in range(0, self.size, PIECE):
            yield self.read(offset, PIECE)

    def mapped(self, shape: tuple[int, ...], dtype: np.dtype[np.generic], offset: int) -> NDArray[np.generic]:
        """The array that lies at an offset, read-only; what is read of it is read from the file then.

        Raises:
            ValueError: the region is too short for it.
        """
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if offset + size > self.size:
            raise ValueError(f"{self.size} bytes are too few for an array of shape {shape}")
        first = self.start + offset
        lead = first % PAGE
        view = mmap.mmap(self.file.fileno(), lead + size, access=mmap.ACCESS_READ, offset=first - lead)
        return np.ndarray(shape, dtype, buffer=view, offset=lead)

    def stamp(self) -> tuple[int, ...]:
        """A stamp that changes where the file is replaced or written to."""
        told = os.fstat(self.file.fileno())
        changed = (told.st_size, told.st_mtime_ns) if self.own else ()  # nobody writes twice to a place in ours
        return (told.st_dev, told.st_ino, self.start, self.size, *changed)

    def close(self) -> None:
        """Close a file that nobody else needs; arrays that were mapped stay."""
        if self.own:
            self.file.close()


def release(*arrays: NDArray[np.generic]) -> None:
    """Let go of the memory into which parts of mapped arrays were read; reading them again reads the file again."""
    for array in arrays:
        owner: object = array
        while isinstance(owner, np.ndarray | memoryview):
            owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
        if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            owner.madvise(mmap.MADV_DONTNEED)


def is_mapped(array: NDArray[np.generic]) -> bool:
    """Whether it lies in a file and not in memory."""
    owner: object = array
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    return isinstance(owner, mmap.mmap)


class Spill:
    """Content by name in one anonymous temporary file, which is made by the first; all of it is freed with it."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._end = 0
        self._lock = Lock()
        self._regions: dict[str, tuple[Region, float]] = {}

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """Keep the content under a name.

        Raises:
            OSError: there is no room.
        """
        with self._lock:
            if self._file is None:
                self._file = temporary_file()
                weakref.finalize(self, self._file.close)
            start = end = -(-self._end // PAGE) * PAGE
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    written = os.pwrite(self._file.fileno(), rest, end)
                    end, rest = end + written, rest[written:]
            self._end = end
            self._regions[name] = Region(self._file, start, end - start), time.time()

    def get(self, name: str) -> Region | None:
        """The content of that name."""
        entry = self._regions.get(name)
        return None if entry is None else entry[0]

    def modified(self, name: str) -> float:
        """The time at which content was put, in seconds since the epoch."""
        return self._regions[name][1]

    def drop(self, name: str) -> None:
        """Forget a name; its place is freed with the file."""
        self._regions.pop(name, None)

    def __contains__(self, name: object) -> bool:
        """Whether there is such a name."""
        return name in self._regions

    def names(self) -> list[str]:
        """All names."""
        return list(self._regions)


_IN_MEMORY: dict[str, Spill] = {}


def spill_of(root: str) -> Spill:
    """The spill of the stores in memory at a root; the same for all that are opened there."""
    return _IN_MEMORY.setdefault(root, Spill())


def free_spill(root: str) -> None:
    """Forget it; the file is gone when the last array that lies in it is."""
    _IN_MEMORY.pop(root, None)
