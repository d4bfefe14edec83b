"""Columns that stand in cells: each network's own figure, and how it compares with its reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bench.cell_id import canonical_parameters
from bench.report.board.model import Against, BoardColumn, BoardRow, BoardRun, Entry, Side, Status
from bench.report.leaderboard.marks import mark_of
from bench.results import Cell, Kind, ValueResult
from bench.wording import differing_parameters

AGAINST: dict[Kind, Against] = {
    "change": Against.NOTHING, "quality": Against.HARM, "pair": Against.HARM, "bound": Against.RATIO,
    "cost": Against.RATIO,
}  # fmt: skip
SIDES = {"lower": Side.AT_LEAST, "certified": Side.AT_MOST, "estimate": Side.ABOUT}
LEFT_OUT = "left out by --only or --shard"


def cell_columns(runs: Sequence[BoardRun]) -> Iterator[BoardColumn]:
    """A column for each (metric, parameters, value) that any run has, in order of appearance."""
    cells = [cell for run in runs for cell in run.results.cells]
    differing = differing_parameters((cell.metric, cell.params) for cell in cells)
    seen: dict[tuple[str, str, str], tuple[Cell, ValueResult]] = {}
    for cell in cells:
        for name, value in cell.values.items():
            seen.setdefault((cell.metric, canonical_parameters(cell.params), name), (cell, value))
    for (metric, parameters, name), (cell, like) in seen.items():
        yield BoardColumn(
            metric=metric,
            parameters=parameters,
            value=name,
            family=cell.family,
            like=like,
            read=_reader(metric, parameters, name, like.kind),
            against=AGAINST[like.kind],
            apart=tuple((key, cell.params.get(key)) for key in differing[metric, parameters]),
        )


def cells_of(row: BoardRow, metric: str, parameters: str) -> list[Cell]:
    """The cells of a row; of a reference those of every variant that was compared with it."""
    held = row.run.cells.get((metric, parameters, row.target, row.replicate), [])
    return [cell for cell in held if row.variant in (None, cell.variant)]


def _reader(metric: str, parameters: str, name: str, kind: Kind) -> Callable[[BoardRow], Entry]:
    def read(row: BoardRow) -> Entry:
        cells = cells_of(row, metric, parameters)
        if not cells:
            return Entry(Status.ABSENT, reason=_left_out(row, metric, parameters))
        if row.variant is None:
            return Entry(Status.ITSELF) if kind == "change" else reference_entry(name, cells)
        return variant_entry(name, cells[0])

    return read


def variant_entry(name: str, cell: Cell) -> Entry:
    """A variant's own figure with its interval, beside its harm or ratio; of a change the change itself."""
    value = cell.values.get(name)
    if cell.status != "ok":
        return Entry(Status(cell.status), reason=cell.reason)
    if value is None:
        return Entry(Status.ABSENT)
    change = value.kind == "change"
    number = value.estimate if change else value.variant
    limits = (value.ci if change else value.own_ci) or (None, None)
    against = (None, None, None) if change else _against(value)
    return Entry(
        _status(value, number),
        number,
        *limits,
        _side(value, number),
        *against,
        mark_of(value),
        cell.n,
        value.reason,
        value,
    )


def reference_entry(name: str, cells: Sequence[Cell]) -> Entry:
    """The reference's own figure: one number, or the range where each pair has its own, as latencies do."""
    known = [(cell, cell.values[name]) for cell in cells if cell.status == "ok" and name in cell.values]
    measured = [(cell, value) for cell, value in known if value.reference is not None]
    if not measured:
        if known:
            cell, value = known[0]
            return Entry(Status.NULL, n=cell.n, reason=value.reason, value=value)
        return _without(cells)
    cell, value = measured[0]
    numbers = [value.reference for _, value in measured if value.reference is not None]
    if min(numbers) < max(numbers):
        return Entry(Status.RANGE, None, min(numbers), max(numbers), n=cell.n, value=value)
    status, side = _status(value, numbers[0]), _side(value, numbers[0])
    return Entry(
        status, numbers[0], *(value.reference_ci or (None, None)), side, n=cell.n, reason=value.reason, value=value
    )


def _without(cells: Sequence[Cell]) -> Entry:
    """Why no cell has a figure: an error before a skip."""
    for status in (Status.ERROR, Status.SKIPPED):
        for cell in cells:
            if cell.status == status:
                return Entry(status, reason=cell.reason)
    return Entry(Status.ABSENT)


def _status(value: ValueResult, number: float | None) -> Status:
    if number is None:
        return Status.NULL
    return Status.NUMBER if value.bound is None else Status.LIMIT


def _side(value: ValueResult, number: float | None) -> Side:
    return Side.NONE if value.bound is None or number is None else SIDES[value.bound.kind]


def _against(value: ValueResult) -> tuple[float | None, float | None, float | None]:
    limits = value.ci if value.bound is None else value.bound.ratio
    return value.estimate, *(limits or (None, None))


def _left_out(row: BoardRow, metric: str, parameters: str) -> str:
    """Why a row has no cell, where the run says so."""
    for cell in row.run.results.left_out:
        place = cell.metric, canonical_parameters(cell.params), cell.target, cell.replicate
        if place == (metric, parameters, row.target, row.replicate) and row.variant in (None, cell.variant):
            return LEFT_OUT
    return ""
