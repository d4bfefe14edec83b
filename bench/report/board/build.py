"""Runs arranged as one board: nothing is computed anew but shares kept, nothing missing is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from bench.report.board.columns import all_columns, chosen
from bench.report.board.groups import differing, grouped, known_of, remarks_of
from bench.report.board.model import Board, BoardColumn, BoardRun, Group, Status
from bench.report.board.rows import rows_of, warnings_of
from bench.results import Results


class Given(NamedTuple):
    """A run and where it was read from."""

    place: str
    results: Results


def board(given: Sequence[tuple[str, Results]], values: Sequence[str] = (), *, every: bool = False) -> Board:
    """Join runs, each with the place it was read from, in the order given.

    Args:
        given: (place, results) of each run.
        values: names of the columns, as ``metric.value``; by default the usual ones.
        every: all columns that any run has.

    Raises:
        UserError: a value that no run has.
    """
    runs = _named([Given(*item) for item in given])
    columns = all_columns(runs)
    shown = columns if every else chosen(columns, runs, values)
    groups = grouped(runs)
    known = [known_of(group) for group in groups]
    names = differing(known)
    return Board(
        groups=tuple(
            _group(group, shown, bool(values), texts, names) for group, texts in zip(groups, known, strict=True)
        ),
        left_out=tuple(column.name for column in columns if column not in shown),
    )


def _named(given: Sequence[Given]) -> list[BoardRun]:
    """Runs by their suites' names; with the folder where two are of one suite."""
    often = Counter(run.results.suite.name for run in given)
    return [
        BoardRun(
            place, f"{results.suite.name} ({place})" if often[results.suite.name] > 1 else results.suite.name, results
        )
        for place, results in given
    ]


def _group(
    runs: Sequence[BoardRun],
    columns: Sequence[BoardColumn],
    asked_for: bool,
    known: tuple[tuple[str, str], ...],
    differs: tuple[str, ...],
) -> Group:
    rows = tuple(row for run in runs for row in rows_of(run))
    table = [[column.read(row) for column in columns] for row in rows]
    held = [
        place
        for place in range(len(columns))
        if asked_for or any(line[place].status is not Status.ABSENT for line in table)
    ]
    return Group(
        runs=tuple(runs),
        known=known,
        differs=differs,
        remarks=remarks_of(runs),
        warnings=tuple((run, line) for run in runs for line in warnings_of(run)),
        rows=rows,
        columns=tuple(columns[place] for place in held),
        entries=tuple(tuple(line[place] for place in held) for line in table),
    )
