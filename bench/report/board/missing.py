"""What a table lacks, and why: one line for each reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from bench.report.board.entry_text import WORDS
from bench.report.board.model import Entry, Status
from bench.wording import plain

ORDER: Final = (Status.ERROR, Status.SKIPPED, Status.NULL, Status.ABSENT)


class MissingText(NamedTuple):
    """Entries without a number for one and the same reason."""

    kind: str
    what: str  # columns
    where: str  # rows
    reason: str


def missing(
    columns: Sequence[str], rows: Sequence[tuple[str, str]], entries: Sequence[Sequence[Entry]]
) -> tuple[MissingText, ...]:
    """One line for each kind and reason, with every column and row (run, network) that it holds for; errors first."""
    lacking: dict[tuple[Status, str], dict[str, list[tuple[str, str]]]] = {}
    for row, line in zip(rows, entries, strict=True):
        for column, entry in zip(columns, line, strict=True):
            if entry.status in ORDER:
                places = lacking.setdefault((entry.status, plain(entry.reason)), {})
                places.setdefault(column, []).append(row)
    lines = []
    for (status, reason), places in sorted(lacking.items(), key=lambda item: ORDER.index(item[0][0])):
        merged: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for column, where in places.items():
            merged.setdefault(tuple(where), []).append(column)
        default = "not asked for in this run" if status is Status.ABSENT else "no reason was given"
        lines += [
            MissingText(WORDS[status], ", ".join(names), _told(where, rows), reason or default)
            for where, names in merged.items()
        ]
    return tuple(lines)


def _told(where: Sequence[tuple[str, str]], rows: Sequence[tuple[str, str]]) -> str:
    """Rows in words, run by run; a run alone where it is all of its rows.

    >>> _told([("a", "fold"), ("b", "fold")], [("a", "fold"), ("b", "fold"), ("b", "int8")])
    'all of a; b: fold'
    """
    texts = []
    for run in dict.fromkeys(run for run, _ in where):
        mine, every = ([name for other, name in those if other == run] for those in (where, rows))
        texts.append(f"all of {run}" if mine == every else f"{run}: {', '.join(mine)}")
    return "; ".join(texts)
