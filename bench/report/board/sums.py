"""Networks of a board that are other functions on other processors: their sums of 8-bit products can saturate."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.board.model import BoardRun
from bench.wording import plain
from bench.wording_of_sums import layers_of, sums_line, sums_told


def other_functions(runs: Sequence[BoardRun]) -> tuple[tuple[str, str], ...]:
    """Each such variant on its target once, with the line that says where; those that cannot saturate are left out."""
    lines: dict[str, str] = {}
    for run in runs:
        for cell in run.results.cells:
            sums = sums_told([cell])
            if sums is not None and layers_of(sums):
                label = f"{plain(run.name)}: {plain(cell.variant)} ({plain(cell.target)})"
                lines.setdefault(label, sums_line(sums))
    return tuple(lines.items())
