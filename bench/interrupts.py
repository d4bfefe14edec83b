"""Signals that end a run, told apart from code from outside that ends the program."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """A signal that came from outside the process: Ctrl-C, SIGTERM or SIGHUP; its text is the signal's name."""


class CodeEnded(Exception):
    """Code that was loaded raised what ends a program, such as ``SystemExit``: an error of that code."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"it raised {' '.join(repr(error).split())[:200]}, which ends a program")


_told: list[str] = []  # signals that came while somebody watched


def _interrupt(number: int, frame: FrameType | None) -> None:
    name = signal.Signals(number).name
    _told.append(name)
    raise Interrupted(name)


@contextlib.contextmanager
def watched(*numbers: signal.Signals) -> Iterator[list[str]]:
    """While it is entered, these signals raise ``Interrupted``; yields the names of those that came.

    A signal that is ignored stays so (``nohup``), one that somebody else handles stays theirs. Outside the main thread,
    which alone gets signals, nothing changes.
    """
    told_before = len(_told)
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    plain = (signal.SIG_DFL, signal.default_int_handler)
    former = {number: signal.getsignal(number) for number in numbers}
    taken = {number: handler for number, handler in former.items() if handler in plain}
    for number in taken:
        signal.signal(number, _interrupt)
    came: list[str] = []
    try:
        yield came
    finally:
        came += _told[told_before:]
        for number, handler in taken.items():
            signal.signal(number, handler)


def is_real(error: BaseException | None) -> bool:
    """Whether it is an interrupt from outside the process; one that code raises itself is none.

    Where somebody else handles Ctrl-C in the main thread, the two cannot be told apart and count as real. Where Ctrl-C
    is ignored, as in the background of a shell script, none can come from outside.
    """
    if isinstance(error, Interrupted):
        return True
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    return isinstance(error, KeyboardInterrupt) and main and callable(handler) and handler is not _interrupt


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Run code from outside: what it raises to end the program becomes ``CodeEnded``, a real interrupt stays one.

    >>> with contained():
    ...     raise SystemExit(0)
    Traceback (most recent call last):
    ...
    bench.interrupts.CodeEnded: it raised SystemExit(0), which ends a program
    """
    with watched(signal.SIGINT):
        try:
            yield
        except Exception:
            raise
        except BaseException as error:
            if is_real(error):
                raise
            raise CodeEnded(error) from error
