"""A run arranged for reading, as numbers and enums: what every report shows, before anything is text."""

from __future__ import annotations

from bench.report.leaderboard.build import leaderboard
from bench.report.leaderboard.marks import Mark, State
from bench.report.leaderboard.model import (
    Column,
    Cost,
    Gap,
    Harm,
    Kind,
    Leaderboard,
    Missing,
    ReferenceRow,
    Row,
)

__all__ = [
    "Column",
    "Cost",
    "Gap",
    "Harm",
    "Kind",
    "Leaderboard",
    "Mark",
    "Missing",
    "ReferenceRow",
    "Row",
    "State",
    "leaderboard",
]
