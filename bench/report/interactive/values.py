"""Every value of every network, columnar: texts as all reports write them, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench.cell_id import canonical_parameters
from bench.report.board.entry_text import EntryText, entry_text, span
from bench.report.board.model import BoardColumn, Entry, Group
from bench.report.board.text import column_text, fewer_samples
from bench.report.detail import value_entry
from bench.report.detail_text import ValueText, value_text
from bench.report.figures import Figure
from bench.report.interactive.networks import NetworkRow
from bench.report.leaderboard.marks import Mark
from bench.results import ValueResult
from bench.wording import difference_unit, is_proportion, own, plain

NUMBERS: Final = (
    "number", "low", "high", "estimate", "estimate_low", "estimate_high", "gap_number", "gap_low", "gap_high",
)  # fmt: skip
TEXTS: Final = (
    "value", "interval", "harm", "harm_interval", "gap", "gap_interval", "mark", "status", "reason", "reference",
    "own", "yardsticks", "seed_ratio", "p_value", "floor", "gates", "remarks",
)  # fmt: skip


def value_column(group: Group, column: BoardColumn, rows: Sequence[NetworkRow]) -> dict[str, Any]:
    """One value of all rows: what it is, and an array for each text and number that any row has.

    Args:
        group: of a board. Where rows were measured on different numbers of samples, these stand beside the figures.
        column: of it.
        rows: its rows.
    """
    entries = [line[group.columns.index(column)] for line in group.entries]
    sizes: set[int | None] = {entry.n for entry in entries if entry.n is not None}
    several = len(sizes) > 1
    lines = [_line(column, row, entry, several=several) for row, entry in zip(rows, entries, strict=True)]
    head = column_text(column, fewer_samples(sizes, group))
    held = {name: [line.get(name) for line in lines] for name in (*TEXTS, *NUMBERS)}
    return {
        "name": plain(column.name),
        "value_name": plain(column.value),
        "title": head.title,
        "note": head.note,
        "metric": plain(column.metric),
        "family": plain(column.family),
        "kind": column.like.kind,
        "parameters": column.parameters,
        "unit": difference_unit(column.like),
        "scale": 100 if is_proportion(column.like) else 1,  # from a number to what texts show of a difference
        "better": column.like.better,
        "derived": plain(column.derived),
        "gated": any(line.get("gates") for line in lines),
        **{name: texts for name, texts in held.items() if any(item not in (None, "") for item in texts)},
    }


def _line(column: BoardColumn, row: NetworkRow, entry: Entry, *, several: bool) -> dict[str, Any]:
    shown = entry_text(entry, column, n=several)
    line = {**_own(entry, shown), "status": entry.status.value, "reason": plain(entry.reason)}
    if row.reference:
        return line
    if entry.value is None:  # a skip or an error breaks no gate and passes none: the gate says so
        held = _held(column, row)
        return line if held is None else line | {"gates": _gates(value_text(value_entry(column.value, held)))}
    told = value_entry(column.value, entry.value, entry.n or 0)
    text = value_text(told)
    ratio = entry.value.bound.ratio if entry.value.bound is not None else None
    return {
        **line,
        "harm": shown.against or text.estimate.value,
        "harm_interval": shown.against_interval or text.estimate.interval,
        "mark": _mark(text.estimate),
        "gap": text.gap.value,
        "gap_interval": text.gap.interval,
        "reference": text.reference.value,
        "own": text.variant.value,
        "yardsticks": _yardsticks(entry.value),
        "seed_ratio": text.seed_ratio,
        "p_value": text.p_value,
        "floor": text.floor,
        "gates": _gates(text),
        "remarks": text.remarks,
        "estimate": told.estimate,
        "estimate_low": told.low if ratio is None else ratio[0],
        "estimate_high": told.high if ratio is None else ratio[1],
        "gap_number": text.gap.sort,
        "gap_low": told.gap_low,
        "gap_high": told.gap_high,
    }


def _yardsticks(value: ValueResult) -> str:
    """The yardsticks' own changes or figures: the least and the most of them.

    >>> _yardsticks(ValueResult(kind="quality", unit="proportion", yardsticks=[0.981, 0.975, None, 0.978]))
    '97.5 to 98.1 %'
    """
    known = [number for number in value.yardsticks if number is not None]
    if not known:
        return ""
    least, most = own(value, min(known)), own(value, max(known))
    return least if min(known) == max(known) else span(least, most)


def _held(column: BoardColumn, row: NetworkRow) -> ValueResult | None:
    """The value of a row, also of a cell that was skipped or failed."""
    mine = (cell for cell in row.cells if cell.metric == column.metric and column.value in cell.values)
    return next((c.values[column.value] for c in mine if canonical_parameters(c.params) == column.parameters), None)


def _gates(text: ValueText) -> list[list[str]]:
    return [list(gate) for gate in text.gates]


def _own(entry: Entry, text: EntryText) -> dict[str, Any]:
    return {
        "value": text.value,
        "interval": text.interval,
        "number": entry.number,
        "low": entry.low,
        "high": entry.high,
    }


def _mark(figure: Figure) -> str:
    return "" if figure.mark is Mark.NONE else figure.mark.value
