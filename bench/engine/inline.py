"""The inline engine: cells one after another in this process, resumable, each fault its own cell's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from bench.data.base import Dataset
from bench.engine.arrays import NO_LABELS, Memo, NetworkArrays
from bench.engine.derive import Derivation, DerivedValue
from bench.engine.evidence import Evidence, describe_details, describe_parity
from bench.engine.examples import examples_of
from bench.engine.failures import ObservationFailure, in_words
from bench.engine.judged import judged_observations
from bench.engine.networks import OTHER, NetworkFailure, Networks, describes, one_line
from bench.engine.observations import Observations
from bench.errors import UnusableNetwork, UserError
from bench.interrupts import contained
from bench.results import Cell, ValueResult
from bench.store.keys import key_of
from bench.store.store import Kind, Store
from bench.store.stored import DamagedArrays
from bench.suite.plan import Draw, Plan, PlannedCell, Role
from bench.suite.planned_networks import PlannedNetwork

Rerun = Literal["missing", "failed", "always", "never"]
T = TypeVar("T")


@dataclass
class Measured:
    """A cell of this run and, where it was derived now, what its values were derived with."""

    cell: Cell
    derived: dict[str, DerivedValue] = field(default_factory=dict)


def _with_asked(details: dict[str, Any], cell: PlannedCell) -> dict[str, Any]:
    """A cell's details with how its target asks 8-bit products to be summed: equal kinds have equal keys."""
    own = details.get("variant", {})
    if "integer_sums" not in own:
        return details
    told = {**own["integer_sums"], "asked": cell.target.integer_sums}
    return {**details, "variant": {**own, "integer_sums": told}}


def nothing_left(values: Iterable[ValueResult]) -> str:
    """Why a cell has no figure at all, in its first value's words; empty where it has one, or no value says why."""
    values = list(values)
    shown = [value.reference is not None or value.variant is not None or value.estimate is not None for value in values]
    return "" if any(shown) else next((value.reason for value in values if value.reason), "")


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
        self.progress = progress
        self.store = store
        self.rerun = rerun
        self.networks = Networks(store, dataset, progress)
        self.observations = Observations(store, dataset, self.networks, device, progress)
        self.observations.remeasure = rerun == "always"
        self.observations.expect(item for cell in plan.cells for item in cell.every())
        self.derivation = Derivation()
        self.memo = Memo()
        self.used: set[str] = set()  # keys of what was derived from several cells

    def preflight(self, cells: list[PlannedCell]) -> None:
        """Find the device and load outside networks before anything runs: a user's mistake leaves nothing half-done.

        A variant that can be read and cannot be used stops nothing: its own cells become errors.
        """
        if any(cell.target.runtime in ("torch", "function") for cell in cells):
            from bench.runtimes.torch_predictor import find_device

            find_device(self.observations.device)
        nodes: dict[str, PlannedNetwork] = {}
        roots = {reference.key for reference in self.plan.references}
        for cell in cells:
            for observation in cell.every():
                node = observation.network
                while node.parent is not None:
                    node = node.parent
                if node.outside is not None or node.weights is not None:
                    nodes[node.key] = node
        for node in nodes.values():
            if not self.networks.stored(node):
                try:
                    self.networks.get(node)
                except NetworkFailure as error:
                    if isinstance(error.__cause__, UnusableNetwork) and node.key not in roots:
                        self.progress(str(error))
                        continue
                    if isinstance(error.__cause__, UserError):
                        raise error.__cause__ from None
                    raise UserError.at(str(error), "cannot be loaded") from None

    def cached(self, cell: PlannedCell) -> Cell | None:
        """The stored cell that this run would reuse.

        Where something may be measured, a stored error is not reused, and neither is a cell whose per-sample arrays
        are to be judged and are lost.
        """
        stored = None if self.rerun == "always" else self.stored(cell)
        if stored is None:
            return None
        wanted = stored.status == "error" or (stored.status == "ok" and self._lacking(cell))
        return None if wanted and self.rerun in ("missing", "failed") else self._renamed(stored, cell, cached=True)

    def stored(self, cell: PlannedCell) -> Cell | None:
        """The cell as the store holds it, whether this run would reuse it or not."""
        record = self.store.get("cells", cell.key)
        if record is None:
            return None
        try:
            return Cell.model_validate(record.content)
        except ValidationError:
            self.store.reject("cells", cell.key, "it holds no cell")
            return None

    def _lacking(self, cell: PlannedCell) -> bool:
        """Whether arrays that are to be judged are no longer there, or no longer what they were."""
        return not all(self.observations.intact(item) for item in judged_observations(cell))

    def measure(self, cell: PlannedCell) -> Measured:
        """Reuse or measure a cell; whatever goes wrong stays in it."""
        known = self.cached(cell)
        if known is not None:
            return Measured(known)
        stored = self.store.get("cells", cell.key) if self.rerun == "failed" else None
        if self.rerun == "never" or (self.rerun == "failed" and stored is None):
            reason = f"not measured: --rerun {self.rerun}"
            return Measured(self._cell(cell, status="error", reason=reason))
        started = time.perf_counter()
        try:
            with contained():
                measured = self.derive(cell)
        except NetworkFailure as error:
            measured = Measured(self._cell(cell, status="error", reason=in_words(error, cell)))
        except ObservationFailure as error:
            measured = Measured(self._cell(cell, status="error", reason=str(error)))
        except Exception as error:
            measured = Measured(self._cell(cell, status="error", reason=one_line(error)))
        measured.cell.seconds = round(time.perf_counter() - started, 4)
        self.store.put("cells", cell.parts, measured.cell.model_dump(mode="json"))
        return measured

    def evidence(self, cell: PlannedCell) -> Evidence:
        """Every observation of a cell, asked where it is missing.

        Whether both networks can be differentiated is found before either is attacked, and where one of the two is
        skipped, nothing else is asked.
        """
        first, own = cell.observed[0], cell.reference[0]
        both = [*first, *own]
        missing = all(self.observations.missing(item) for item in both)  # a cheap refusal comes before what is dear
        if missing and any(map(self.observations.refused, own)) and not any(map(self.observations.refused, first)):
            return Evidence([self.answers("reference", cell, own)], [], [], None, cell.count)
        variant = self.role("variant", cell, cell.observed)
        if variant[0].refused:
            return Evidence([], variant, [], None, cell.count)
        reference = self.role("reference", cell, cell.reference)
        if reference and reference[0].refused:
            return Evidence(reference, variant, [], None, cell.count)
        variant = self.role("variant", cell, cell.observed, reference[0])
        marks = [self.role("yardstick", cell, mark, reference[0]) for mark in cell.yardsticks]
        floor = self.answers("numerical floor", cell, cell.floor, reference[0]) if cell.floor else None
        return Evidence(reference, variant, marks, floor, cell.count)

    def role(
        self, role: str, cell: PlannedCell, draws: Role, reference: NetworkArrays | None = None
    ) -> list[NetworkArrays]:
        """The answers of one network, draw by draw."""
        return [self.answers(role, cell, draw, reference) for draw in draws]

    def answers(
        self, role: str, cell: PlannedCell, draw: Draw, reference: NetworkArrays | None = None
    ) -> NetworkArrays:
        """The answers of one network to the probes of a cell's metric; a fault names the role."""
        observed = []
        for item in draw:
            try:
                with contained():
                    observed.append((item.probe, self.observations.get(item)))
            except (NetworkFailure, DamagedArrays):
                raise
            except Exception as error:
                raise ObservationFailure(f"{role}: {one_line(error)}") from error
        samples, sets = self.observations.samples(cell.count), self.observations.dataset.sets
        return NetworkArrays(cell.use.metric, observed, samples, self.memo, reference, sets)

    def derive(self, cell: PlannedCell) -> Measured:
        """The values of a cell from its observations; what turns out to be damaged in the store is asked again."""
        return self.observations.with_whole(lambda: self._derive(cell))

    def _derive(self, cell: PlannedCell) -> Measured:
        metric = cell.use.metric
        if metric.labelled and self.observations.samples(cell.count).y is None:
            self.networks.get(cell.network)  # what cannot be used at all is an error first
            return Measured(self._cell(cell, status="skipped", reason=NO_LABELS))
        evidence = self.evidence(cell)
        if evidence.skipped:
            return Measured(self._cell(cell, status="skipped", reason=evidence.skipped))
        details = describe_details(evidence, metric.details)
        out = Measured(self._cell(cell, status="ok", n=evidence.n, details=details, parity=describe_parity(evidence)))
        out.derived = self.derivation.values(metric.values, evidence)
        if reason := nothing_left([derived.result for derived in out.derived.values()]):
            return Measured(self._cell(cell, status="skipped", reason=reason))
        out.cell.values = {name: derived.result for name, derived in out.derived.items()}
        declared = self.observations.dataset.input
        out.cell.examples = examples_of(metric, evidence, self.observations.samples(cell.count), declared)
        return out

    def across(
        self,
        kind: Kind,
        parts: dict[str, Any],
        cells: Iterable[Measured],
        derive: Callable[[], dict[str, Any]],
        read: Callable[[dict[str, Any]], T],
    ) -> tuple[T, bool]:
        """Figures over several cells, and whether they were reused: derived and stored where one of the cells is new.

        ``parts`` hold the cells' keys. The key is noted as used. ``read`` takes what is stored, or raises.
        """
        self.used.add(key_of(parts))
        fresh = any(not measured.cell.cached for measured in cells)
        stored = None if fresh else self.store.find(kind, parts)
        if stored is not None:
            try:
                return read(stored.content), True
            except (ValueError, LookupError, TypeError):
                self.store.reject(kind, stored.key, "it holds something else")
        content = derive()
        self.store.put(kind, parts, content)
        return read(content), False

    def _cell(self, cell: PlannedCell, **content: Any) -> Cell:
        metric = cell.use.metric
        protocol = metric.protocol() if content["status"] == "ok" else {}
        blank = Cell(
            variant=cell.variant, target=cell.target.name, metric=metric.name, family=metric.family,
            protocol=protocol, **content,
        )  # fmt: skip
        return self._renamed(blank, cell, cached=False)

    def _renamed(self, known: Cell, cell: PlannedCell, *, cached: bool) -> Cell:
        """A cell under this plan's names: equal work under another name is reused."""
        names = {
            "variant": cell.variant,
            "target": cell.target.name,
            "params": cell.use.metric.parameters(),
            "replicate": cell.replicate,
            "label": cell.label,
            "key": cell.key,
            "cached": cached,
            "details": _with_asked(known.details, cell),
        }
        return known.model_copy(update=names)

    def record(self, node: PlannedNetwork, measured: bool) -> dict[str, Any]:
        """The history of a network; one that was ``measured`` and whose record was lost is made again."""
        stored = self.store.get("networks", node.key)
        kept = {} if stored is None else stored.content.get("record")
        if isinstance(kept, dict) and describes(kept, node):
            return kept
        if stored is not None:
            self.store.reject("networks", node.key, OTHER)
        if not measured or self.rerun not in ("missing", "always"):
            return {}
        try:
            return self.networks.get(node).record
        except NetworkFailure:
            return {}

    def keys(self, cell: PlannedCell) -> set[str]:
        """Every object of the store that a cell stands on."""
        every = list(cell.every())
        keys = {cell.key, *(item.key for item in every)}
        for item in every:
            node: PlannedNetwork | None = item.network
            while node is not None:
                keys.add(node.key)
                node = node.parent
        return keys
