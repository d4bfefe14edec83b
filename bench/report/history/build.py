"""Runs arranged as lines of successive runs, and the change points of every value along them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from bench.cell_id import CellId
from bench.errors import UserError
from bench.report.board.columns import all_columns, chosen
from bench.report.board.groups import SHOWN, UNKNOWN, grouped, known_of
from bench.report.board.model import BoardColumn, BoardRow, BoardRun, Entry, Status
from bench.report.board.rows import rows_of
from bench.report.history.model import Histories, History, Line, Step
from bench.results import Results
from bench.stats.change_points import LEAST, ChangePoint, change_points

Place: TypeAlias = tuple[str | None, str, int | None]  # variant, target, replicate
Accepted: TypeAlias = Mapping[str, Mapping[tuple[CellId, str], Sequence[Step]]]  # by suite, cell and value
NOT_STARTED = "it records no time of its start, so it has no place among the others"


def histories(
    given: Sequence[tuple[str, Results]], values: Sequence[str] = (), accepted: Accepted | None = None
) -> Histories:
    """Arrange runs in lines, each with the place that it was read from.

    Runs follow each other where their suite, data, number of evaluation samples and kind of processor are the same;
    within a line they stand by the time of their start.

    Args:
        given: (place, results) of each run.
        values: names of the columns, as ``metric.value``; by default the usual ones.
        accepted: the figures of baselines.

    Raises:
        UserError: a value that no run has, or a run that records no time.
    """
    runs = [BoardRun(place, results.suite.name, results) for place, results in given]
    for run in runs:
        if not _started(run):
            raise UserError.at(run.place, NOT_STARTED, "leave it out")
    columns = all_columns(runs)
    shown = chosen(columns, runs, values)
    lines = [
        _line(sorted(same, key=_started), shown, (accepted or {}).get(same[0].results.suite.name, {}))
        for group in grouped(runs)
        for same in _by_suite(group)
    ]
    return Histories(tuple(lines), tuple(column.name for column in columns if column not in shown))


def _started(run: BoardRun) -> str:
    return "" if run.results.run is None else run.results.run.started


def _by_suite(runs: Sequence[BoardRun]) -> list[list[BoardRun]]:
    apart: dict[tuple[str, str], list[BoardRun]] = defaultdict(list)
    for run in runs:
        apart[run.results.suite.name, run.results.suite.fingerprint].append(run)
    return list(apart.values())


def _line(
    runs: Sequence[BoardRun],
    columns: Sequence[BoardColumn],
    accepted: Mapping[tuple[CellId, str], Sequence[Step]],
) -> Line:
    rows = [{(row.variant, row.target, row.replicate): row for row in rows_of(run)} for run in runs]
    places = list(dict.fromkeys(place for of in rows for place in of))
    suite = runs[0].results.suite
    known = (("suite", f"{suite.name} ({suite.fingerprint[:SHOWN] or UNKNOWN})"), *known_of(runs))
    every = (_history(place, column, rows, accepted) for place in places for column in columns)
    return Line(known, tuple(runs), tuple(history for history in every if _held(history)))


def _held(history: History) -> bool:
    return any(entry.status not in (Status.ABSENT, Status.ITSELF) for entry in history.entries)


def _history(
    place: Place,
    column: BoardColumn,
    rows: Sequence[Mapping[Place, BoardRow]],
    accepted: Mapping[tuple[CellId, str], Sequence[Step]],
) -> History:
    entries = tuple(column.read(of[place]) if place in of else Entry(Status.ABSENT) for of in rows)
    changes, untested = _changes(entries)
    return History(*place, column, entries, changes, untested, _steps(place, column, accepted))


def _changes(entries: Sequence[Entry]) -> tuple[tuple[ChangePoint, ...], str]:
    """The change points by places of runs, or why none was looked for."""
    known = [(place, entry.number) for place, entry in enumerate(entries) if entry.number is not None]
    if len(known) < LEAST:
        return (), f"{len(known)} figures: changes are looked for from {LEAST} on"
    found = change_points([number for _, number in known])
    return tuple(ChangePoint(known[c.index][0], c.before, c.after, c.p_value) for c in found), ""


def _steps(
    place: Place, column: BoardColumn, accepted: Mapping[tuple[CellId, str], Sequence[Step]]
) -> tuple[Step, ...]:
    """What baselines accepted for this value; they hold variants, no references."""
    variant, target, replicate = place
    if variant is None or column.derived:
        return ()
    cell = CellId(variant, target, column.metric, column.parameters, replicate)
    return tuple(accepted.get((cell, column.value), ()))
