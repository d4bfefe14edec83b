"""Several runs joined into one board: absolute figures side by side, in the order given, and nothing ranked."""

from __future__ import annotations

from bench.report.board.build import board
from bench.report.board.model import Against, Board, BoardColumn, BoardRow, BoardRun, Entry, Group, Side, Status

__all__ = [
    "Against",
    "Board",
    "BoardColumn",
    "BoardRow",
    "BoardRun",
    "Entry",
    "Group",
    "Side",
    "Status",
    "board",
]
