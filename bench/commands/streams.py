"""Standard streams that nobody reads, that are full or closed: a verdict never depends on them."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

STREAMS = {0: os.O_RDONLY, 1: os.O_WRONLY, 2: os.O_WRONLY}


class Guarded(io.RawIOBase):
    """A file descriptor whose writes never fail: what cannot be written goes nowhere, and why is noted.

    A reader who has seen enough (``| head``) loses nothing that was asked for; ``lost`` stays empty.
    """

    def __init__(self, descriptor: int, lost: str = "") -> None:
        super().__init__()
        self.descriptor = descriptor
        self.closed_at_start = lost
        self.lost = ""
        self.gone = False

    def writable(self) -> bool:
        """Whether text can be written: always."""
        return True

    def fileno(self) -> int:
        """The descriptor itself, for those who ask for the terminal's size."""
        return self.descriptor

    def isatty(self) -> bool:
        """Whether somebody watches."""
        return os.isatty(self.descriptor)

    def write(self, content: Any) -> int:
        """Write, or take note of why not; answers how much is done with."""
        size = memoryview(content).nbytes
        if self.closed_at_start and size:
            self.lost = self.closed_at_start
            return size
        while not self.gone:
            try:
                return os.write(self.descriptor, content)
            except BlockingIOError:
                select.select([], [self.descriptor], [])
            except OSError as error:
                self.gone = True
                self.lost = "" if error.errno == errno.EPIPE else error.strerror or str(error)
                _to_nowhere(self.descriptor, os.O_WRONLY)
        return size


def guard_streams() -> tuple[Guarded, Guarded]:
    """Let Python's standard output and error write through ``Guarded``; a closed descriptor is opened to nowhere.

    Else the next file to be opened would be standard output, and get what is printed.
    """
    closed = [descriptor for descriptor in STREAMS if not _is_open(descriptor)]
    for descriptor in closed:
        _to_nowhere(descriptor, STREAMS[descriptor])
    guards = []
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        given: TextIO | None = getattr(sys, name)
        if given is not None:
            with contextlib.suppress(OSError, ValueError):
                given.flush()
        guard = Guarded(descriptor, "it is closed" if descriptor in closed else "")
        encoding = getattr(given, "encoding", None) or "utf-8"
        buffer = io.BufferedWriter(guard)
        told = descriptor == 2 or guard.isatty()
        setattr(sys, name, io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=told))
        guards.append(guard)
    return guards[0], guards[1]


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _to_nowhere(descriptor: int, flags: int) -> None:
    """Point a descriptor at the null device."""
    with contextlib.suppress(OSError):
        opened = os.open(os.devnull, flags)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
