"""The board for programs: columns of numbers as JSON, and one line a row as CSV; nothing is rounded."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

from bench.report.board.columns import parameters_of
from bench.report.board.model import Board, BoardColumn, Entry, Group
from bench.report.board.text import NOTE
from bench.report.spreadsheet import csv_text
from bench.results.base import checked_json
from bench.results.board import BoardFile

SCHEMA: Final = 1
FIGURES: Final = (
    "number",
    "low",
    "high",
    "side",
    "low_side",
    "high_side",
    "against",
    "against_low",
    "against_high",
    "status",
)


def board_json(board: Board) -> str:
    """The board as one JSON object, as ``docs/schema/board.schema.json`` describes it."""
    content = {
        "schema": SCHEMA,
        "kind": "board",
        "note": NOTE,
        "left_out": list(board.left_out),
        "groups": [_group(group) for group in board.groups],
    }
    return checked_json(BoardFile, content)


def _group(group: Group) -> dict[str, Any]:
    rows = group.rows
    return {
        "known": dict(group.known),
        "differs": list(group.differs),
        "remarks": list(group.remarks),
        "warnings": [{"run": group.runs.index(run), "text": line} for run, line in group.warnings],
        "runs": [
            {
                "name": run.name,
                "place": run.place,
                "suite": run.results.suite.name,
                "suite_fingerprint": run.results.suite.fingerprint,
                "data_fingerprint": None if run.results.suite.data is None else run.results.suite.data.fingerprint,
                "sha256": run.results.sha256,
            }
            for run in group.runs
        ],
        "rows": {
            "run": [group.runs.index(row.run) for row in rows],
            "variant": [row.variant for row in rows],
            "target": [row.target for row in rows],
            "replicate": [row.replicate for row in rows],
            "cautions": [list(row.cautions) for row in rows],
        },
        "columns": [
            _column(column, [line[place] for line in group.entries]) for place, column in enumerate(group.columns)
        ],
    }


def _column(column: BoardColumn, entries: list[Entry]) -> dict[str, Any]:
    return {
        "name": column.name,
        "metric": column.metric,
        "params": parameters_of(column),
        "value": column.value,
        "family": column.family,
        "kind": column.like.kind,
        "unit": column.like.unit,
        "better": column.like.better,
        "against_is": column.against.value or None,
        "derived": column.derived or None,
        "status": [entry.status.value for entry in entries],
        "number": [entry.number for entry in entries],
        "low": [entry.low for entry in entries],
        "high": [entry.high for entry in entries],
        "side": [entry.side.value or None for entry in entries],
        "low_side": [entry.low_side.value or None for entry in entries],
        "high_side": [entry.high_side.value or None for entry in entries],
        "against": [entry.against for entry in entries],
        "against_low": [entry.against_low for entry in entries],
        "against_high": [entry.against_high for entry in entries],
        "mark": [entry.mark.value or None for entry in entries],
        "n": [entry.n for entry in entries],
        "reason": [entry.reason for entry in entries],
    }


def board_csv(board: Board) -> str:
    """A line for each row of each table; ``NAME.status`` says what an empty number is.

    Texts that a spreadsheet would compute begin with an apostrophe.
    """
    columns = {column.name: column for group in board.groups for column in group.columns}
    held = {name: _held(board, name) for name in columns}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = [_head(column, figure) for name, column in columns.items() for figure in held[name]]
    writer.writerow(csv_text(text) for text in ("table", "run", "variant", "target", "replicate", *heads))
    for place, group in enumerate(board.groups, 1):
        places = {column.name: i for i, column in enumerate(group.columns)}
        for row, entries in zip(group.rows, group.entries, strict=True):
            role = "" if row.variant is None else row.variant
            line: list[Any] = [place, csv_text(row.run.name), csv_text(role), csv_text(row.target), row.replicate]
            for name in columns:
                entry = entries[places[name]] if name in places else None
                line += [_text(entry, figure) for figure in held[name]]
            writer.writerow(line)
    return out.getvalue()


def _head(column: BoardColumn, figure: str) -> str:
    """The head of a figure: the number bears the column's name; harms and ratios bear theirs."""
    return column.name if figure == "number" else f"{column.name}.{figure.replace('against', column.against.value)}"


def _held(board: Board, name: str) -> list[str]:
    """The figures that any row has of a column; its number and status always."""
    entries = [
        line[place]
        for group in board.groups
        for place, column in enumerate(group.columns)
        if column.name == name
        for line in group.entries
    ]
    return [
        f for f in FIGURES if f in ("number", "status") or any(getattr(entry, f) not in (None, "") for entry in entries)
    ]


def _text(entry: Entry | None, figure: str) -> str:
    if entry is None:
        return "absent" if figure == "status" else ""
    return csv_text(getattr(entry, figure))
