"""The plan of a suite: cells, and the observations they are derived from, each with the parts of its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from bench.cell_id import CellId
from bench.integer_sums.pairs import Sums
from bench.metrics.base import Metric, reads, sources
from bench.metrics.values import REFERENCE, Value
from bench.probes.base import Probe
from bench.runtimes.base import Target
from bench.store.keys import Keyed
from bench.suite.planned_networks import (
    PlannedNetwork,
)
from bench.suite.suite import MetricUse, Suite

KEY_VERSION = 2
STATISTICS_VERSION = 5  # rises when the same observations give another number or one more


@dataclass(frozen=True)
class Machine:
    """Properties of the machine that can change a value."""

    cpu_features: tuple[str, ...]  # for quantised kernels of a provider that does not tell how it sums
    fingerprint: str  # for timings
    native_sums: Mapping[str, Sums | None] = field(default_factory=dict)  # of 8-bit products, by provider

    def sums(self, target: Target) -> Sums | None:
        """The kind of 8-bit sums on a target; None: its provider does not tell."""
        if target.runtime not in ("onnxruntime", "function"):  # a function may be compared with an ONNX file
            return None
        return self.native_sums.get(target.provider) if target.integer_sums == "native" else target.integer_sums


@dataclass(frozen=True, eq=False)
class PlannedObservation(Keyed):
    """A probe put to one network, or to the reference and another one, on one target."""

    probe: Probe
    network: PlannedNetwork
    target: Target
    parts: dict[str, Any]
    seed: int
    count: int  # samples that are needed of it
    draw: int = 0
    floor: bool = False
    needs: tuple[PlannedObservation, ...] = ()  # of the reference
    opposite: PlannedNetwork | None = None  # of a pair probe: the reference

    def every(self) -> Iterator[PlannedObservation]:
        """Itself, and all that it needs."""
        yield self
        for needed in self.needs:
            yield from needed.every()


Draw: TypeAlias = tuple[PlannedObservation, ...]  # what one network is asked, probe by probe
Role: TypeAlias = tuple[Draw, ...]  # by independent draw; one alone where draws are common


@dataclass(frozen=True, eq=False)
class PlannedCell(Keyed):
    """One (variant, target, metric, replicate) with every observation it is derived from."""

    variant: str
    target: Target
    use: MetricUse
    replicate: int
    network: PlannedNetwork  # the variant as it runs on the target
    original: PlannedNetwork  # the reference as it runs there
    count: int  # samples
    reference: Role
    floor: Draw
    observed: Role  # the variant's
    yardsticks: tuple[Role, ...]
    parts: dict[str, Any]

    @cached_property
    def id(self) -> CellId:
        """The identity of the cell."""
        metric = self.use.metric
        names = (self.variant, self.target.name, metric.name)
        return CellId.make(*names, metric.parameters(), self.replicate, defaults=metric.defaults())

    @property
    def label(self) -> str:
        """Readable and unique in a run, for globs and ``why``."""
        return self.id.label

    def every(self) -> Iterator[PlannedObservation]:
        """Every observation that the cell is derived from, and those that these need."""
        for role in (self.observed, self.reference, *self.yardsticks, (self.floor,)):
            for draw in role:
                for item in draw:
                    yield from item.every()


@dataclass(frozen=True, eq=False)
class Plan:
    """The networks and cells of a run."""

    suite: Suite
    references: tuple[PlannedNetwork, ...]  # by replicate
    yardsticks: tuple[PlannedNetwork, ...]
    variants: dict[tuple[str, int], PlannedNetwork]
    cells: tuple[PlannedCell, ...]


def other_sums(plan: Plan, machine: Machine, variant: str, target: str) -> dict[str, list[str]]:
    """The other targets on which a variant is measured, by the kind of their 8-bit sums."""
    targets: dict[str, list[str]] = {}
    for cell in plan.cells:
        if cell.variant == variant and cell.target.name != target:
            names = targets.setdefault(str(machine.sums(cell.target)), [])
            if cell.target.name not in names:
                names.append(cell.target.name)
    return targets


def own_sources(metric: Metric, value: Value) -> frozenset[str]:
    """The observed arrays of a network itself that a value stands on, labels and ids among them."""
    return frozenset(name for name in _sources(metric, value) if not name.startswith(REFERENCE))


def sources_of_reference(metric: Metric, value: Value) -> frozenset[str]:
    """The observed arrays of the reference that a value stands on: its own, and those that others read of it."""
    return frozenset(name.removeprefix(REFERENCE) for name in _sources(metric, value))


def _sources(metric: Metric, value: Value) -> frozenset[str]:
    arrays: set[str] = set()
    for name in reads(value):
        try:
            arrays |= sources(metric, name)
        except LookupError:  # a cost that no probe was asked for
            continue
    return frozenset(arrays)
