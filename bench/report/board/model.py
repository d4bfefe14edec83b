"""The board's parts, all frozen: numbers and enums, before anything is text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from bench.cell_id import canonical_parameters
from bench.report.leaderboard.marks import Mark
from bench.results import Cell, Results, ValueResult


class Status(StrEnum):
    """The kind of an entry; every kind but a number says why there is none."""

    NUMBER = "number"
    LIMIT = "limit"  # a bound, or a figure beyond the end of what can be known
    RANGE = "range"  # the reference has a figure in each pair, and they differ
    ITSELF = "itself"  # the reference beside itself
    NULL = "null"  # measured, and without a number
    SKIPPED = "skipped"
    ERROR = "error"
    ABSENT = "absent"  # not measured in this run


class Side(StrEnum):
    """On which side of a limit the figure lies."""

    NONE = ""
    AT_LEAST = "≥"
    AT_MOST = "≤"
    ABOUT = "about"
    BELOW = "<"
    ABOVE = ">"


class Against(StrEnum):
    """What stands beside a variant's own figure: how it compares with the reference of its own run."""

    NOTHING = ""
    HARM = "harm"  # positive is worse
    RATIO = "ratio"  # variant over reference


@dataclass(frozen=True)
class Entry:
    """One figure of one row; numbers in the value's own unit, None where there is none."""

    status: Status
    number: float | None = None
    low: float | None = None  # 95 % interval of the number; of a range its ends
    high: float | None = None
    side: Side = Side.NONE
    low_side: Side = field(default=Side.NONE, kw_only=True)  # of an end that lies beyond what can be known
    high_side: Side = field(default=Side.NONE, kw_only=True)
    against: float | None = None
    against_low: float | None = None
    against_high: float | None = None
    mark: Mark = Mark.NONE
    n: int | None = None  # samples that were measured
    reason: str = ""
    value: ValueResult | None = field(default=None, repr=False)


@dataclass(frozen=True)
class BoardRun:
    """A run as it was given."""

    place: str  # the folder or file, as it was typed
    name: str  # unique on a board
    results: Results = field(repr=False)

    @cached_property
    def cells(self) -> dict[tuple[str, str, str, int | None], list[Cell]]:
        """The cells by metric, parameters as canonical JSON, target and replicate."""
        held: dict[tuple[str, str, str, int | None], list[Cell]] = {}
        for cell in self.results.cells:
            held.setdefault((cell.metric, canonical_parameters(cell.params), cell.target, cell.replicate), []).append(
                cell
            )
        return held


@dataclass(frozen=True)
class BoardRow:
    """The reference or one variant of one run, on one target in one replicate."""

    run: BoardRun
    variant: str | None  # None: the reference
    target: str
    replicate: int | None  # None: over all of them
    several: bool = False  # the run has several replicates on the target
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True)
class BoardColumn:
    """One column: what it is, and how it is read for a row."""

    metric: str
    parameters: str  # canonical JSON
    value: str
    family: str
    like: ValueResult = field(repr=False)  # a value of it: kind, unit, which way is better
    read: Callable[[BoardRow], Entry] = field(repr=False, compare=False)
    against: Against = Against.NOTHING
    apart: tuple[tuple[str, Any], ...] = ()  # the parameters by which it differs from other columns of its metric
    heading: str = ""  # its name in words; empty: the value's
    note: str = ""  # what stands under its name; empty: which way is better
    derived: str = ""  # how it is made of other figures; empty: it stands in results.json

    @property
    def name(self) -> str:
        """What ``--value`` takes: the metric, the parameters that tell it apart, and the value."""
        given = ",".join(f"{key}={value}" for key, value in self.apart)
        return f"{self.metric}[{given}].{self.value}" if given else f"{self.metric}.{self.value}"


@dataclass(frozen=True)
class Group:
    """Runs that may stand in one table: the same data, as many evaluation samples, one kind of processor."""

    runs: tuple[BoardRun, ...]
    known: tuple[tuple[str, str], ...]  # what they share: name and text
    differs: tuple[str, ...]  # the names in it that tell it from other groups
    remarks: tuple[str, ...]  # what else differs within it: versions, thread settings
    warnings: tuple[tuple[BoardRun, str], ...]  # of its runs, and of no single row
    rows: tuple[BoardRow, ...]
    columns: tuple[BoardColumn, ...]
    entries: tuple[tuple[Entry, ...], ...]  # a row each, a column each


@dataclass(frozen=True)
class Board:
    """All groups, in the order in which their first runs were given."""

    groups: tuple[Group, ...]
    left_out: tuple[str, ...]  # names of columns that were not asked for
