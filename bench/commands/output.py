"""Standard output of a command that prints JSON: that alone, whatever else is printed meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterator

import click

OUT, ERR = 1, 2  # file descriptors


@contextlib.contextmanager
def json_alone(wanted: bool) -> Iterator[Callable[[str], None]]:
    """While it is entered, everything that is printed goes to standard error; what it yields prints on standard output.

    Python's ``print``, writes to the descriptor itself, C libraries and child processes alike. Texts are printed on
    leaving, and none where an error leaves. Without ``wanted`` nothing is redirected.
    """
    if not wanted:
        yield click.echo
        return
    texts: list[str] = []
    with _redirected(), contextlib.redirect_stdout(sys.stderr):
        yield texts.append
    for text in texts:
        click.echo(text)


@contextlib.contextmanager
def _redirected() -> Iterator[None]:
    """Descriptor 1 points where 2 does; what is still in a buffer is written before it points back."""
    kept = sys.stdout  # who holds it goes on writing into it
    _flush(kept)
    try:
        saved = os.dup(OUT)
        os.dup2(ERR, OUT)
    except OSError:  # closed: nothing to keep clean
        yield
        return
    try:
        yield
    finally:
        _flush(kept)
        os.dup2(saved, OUT)
        os.close(saved)


def _flush(stream: object) -> None:
    with contextlib.suppress(AttributeError, ValueError, OSError):
        stream.flush()  # type: ignore[attr-defined]
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).fflush(None)
