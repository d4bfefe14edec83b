"""What ``crbench history`` writes as history.json: every value of every network along successive runs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.results.base import Record
from bench.results.board import Numbers, Status
from bench.results.values import Kind


class LineRun(Record):
    """One run of a line."""

    place: str = Field(description="the folder or file, as it was typed")
    commit: str | None
    dirty: bool | None = Field(description="whether files differed from the commit")
    started: str
    sha256: str = Field(description="of its results.json")


class FoundChange(Record):
    """A step in the mean."""

    run: int = Field(description="place in runs: the first of the new level")
    before: float = Field(description="mean of the level before")
    after: float
    p_value: float = Field(description="of the permutation test of this split")


class AcceptedLevel(Record):
    """What a baseline accepted."""

    accepted: int = Field(description="how often a run had been accepted until then")
    figure: float


class ValueHistory(Record):
    """One value of one network; lists with one item a run, numbers in its unit, null where there is none."""

    variant: str | None = Field(description="null: the reference")
    target: str
    replicate: int | None = Field(description="null: over all of them")
    metric: str
    params: dict[str, Any]
    value: str
    kind: Kind
    unit: str
    better: Literal["lower", "higher", "none"]
    status: list[Status]
    number: Numbers
    low: Numbers = Field(description="95 % interval of the number")
    high: Numbers
    changes: list[FoundChange]
    untested: str = Field(description="why no change was looked for; empty: it was")
    accepted: list[AcceptedLevel]


class RunLine(Record):
    """Successive runs of one suite on the same data and one kind of processor, by the time of their start."""

    known: dict[str, str]
    runs: list[LineRun]
    values: list[ValueHistory]


class HistoryFile(Record):
    """The whole of history.json."""

    schema_version: Literal[1] = Field(alias="schema")
    kind: Literal["history"]
    note: str
    left_out: list[str] = Field(description="names of columns that were not asked for")
    lines: list[RunLine]
