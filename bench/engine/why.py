"""Why a cell would be reused, or what changed since it was last measured."""

from __future__ import annotations

from typing import Any

from bench.engine.run import make_plan
from bench.errors import UserError
from bench.registry import nearest
from bench.store.keys import differences
from bench.store.store import Record, Store
from bench.suite.plan import Observation, PlannedCell
from bench.suite.selection import matches
from bench.suite.suite import Suite


def why(suite: Suite, pattern: str, store_url: str, device: str) -> list[str]:
    """Explain each cell that matches the pattern (a label, a glob, or the start of one)."""
    plan, _ = make_plan(suite, device)
    cells = [cell for cell in plan.cells if matches(cell.label, pattern) or cell.label.startswith(pattern)]
    if not cells:
        raise UserError.at("CELL", f"no cell {pattern!r}", nearest(pattern, [cell.label for cell in plan.cells]))
    store = Store(store_url)
    lines: list[str] = []
    observed = list(store.records("observations"))
    for cell in cells:
        lines += _explain(cell, store, observed)
    return lines


def _explain(cell: PlannedCell, store: Store, observed: list[Record]) -> list[str]:
    record = store.get("cells", cell.key)
    if record is not None and record.content["status"] != "error":
        return [f"{cell.label}: reused, nothing in its key changed", f"  key {cell.key}"]
    if record is not None:
        return [f"{cell.label}: measured again, it failed: {record.content['reason']}", f"  key {cell.key}"]
    lines = [f"{cell.label}: to be measured", f"  key {cell.key}"]
    roles: list[tuple[str, Observation]] = [("variant", item) for item in cell.observed]
    roles += [("reference", item) for item in cell.reference]
    roles += [(f"yardstick {index + 1}", item) for index, mark in enumerate(cell.yardsticks) for item in mark]
    roles += [] if cell.floor is None else [("numerical floor", cell.floor)]
    missing = [(role, item) for role, item in roles if store.get("observations", item.key) is None]
    if not missing:
        return [*lines, "  every observation is stored; only the statistics run again"]
    for role, item in missing:
        lines.append(f"  {role}: {_nearest(item, observed)}")
    return lines


def _nearest(item: Observation, observed: list[Record]) -> str:
    """What differs from the most similar stored observation of the same metric."""
    best: list[tuple[str, Any, Any]] | None = None
    for record in observed:
        if record.parts.get("metric") == item.parts["metric"] and record.parts.get("floor") == item.parts.get("floor"):
            found = list(differences(record.parts, item.parts))
            if best is None or len(found) < len(best):
                best = found
    if best is None:
        return "never observed"
    shown = "; ".join(f"{path} was {_short(old)}, is {_short(new)}" for path, old, new in best[:4])
    return f"never observed so; nearest stored: {shown}" + ("; ..." if len(best) > 4 else "")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
