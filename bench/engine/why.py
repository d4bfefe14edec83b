"""Why a cell would be reused, or what changed since it was last measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.cell_id import CellId
from bench.engine.judged import arrays_lost, is_stored
from bench.errors import UserError
from bench.registry import nearest
from bench.store.keys import differences, key_of
from bench.store.store import Record, Store
from bench.suite.plan import Plan, PlannedCell, PlannedObservation, Role
from bench.suite.planned_networks import PlannedNetwork
from bench.suite.selection import matches

MOST_TOLD = 4  # differences


def why(plan: Plan, pattern: str, store: Store) -> list[str]:
    """Explain each cell that matches the pattern (a label, a glob, or the start of one)."""
    cells = [cell for cell in plan.cells if matches(cell.label, pattern) or cell.label.startswith(pattern)]
    if not cells:
        raise UserError.at("cells", f"no cell {pattern!r}", nearest(pattern, [cell.label for cell in plan.cells]))
    lines: list[str] = []
    observed, known = list(store.records("observations")), list(store.records("cells"))
    for cell in cells:
        lines += _explain(cell, store, observed, known)
    return lines


def _explain(cell: PlannedCell, store: Store, observed: list[Record], known: list[Record]) -> list[str]:
    record = store.get("cells", cell.key)
    status = None if record is None else record.content.get("status")
    if status == "ok" and arrays_lost(store, cell):
        return [f"{cell.label}: measured again, arrays that its gates need are lost", f"  key {cell.key}"]
    if record is not None and status in ("ok", "skipped"):
        twin = _id_of(record)
        if twin is None or replace(twin, replicate=cell.replicate) == cell.id:
            return [f"{cell.label}: reused, nothing in its key changed", f"  key {cell.key}"]
        same = f"{cell.label}: reused, it is the same work as {twin.variant}/{twin.target}/{twin.metric}"
        return [same, f"  key {cell.key}", *_changes(cell, _former(cell, store, known))]
    if record is not None:
        reason = record.content.get("reason", "")
        return [f"{cell.label}: measured again, it failed: {reason}", f"  key {cell.key}"]
    lines = [f"{cell.label}: to be measured", f"  key {cell.key}"]
    missing = [(role, item) for role, item in _roles(cell) if not is_stored(store, item)]
    before = _former(cell, store, known)
    if not missing:
        return [*lines, "  every observation is stored; only the statistics run again", *_changes(cell, before)]
    for role, item in missing:
        lines.append(f"  {role}: {_changed(item, before[role]) if role in before else _nearest(item, observed)}")
    return lines


def _id_of(record: Record) -> CellId | None:
    """The cell that a record was measured as; None where it holds no cell."""
    variant, target, metric = map(record.content.get, ("variant", "target", "metric"))
    if not (isinstance(variant, str) and isinstance(target, str) and isinstance(metric, str)):
        return None
    return CellId.make(variant, target, metric, record.content.get("params", {}), record.content.get("replicate"))


def _changes(cell: PlannedCell, before: Mapping[str, dict[str, Any]]) -> list[str]:
    """The parts of a cell, all of which is stored, that are others than when it was last measured under its name."""
    return [
        f"  {role}: {_changed(item, before[role])}"
        for role, item in _roles(cell)
        if role in before and key_of(before[role]) != item.key
    ]


def _roles(cell: PlannedCell) -> list[tuple[str, PlannedObservation]]:
    """Every observation of a cell by role and probe; further draws have their number."""
    draws = [("variant", cell.observed), ("reference", cell.reference)]
    draws += [(f"yardstick {index + 1}", mark) for index, mark in enumerate(cell.yardsticks)]
    draws += [("numerical floor", (cell.floor,))]
    return [
        (_role(role, item.probe.name, draw), item) for role, observed in draws for draw, item in _numbered(observed)
    ]


def _numbered(role: Role) -> Iterator[tuple[int, PlannedObservation]]:
    for number, draw in enumerate(role):
        for item in draw:
            yield number, item


def _role(role: str, probe: str, draw: int) -> str:
    return f"{role}, {probe}" if draw == 0 else f"{role}, {probe}, draw {draw + 1}"


def _former(cell: PlannedCell, store: Store, known: list[Record]) -> dict[str, dict[str, Any]]:
    """The parts of the cell of this name when it was last measured, by role; the most alike, then the latest."""
    mine = [item for item in known if _id_of(item) == cell.id and _same_form(item)]
    if not mine:
        return {}

    def unlike(record: Record) -> tuple[int, float]:
        file = f"cells/{record.key[:2]}/{record.key}.json"
        return len(list(differences(record.parts, cell.parts))), -store.files.modified(file)

    parts = min(mine, key=unlike).parts
    former: dict[str, dict[str, Any]] = {}
    for number, draw in enumerate(parts["variant"]):
        former |= {_role("variant", item["probe"], number): item for item in draw}
    marks = {f"yardstick {index + 1}": mark for index, mark in enumerate(parts["yardsticks"])}
    for role, draws in {"reference": parts["reference"], **marks, "numerical floor": [parts["floor"]]}.items():
        for number, keys in enumerate(draws):
            records = [record for key in keys if (record := store.get("observations", key)) is not None]
            former |= {_role(role, record.parts["probe"], number): record.parts for record in records}
    return former


def _same_form(record: Record) -> bool:
    """Whether a cell was written by a program that parts cells as this one does."""
    return all(isinstance(record.parts.get(name), list) for name in ("variant", "reference", "yardsticks", "floor"))


def _changed(item: PlannedObservation, before: dict[str, Any]) -> str:
    """The differences from the same observation when the cell was last measured, in words."""
    changes = list(differences(before, item.parts))
    if not changes:
        return "no longer in the store"
    return f"changed since it was last measured: {_told(changes, item)}"


def _nearest(item: PlannedObservation, observed: list[Record]) -> str:
    """The differences from the most similar stored observation by the same probe, in words."""
    best: list[tuple[str, Any, Any]] | None = None
    for record in observed:
        if record.parts.get("probe") == item.parts["probe"] and record.parts.get("floor") == item.parts.get("floor"):
            changes = list(differences(record.parts, item.parts))
            if best is None or len(changes) < len(best):
                best = changes
    if best is None:
        return "never observed"
    return f"never observed so; nearest stored: {_told(best)}"


def _told(changes: Sequence[tuple[str, Any, Any]], item: PlannedObservation | None = None) -> str:
    """The first differences in words; of ``item`` itself, a file by its name."""
    told = [_difference(path, old, new, item) for path, old, new in changes[:MOST_TOLD]]
    return "; ".join([*told, *(["..."] if len(changes) > MOST_TOLD else [])])


def _difference(path: str, old: Any, new: Any, item: PlannedObservation | None) -> str:
    name = path.rpartition(".")[2]
    if item is not None and path.startswith("network.") and name in ("onnx", "checkpoint", "weights", "code"):
        file = _file_of(item.network, name)
        if file and isinstance(old, str) and isinstance(new, str):
            return f"the content of {file} changed (sha256 was {old[:12]}, is {new[:12]})"
    return f"{path} was {_short(old)}, is {_short(new)}"


def _file_of(node: PlannedNetwork, name: str) -> str:
    """The file of the user's own that a chain begins with, under this name of its parts."""
    while node.parent is not None:
        node = node.parent
    outside = node.outside
    if outside is None:
        return node.weights.name if node.weights is not None and name == "weights" else ""
    files = {"onnx": outside.onnx, "checkpoint": outside.checkpoint}
    if name == "code":
        return f"the module of {outside.factory}"
    file = files.get(name)
    return "" if file is None else file.name


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
