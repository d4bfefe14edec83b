"""Histories for programs: JSON, nothing rounded."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bench.report.board.columns import parameters_of
from bench.report.board.model import BoardRun
from bench.report.history.model import Histories, History
from bench.report.history.text import NOTE
from bench.results.base import checked_json
from bench.results.history import HistoryFile


def histories_json(found: Histories) -> str:
    """The histories as one JSON object, as ``docs/schema/history.schema.json`` describes it."""
    content = {
        "schema": 1,
        "kind": "history",
        "note": NOTE,
        "left_out": list(found.left_out),
        "lines": [
            {
                "known": dict(line.known),
                "runs": [_run(run) for run in line.runs],
                "values": [_value(history) for history in line.histories],
            }
            for line in found.lines
        ],
    }
    return checked_json(HistoryFile, content)


def _run(run: BoardRun) -> dict[str, Any]:
    origin = run.results.run
    assert origin is not None
    git = {"commit": origin.git.commit, "dirty": origin.git.dirty}
    return {"place": run.place, **git, "started": origin.started, "sha256": run.results.sha256}


def _value(history: History) -> dict[str, Any]:
    column = history.column
    entries = history.entries
    return {
        "variant": history.variant,
        "target": history.target,
        "replicate": history.replicate,
        "metric": column.metric,
        "params": parameters_of(column),
        "value": column.value,
        "kind": column.like.kind,
        "unit": column.like.unit,
        "better": column.like.better,
        "status": [entry.status.value for entry in entries],
        "number": [entry.number for entry in entries],
        "low": [entry.low for entry in entries],
        "high": [entry.high for entry in entries],
        "changes": [
            {"run": c.index, "before": c.before, "after": c.after, "p_value": c.p_value} for c in history.changes
        ],
        "untested": history.untested,
        "accepted": [asdict(step) for step in history.steps],
    }
