"""Values over successive runs: nothing across suites, data or kinds of processor."""

from __future__ import annotations

from bench.report.history.build import Accepted, histories
from bench.report.history.model import Histories, History, Line, Step

__all__ = ["Accepted", "Histories", "History", "Line", "Step", "histories"]
