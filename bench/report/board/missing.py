"""What a table lacks, figures and intervals, and why: one line for each reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from bench.report.board.entry_text import NO_INTERVAL, WORDS, EntryText
from bench.report.board.model import Entry, Status
from bench.wording import plain

ORDER: Final = (Status.ERROR, Status.SKIPPED, Status.NULL, Status.ABSENT)
KINDS: Final = (*(WORDS[status] for status in ORDER), NO_INTERVAL)
UNSAID: Final = {WORDS[Status.ABSENT]: "not asked for in this run"}


class MissingText(NamedTuple):
    """Entries without a number or an interval for one and the same reason."""

    kind: str
    what: str  # columns
    where: str  # rows
    reason: str


def missing(
    columns: Sequence[str],
    rows: Sequence[tuple[str, str]],
    entries: Sequence[Sequence[Entry]],
    texts: Sequence[Sequence[EntryText]],
) -> tuple[MissingText, ...]:
    """One line for each kind and reason, with every column and row (run, network) that it holds for; errors first."""
    lacking: dict[tuple[str, str], dict[str, list[tuple[str, str]]]] = {}
    for row, line, shown in zip(rows, entries, texts, strict=True):
        for column, entry, text in zip(columns, line, shown, strict=True):
            if kind := _kind(entry, text):
                lacking.setdefault((kind, plain(entry.reason)), {}).setdefault(column, []).append(row)
    lines = []
    for (kind, reason), places in sorted(lacking.items(), key=lambda item: KINDS.index(item[0][0])):
        merged: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for column, where in places.items():
            merged.setdefault(tuple(where), []).append(column)
        lines += [
            MissingText(kind, ", ".join(names), _told(where, rows), reason or UNSAID.get(kind, "no reason was given"))
            for where, names in merged.items()
        ]
    return tuple(lines)


def _kind(entry: Entry, text: EntryText) -> str:
    """What an entry lacks, in words; empty where nothing."""
    if entry.status in ORDER:
        return WORDS[entry.status]
    return NO_INTERVAL if NO_INTERVAL in (text.interval, text.against_interval) else ""


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
