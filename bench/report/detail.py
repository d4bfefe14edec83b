"""The small print of a cell and of a run as numbers and enums: every value, what qualifies it, protocol and origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from bench.cell_id import canonical_parameters
from bench.report.leaderboard.marks import Mark, mark_of, within_arithmetic
from bench.results import Cell, GateResult, Results, ValueResult
from bench.wording import differing_parameters, is_resampled_harm


class Meaning(StrEnum):
    """The meaning of a value's estimate."""

    CHANGE = "change"  # 0: the same
    HARM = "harm"  # above 0: worse
    RATIO = "ratio"  # variant over reference


MEANINGS: Final = {
    "change": Meaning.CHANGE, "quality": Meaning.HARM, "pair": Meaning.HARM, "bound": Meaning.RATIO,
    "cost": Meaning.RATIO,
}  # fmt: skip


class Remark(StrEnum):
    """A remark that qualifies a value."""

    INTERVAL = "how its interval was found"
    COVERAGE = "how often such an interval holds with so few samples, if less often than it says"
    FURTHER = "the lower limit of its gap beside one further yardstick"
    RECIPE = "it is of the recipe, not of these files"
    BOUND = "which side it bounds, in which norm and where"
    FLOOR = "what it was within arithmetic"
    REASON = "why a part of it is missing"


@dataclass(frozen=True)
class ValueEntry:
    """One value of a cell; numbers in its own unit, None where there is none."""

    name: str
    meaning: Meaning
    estimate: float | None
    low: float | None
    high: float | None
    mark: Mark
    same: bool  # within arithmetic
    gap: float | None
    gap_low: float | None  # None beside gap_high: an upper limit alone
    gap_high: float | None
    n: int  # samples of the cell
    gates: tuple[GateResult, ...]
    remarks: tuple[Remark, ...]  # in the order in which they are read
    value: ValueResult = field(repr=False)


@dataclass(frozen=True)
class CellEntry:
    """One metric on one variant."""

    cell: Cell = field(repr=False)
    apart: tuple[tuple[str, Any], ...]  # the parameters by which it differs from its like
    values: tuple[ValueEntry, ...]


def cell_entries(cells: Sequence[Cell]) -> list[CellEntry]:
    """Every cell of one variant, with all its values."""
    differing = differing_parameters((cell.metric, cell.params) for cell in cells)
    entries = []
    for cell in cells:
        apart = tuple((key, cell.params.get(key)) for key in differing[cell.metric, canonical_parameters(cell.params)])
        values = tuple(value_entry(name, value, cell.n) for name, value in cell.values.items())
        entries.append(CellEntry(cell, apart, values))
    return entries


def value_entry(name: str, value: ValueResult, n: int = 0) -> ValueEntry:
    """One value of n samples, and what qualifies it.

    >>> harm = ValueResult(kind="quality", estimate=0.1, ci=(0.0, 0.2), interval="bootstrap")
    >>> entry = value_entry("nll", harm, 200)
    >>> entry.meaning.value, entry.low, [remark.name for remark in entry.remarks]
    ('harm', 0.0, ['INTERVAL', 'COVERAGE'])
    """
    low, high = value.ci or (None, None)
    gap_low, gap_high = value.gap_ci or (None, None)
    scaled = value.kind == "change"
    return ValueEntry(
        name=name,
        meaning=MEANINGS[value.kind],
        estimate=value.estimate,
        low=low,
        high=high,
        mark=mark_of(value),
        same=within_arithmetic(value),
        gap=value.gap if scaled else None,
        gap_low=gap_low if scaled else None,
        gap_high=gap_high if scaled else None,
        n=n,
        gates=tuple(value.gates),
        remarks=tuple(_remarks(value, n)),
        value=value,
    )


def _remarks(value: ValueResult, n: int) -> list[Remark]:
    qualified = {
        Remark.INTERVAL: value.interval != "none",
        Remark.COVERAGE: n > 0 and is_resampled_harm(value),
        Remark.FURTHER: value.gap is not None and value.gap_further is not None,
        Remark.RECIPE: value.scope == "recipe",
        Remark.BOUND: value.bound is not None,
        Remark.FLOOR: within_arithmetic(value),
        Remark.REASON: bool(value.reason),
    }
    return [remark for remark, holds in qualified.items() if holds]


def provenance(results: Results) -> dict[str, Any]:
    """The origin of the numbers: suite, reference, yardsticks and run."""
    suite = results.suite
    data = {} if suite.data is None else suite.data.model_dump()
    return {
        "suite": {"name": suite.name, "fingerprint": suite.fingerprint, "path": suite.path, "data": data},
        "reference": {**results.reference.description, "key": results.reference.key},
        "yardsticks": {"count": results.reference.yardsticks, "kind": results.reference.yardstick_kind},
        **({} if results.run is None else results.run.model_dump()),
    }
