"""The parts of a stage waterfall, all frozen: numbers, enums, and the values of the results that they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from bench.results import ValueResult

Apart = tuple[tuple[str, Any], ...]  # the parameters by which a metric differs from its like


class Quantity(StrEnum):
    """The kind of a stage's figure."""

    ADDED = "added"  # by the stage, signed
    TOTAL = "total"  # up to the stage, against the reference where the chain began
    OWN = "own"  # of the network at the stage alone
    START = "start"  # the total at the reference itself: 0
    MISSING = "missing"  # there is none


@dataclass(frozen=True)
class StageFigure:
    """One figure of one stage in the value's own unit; None where there is no number."""

    quantity: Quantity
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    same: bool = False  # what the stage adds is within arithmetic
    reason: str = ""
    value: ValueResult | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Bar:
    """One stage: from the total before it to its own."""

    stage: str
    target: str
    added: StageFigure
    total: StageFigure
    start: float | None = None  # the total before the stage; None where nothing can be drawn
    end: float | None = None
    interval: tuple[float, float] | None = None  # of the total
    largest: bool = False

    @property
    def back(self) -> bool:
        """Whether the stage led back towards the reference, or repaired a harm."""
        return self.start is not None and self.end is not None and self.end < self.start


@dataclass(frozen=True)
class Waterfall:
    """One value over all stages; all its totals and their intervals lie in [least, greatest], and so does 0."""

    metric: str
    apart: Apart
    value: str
    harm: bool
    least: float
    greatest: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class MissingStages:
    """Stages at which a metric was not measured, for one and the same reason."""

    metric: str
    apart: Apart
    stages: tuple[str, ...]
    status: Literal["skipped", "error"]
    reason: str


@dataclass(frozen=True)
class StageTable:
    """Every value of one metric: what each stage adds, or its figure where nothing adds up."""

    metric: str
    apart: Apart
    stages: tuple[str, ...]
    rows: tuple[tuple[str, tuple[StageFigure, ...]], ...]  # by the value's name


@dataclass(frozen=True)
class Stages:
    """All that a report shows of a variant's stages."""

    falls: tuple[Waterfall, ...]
    tables: tuple[StageTable, ...]
    missing: tuple[MissingStages, ...]
