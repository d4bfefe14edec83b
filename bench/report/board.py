"""What a report shows: rows, columns, what is missing. Every report draws a ``Board`` and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bench.report.figures import ALARM_AT, Figure
from bench.report.yardsticks import YardstickWords
from bench.results import Cell, ValueResult
from bench.wording import canonical

State: TypeAlias = Literal["ship", "stop", "open", "error"]
Lack: TypeAlias = Literal["error", "skipped", "no gap"]

WORDS: dict[State, str] = {"ship": "may ship", "stop": "do not ship", "open": "undecided", "error": "error"}
SIGNS: dict[State, str] = {"ship": "✓", "stop": "✗", "open": "?", "error": "!"}
UNGATED = "no gate was set"


@dataclass(frozen=True)
class Note:
    """Cells or figures that are missing for one and the same reason."""

    kind: Lack
    what: str
    where: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Column:
    """One value of one metric with one set of parameters."""

    metric: str
    params: str
    value: str
    title: str
    gated: bool = False
    interval: bool = True
    unit: str = ""

    def of(self, cells: Iterable[Cell]) -> ValueResult | None:
        """This column's value among a variant's cells."""
        for cell in cells:
            if cell.metric == self.metric and canonical(cell.params) == self.params and self.value in cell.values:
                return cell.values[self.value]
        return None


@dataclass(frozen=True)
class GapRow:
    """A family of one variant on the gap scale."""

    family: str
    headline: str
    figure: Figure
    gap: float | None = None
    low: float | None = None
    high: float | None = None
    alarm: float | None = None
    alarm_words: str = ""
    band: tuple[float, float] | None = None

    @property
    def alarming(self) -> bool:
        """Whether the family surely moved further than one more yardstick would."""
        return self.alarm is not None and self.alarm >= ALARM_AT


@dataclass(frozen=True)
class Row:
    """One variant on one target."""

    name: str
    place: str  # target, and the replicate where there are several
    state: State
    because: str
    steps: str
    harms: tuple[Figure, ...]
    gaps: tuple[GapRow, ...]
    size: Figure
    latency: Figure
    cells: tuple[Cell, ...] = field(repr=False)

    @property
    def label(self) -> str:
        """Name and place."""
        return f"{self.name} ({self.place})"

    @property
    def reason(self) -> str:
        """The verdict's sentence without the words that name the variant and the verdict."""
        words = ("do not ship", "undecided on", "error in")
        openings = (*(f"{word} {self.label}: " for word in words), f"{self.label} may ship: ")
        return next((self.because.removeprefix(o) for o in openings if self.because.startswith(o)), self.because)


@dataclass(frozen=True)
class ReferenceRow:
    """The reference's own figures on one target."""

    place: str
    harms: tuple[Figure, ...]
    size: Figure
    latency: Figure


@dataclass(frozen=True)
class Board:
    """All that a report shows at first sight."""

    title: str
    state: State
    because: str
    columns: tuple[Column, ...]
    families: tuple[str, ...]
    references: tuple[ReferenceRow, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]
    yardsticks: str  # what stands at a gap of 1, in a sentence
    yardstick: YardstickWords
    gated: bool
    warnings: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The run in one line, without its name."""
        if not self.rows:
            return "nothing was measured"
        if not self.gated:
            return f"{len(self.rows)} measured, no gate was set"
        return f"{len(self.those('ship'))} of {len(self.rows)} may ship"

    def those(self, state: State) -> list[Row]:
        """The rows of one verdict."""
        return [row for row in self.rows if row.state == state]

    def reasons(self, state: State) -> list[tuple[str, list[Row]]]:
        """The reasons for one verdict, each with all the rows that it holds for."""
        groups: dict[str, list[Row]] = {}
        for row in self.those(state):
            groups.setdefault(row.reason, []).append(row)
        return list(groups.items())
