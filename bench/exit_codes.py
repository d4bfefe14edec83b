"""Exit codes of every command, and which goes before which."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of commands."""

    PASS = 0
    REGRESSION = 1
    USAGE = 2
    INCOMPLETE = 3
    INTERNAL = 4


WORST_FIRST = (ExitCode.INTERNAL, ExitCode.USAGE, ExitCode.INCOMPLETE, ExitCode.REGRESSION, ExitCode.PASS)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The code of a command for which several hold; PASS where none does.

    >>> worst([ExitCode.REGRESSION, ExitCode.INCOMPLETE, ExitCode.PASS]).name
    'INCOMPLETE'
    """
    return min(codes, key=WORST_FIRST.index, default=ExitCode.PASS)
