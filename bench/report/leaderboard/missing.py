"""What a run lacks, and why: nothing missing is hidden."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from bench.report.leaderboard.model import Missing, MissingKind, Row


def missing(rows: Sequence[Row]) -> tuple[Missing, ...]:
    """What is missing: one entry for each reason, with everything and every row that it holds for.

    A gap is not listed where its cell is missing for the same reason.
    """
    lacking: dict[tuple[MissingKind, str, str], dict[int, None]] = defaultdict(dict)
    for index, row in enumerate(rows):
        if not row.cells:
            lacking[MissingKind.ERROR, "", ""][index] = None
        broken = {cell.reason for cell in row.cells if cell.status != "ok" and cell.reason.strip()}
        for cell in row.cells:
            if cell.status != "ok":
                lacking[MissingKind(cell.status), cell.reason, cell.metric][index] = None
        for gap in row.gaps:
            if gap.measured and gap.unknown and gap.headline is not None and gap.reason not in broken:
                lacking[MissingKind.NO_GAP, gap.reason, gap.family][index] = None
    merged: dict[tuple[MissingKind, str, tuple[int, ...]], list[str]] = defaultdict(list)
    for (kind, reason, what), where in lacking.items():
        merged[kind, reason, tuple(where)].append(what)
    return tuple(
        Missing(kind, tuple(filter(None, what)), where, reason)
        for wanted in MissingKind
        for (kind, reason, where), what in merged.items()
        if kind is wanted
    )
