"""What a run lacks, and why: nothing missing is hidden."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from bench.report.board import Lack, Note, Row
from bench.wording import plain


def missing(rows: Sequence[Row]) -> list[Note]:
    """What is missing: one note for each reason, with everything and every place that it holds for."""
    places: dict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
    for row in rows:
        if not row.cells:
            places["error", "nothing was measured", "every metric"][row.label] = None
        broken = {plain(cell.reason) or "no reason given": cell for cell in row.cells if cell.status != "ok"}
        for cell in row.cells:
            if cell.status != "ok":
                places[cell.status, plain(cell.reason) or "no reason given", plain(cell.metric)][row.label] = None
        for gap in row.gaps:
            unknown = gap.gap is None and gap.high is None
            if unknown and gap.headline and gap.figure.reason not in broken:
                places["no gap", gap.figure.reason, plain(gap.family)][row.label] = None
    merged: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (kind, reason, what), where in places.items():
        merged[kind, reason, tuple(where)].append(what)
    kinds: tuple[Lack, ...] = ("error", "skipped", "no gap")
    return [
        Note(kind, ", ".join(what), where, reason)
        for kind in kinds
        for (found, reason, where), what in merged.items()
        if found == kind
    ]
