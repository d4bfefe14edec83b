"""The parts of a history, all frozen: figures of successive runs, before anything is text."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report.board.model import BoardColumn, BoardRun, Entry
from bench.stats.change_points import ChangePoint


@dataclass(frozen=True)
class Step:
    """A level that was accepted into a baseline: how many acceptances there were until then, and the figure."""

    accepted: int
    figure: float


@dataclass(frozen=True)
class History:
    """One value of one network in every run of a line, in their order."""

    variant: str | None  # None: the reference
    target: str
    replicate: int | None
    column: BoardColumn
    entries: tuple[Entry, ...]  # of each run
    changes: tuple[ChangePoint, ...]  # by the places of runs
    untested: str  # why no change was looked for; empty: it was
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Line:
    """Runs that follow each other: one suite, the same data, one kind of processor."""

    known: tuple[tuple[str, str], ...]
    runs: tuple[BoardRun, ...]  # by the time when they were started
    histories: tuple[History, ...]


@dataclass(frozen=True)
class Histories:
    """All lines, in the order in which their first runs were given."""

    lines: tuple[Line, ...]
    left_out: tuple[str, ...]  # names of columns that were not asked for
