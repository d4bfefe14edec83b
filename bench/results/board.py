"""What ``crbench report`` writes as board.json: of each table its rows and columns, each a list with one item a row."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.results.base import Record
from bench.results.values import Kind

Status = Literal["number", "limit", "range", "itself", "null", "skipped", "error", "absent"]
Side = Literal["≥", "≤", "about", "<", ">"]
Mark = Literal["failed", "inconclusive", "worse", "better"]
Numbers = list[float | None]


class BoardedRun(Record):
    """A run as it was given."""

    name: str = Field(description="unique on the board")
    place: str = Field(description="the folder or file, as it was typed")
    suite: str
    suite_fingerprint: str
    data_fingerprint: str | None
    sha256: str = Field(description="of its results.json")


class BoardedWarning(Record):
    """What must be known of a run before its figures."""

    run: int = Field(description="place in runs")
    text: str


class BoardedRows(Record):
    """The rows: lists with one item a row."""

    run: list[int] = Field(description="place in runs")
    variant: list[str | None] = Field(description="null: the reference")
    target: list[str]
    replicate: list[int | None] = Field(description="null: over all of them")
    cautions: list[list[str]]


class BoardedColumn(Record):
    """One value: what it is, and lists with one item a row; numbers in its unit, null where there is none."""

    name: str = Field(description="what --value takes")
    metric: str
    params: dict[str, Any]
    value: str
    family: str
    kind: Kind
    unit: str
    better: Literal["lower", "higher", "none"]
    against_is: Literal["harm", "ratio"] | None = Field(description="positive harms are worse; variant over reference")
    derived: str | None = Field(description="how it is made of other figures; null: it stands in results.json")
    status: list[Status] = Field(description="all but number, limit and range have no number")
    number: Numbers
    low: Numbers = Field(description="95 % interval of the number; of a range its ends")
    high: Numbers
    side: list[Side | None] = Field(description="on which side of a limit the figure lies")
    low_side: list[Side | None] = Field(description="of an end that lies beyond what can be known")
    high_side: list[Side | None]
    against: Numbers
    against_low: Numbers
    against_high: Numbers
    mark: list[Mark | None]
    n: list[int | None] = Field(description="samples that were measured")
    reason: list[str] = Field(description="why there is no number or no interval")


class BoardedGroup(Record):
    """One table: runs of the same data, as many samples and one kind of processor."""

    known: dict[str, str] = Field(description="what its runs share")
    differs: list[str] = Field(description="the names in known that tell it from other tables")
    remarks: list[str]
    warnings: list[BoardedWarning]
    runs: list[BoardedRun]
    rows: BoardedRows
    columns: list[BoardedColumn]


class BoardFile(Record):
    """The whole of board.json."""

    schema_version: Literal[1] = Field(alias="schema")
    kind: Literal["board"]
    note: str
    left_out: list[str] = Field(description="names of columns that were not asked for")
    groups: list[BoardedGroup]
