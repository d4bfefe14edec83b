"""A run arranged for reading, as numbers and enums: what every report shows, before anything is text."""

from __future__ import annotations

from bench.report.leaderboard.build import leaderboard
from bench.report.leaderboard.marks import Mark, State
from bench.report.leaderboard.model import (
    Column,
    CostEntry,
    GapEntry,
    HarmEntry,
    Leaderboard,
    Missing,
    MissingKind,
    ReferenceRow,
    Row,
)
from bench.report.leaderboard.ratios import Order, RatioEntry, RatioGroup

__all__ = [
    "Column",
    "CostEntry",
    "GapEntry",
    "HarmEntry",
    "Leaderboard",
    "Mark",
    "Missing",
    "MissingKind",
    "Order",
    "RatioEntry",
    "RatioGroup",
    "ReferenceRow",
    "Row",
    "State",
    "leaderboard",
]
