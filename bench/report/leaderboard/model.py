"""The leaderboard's parts, all frozen: numbers, enums, and the values of the results that they were read from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from bench.cell_id import canonical_parameters
from bench.report.leaderboard.marks import ALARM_AT, Mark, State
from bench.report.leaderboard.ratios import RatioGroup
from bench.results import Cell, StepUse, ValueReference, ValueResult
from bench.results.run import YardstickKind

Status = Literal["ok", "skipped", "error", "absent"]


class MissingKind(StrEnum):
    """Why something is missing."""

    ERROR = "error"
    SKIPPED = "skipped"
    NO_GAP = "no gap"


@dataclass(frozen=True)
class Column:
    """One value of one metric with one set of parameters."""

    metric: str
    parameters: str  # canonical JSON
    value: str
    apart: tuple[tuple[str, Any], ...] = ()  # the parameters by which it differs from other columns of its metric
    gated: bool = False
    interval: bool = True
    like: ValueResult | None = field(default=None, repr=False)  # a value of it, for its unit

    def is_of(self, cell: Cell) -> bool:
        """Whether the cell measures this column's metric with its parameters."""
        return cell.metric == self.metric and canonical_parameters(cell.params) == self.parameters

    def of(self, cells: Iterable[Cell]) -> ValueResult | None:
        """This column's value among a variant's cells."""
        return next((c.values[self.value] for c in cells if self.value in c.values and self.is_of(c)), None)


@dataclass(frozen=True)
class HarmEntry:
    """How much worse one value became; numbers in its own unit, positive is worse, None where there is none."""

    status: Status
    reason: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    mark: Mark = Mark.NONE
    same: bool = False  # within arithmetic
    value: ValueResult | None = field(default=None, repr=False)


@dataclass(frozen=True)
class GapEntry:
    """A family of one variant on the yardsticks' scale: its headline and its alarm."""

    family: str
    measured: bool = True
    headline: ValueReference | None = None
    gap: float | None = None
    low: float | None = None  # None beside high: an upper limit alone
    high: float | None = None
    alarm: float | None = None  # the largest simultaneous lower limit of the family's gaps
    alarm_value: ValueReference | None = None
    yardsticks: tuple[float, ...] = ()  # the gaps of the yardsticks themselves
    reason: str = ""

    @property
    def alarming(self) -> bool:
        """Whether the family surely moved further than one further yardstick would."""
        return self.alarm is not None and self.alarm >= ALARM_AT

    @property
    def unknown(self) -> bool:
        """Whether there is neither a gap nor a limit."""
        return self.gap is None and self.high is None

    @property
    def band(self) -> tuple[float, float] | None:
        """The least and the greatest gap of the yardsticks themselves."""
        return (min(self.yardsticks), max(self.yardsticks)) if self.yardsticks else None


@dataclass(frozen=True)
class CostEntry:
    """A cost of a network, and its ratio to the reference's; None where it was not measured."""

    own: float | None = None
    ratio: float | None = None
    unit: str = ""
    value: ValueResult | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Row:
    """One variant on one target in one replicate."""

    variant: str
    target: str
    replicate: int | None  # None: over all of them
    several: bool  # the variant has several replicates on the target
    state: State
    because: str
    steps: tuple[StepUse, ...]
    harms: tuple[HarmEntry, ...]  # a column each
    gaps: tuple[GapEntry, ...]  # a family each
    size: CostEntry
    latency: CostEntry
    cells: tuple[Cell, ...] = field(repr=False)


@dataclass(frozen=True)
class ReferenceRow:
    """The reference's own figures on one target."""

    target: str
    own: tuple[ValueResult | None, ...]  # a column each
    size: CostEntry
    latency: CostEntry


@dataclass(frozen=True)
class Missing:
    """Cells or gaps that are missing for one and the same reason."""

    kind: MissingKind
    what: tuple[str, ...]  # metrics or families; nothing: no cell at all
    rows: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Leaderboard:
    """All that a report shows at first sight."""

    suite: str
    state: State
    because: str
    gated: bool
    columns: tuple[Column, ...]
    families: tuple[str, ...]
    references: tuple[ReferenceRow, ...]
    rows: tuple[Row, ...]
    missing: tuple[Missing, ...]
    yardsticks: int
    yardstick_kind: YardstickKind
    warnings: tuple[str, ...] = ()
    ratios: tuple[RatioGroup, ...] = ()

    def those(self, state: State) -> list[Row]:
        """The rows of one verdict."""
        return [row for row in self.rows if row.state is state]
