"""The same figures turned: a table each value, a row each run, a column each network that several runs have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.board.entry_text import EntryText
from bench.report.board.text import ColumnText, RowText


@dataclass(frozen=True)
class PivotText:
    """One value; an entry is None where a run does not have the network."""

    column: ColumnText
    networks: tuple[tuple[str, str], ...]  # name and place
    rows: tuple[tuple[str, tuple[EntryText | None, ...]], ...]  # of each run


def pivots(columns: Sequence[ColumnText], rows: Sequence[RowText]) -> tuple[PivotText, ...]:
    """A table each column; none where no two runs have two networks in common.

    Args:
        columns: the board's.
        rows: the board's, in the order given: names of networks are compared across runs with their targets.
    """
    runs: dict[str, dict[tuple[str, str], RowText]] = {}
    for row in rows:
        runs.setdefault(row.run, {})[row.name, row.place] = row
    often = Counter(network for held in runs.values() for network in held)
    networks = tuple(network for network, count in often.items() if count > 1)
    if len(networks) < 2:
        return ()
    lines = {run: [of.get(network) for network in networks] for run, of in runs.items()}
    shown = {run: line for run, line in lines.items() if any(line)}
    return tuple(
        PivotText(column, networks, tuple((run, _entries(line, place)) for run, line in shown.items()))
        for place, column in enumerate(columns)
    )


def _entries(line: Sequence[RowText | None], place: int) -> tuple[EntryText | None, ...]:
    """One value of a run's networks."""
    return tuple(None if row is None else row.entries[place] for row in line)
