"""The inline engine: cells one after another in this process, resumable, each fault its own cell's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from bench.data.base import Dataset
from bench.engine.derive import Derivation, Evidence, describe_details
from bench.engine.networks import NetworkFailure, Networks, one_line
from bench.engine.observations import Observations, Observed
from bench.errors import UserError
from bench.results import Cell
from bench.stats.gap import Gap
from bench.store.store import Store
from bench.suite.nodes import Node
from bench.suite.plan import Observation, Plan, PlannedCell

Rerun = Literal["missing", "failed", "always", "never"]


@dataclass
class Measured:
    """A cell of this run and, where it was derived now, its gaps."""

    cell: Cell
    gaps: dict[str, Gap] = field(default_factory=dict)


class InlineEngine:
    """Runs cells in this process."""

    def __init__(
        self,
        plan: Plan,
        dataset: Dataset,
        store: Store,
        *,
        device: str = "cpu",
        rerun: Rerun = "missing",
        progress: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.plan = plan
        self.store = store
        self.rerun = rerun
        self.networks = Networks(store, dataset, progress)
        self.observations = Observations(store, dataset, self.networks, device, progress)
        self.observations.remeasure = rerun == "always"
        self.derivation = Derivation()

    def preflight(self, cells: list[PlannedCell]) -> None:
        """Load outside networks before anything runs: a bad file is the user's error, and nothing is half-written."""
        nodes: dict[str, Node] = {}
        for cell in cells:
            for observation in (*cell.reference, *cell.observed):
                node = observation.node
                while node.parent is not None:
                    node = node.parent
                if node.outside is not None:
                    nodes[node.key] = node
        for node in nodes.values():
            if not self.networks.stored(node):
                try:
                    self.networks.get(node)
                except NetworkFailure as error:
                    if isinstance(error.__cause__, UserError):
                        raise error.__cause__ from None
                    raise UserError.at(str(error), "cannot be loaded") from None

    def cached(self, cell: PlannedCell) -> Cell | None:
        """The stored cell that this run would reuse; a stored error is reused only where nothing is measured."""
        record = None if self.rerun == "always" else self.store.get("cells", cell.key)
        if record is None:
            return None
        found = Cell.model_validate(record.content)
        wanted = found.status == "error" and self.rerun in ("missing", "failed")
        return None if wanted else self._place(found, cell, cached=True)

    def measure(self, cell: PlannedCell) -> Measured:
        """Reuse or measure a cell; whatever goes wrong stays in it."""
        found = self.cached(cell)
        if found is not None:
            return Measured(found)
        stored = self.store.get("cells", cell.key) if self.rerun == "failed" else None
        if self.rerun == "never" or (self.rerun == "failed" and stored is None):
            reason = f"not measured: --rerun {self.rerun}"
            return Measured(self._cell(cell, status="error", reason=reason))
        started = time.perf_counter()
        try:
            measured = self.derive(cell)
        except NetworkFailure as error:
            measured = Measured(self._cell(cell, status="error", reason=str(error)))
        except Exception as error:
            measured = Measured(self._cell(cell, status="error", reason=one_line(error)))
        measured.cell.seconds = round(time.perf_counter() - started, 4)
        self.store.put("cells", cell.parts, measured.cell.model_dump(mode="json"))
        return measured

    def evidence(self, cell: PlannedCell) -> Evidence:
        """Every observation of a cell, made where it is missing."""
        get = self.observations.get
        variant = [get(item) for item in cell.observed]
        reference = [get(item) for item in cell.reference]
        marks = [[get(item) for item in mark] for mark in cell.yardsticks]
        floor = None if cell.floor is None else get(cell.floor)
        n = len(self.observations.samples(cell.observed[0]))
        return Evidence(reference, variant, marks, floor, n)

    def derive(self, cell: PlannedCell) -> Measured:
        """The values of a cell from its observations."""
        evidence = self.evidence(cell)
        for name, observed in (("variant", evidence.variant[0]), ("reference", evidence.reference[0])):
            if observed.status == "skipped":
                return Measured(self._cell(cell, status="skipped", reason=f"{name}: {observed.reason}"))
        for name, observed in (("variant", evidence.variant[0]), ("reference", evidence.reference[0])):
            _finite(observed, name)
        out = Measured(self._cell(cell, status="ok", n=evidence.n, details=describe_details(evidence)))
        for value in cell.use.metric.values:
            result, scaled = self.derivation.value(value, evidence)
            out.cell.values[value.name] = result
            if scaled is not None:
                out.gaps[value.name] = scaled
        return out

    def _cell(self, cell: PlannedCell, **content: Any) -> Cell:
        metric = cell.use.metric
        protocol = metric.protocol() if content["status"] == "ok" else {}
        blank = Cell(
            variant=cell.variant, target=cell.target.name, metric=metric.name, family=metric.family,
            protocol=protocol, **content,
        )  # fmt: skip
        return self._place(blank, cell, cached=False)

    def _place(self, found: Cell, cell: PlannedCell, *, cached: bool) -> Cell:
        """A cell under this plan's names: equal work under another name is reused."""
        place = {
            "variant": cell.variant,
            "target": cell.target.name,
            "params": cell.use.metric.parameters(),
            "replicate": cell.replicate,
            "key": cell.key,
            "cached": cached,
        }
        return found.model_copy(update=place)

    def keys(self, cell: PlannedCell) -> set[str]:
        """Every object of the store that a cell stands on."""
        every: list[Observation] = [*cell.reference, *cell.observed]
        every += [item for mark in cell.yardsticks for item in mark]
        every += [] if cell.floor is None else [cell.floor]
        found = {cell.key, *(item.key for item in every)}
        for item in every:
            node: Node | None = item.node
            while node is not None:
                found.add(node.key)
                node = node.parent
        return found


def _finite(observed: Observed, name: str) -> None:
    """NaN in a network's outputs is a fault with a place, not a number."""
    for array_name, array in observed.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            raise ArithmeticError(f"the {name} shows {count} NaN or infinite values in {array_name!r}")
    assert math.isfinite(observed.seconds)
