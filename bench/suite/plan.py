"""From a suite to cells and the observations they need: pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, TypeAlias

from bench.data.base import Samples
from bench.identity import is_transient, token_of
from bench.integer_sums.pairs import Sums
from bench.metrics.base import Metric, reads, sources
from bench.metrics.values import IDS, LABELS, REFERENCE, Change, Mean, Proportion, Scaled, Statistic, Value
from bench.networks.network import InputSpec
from bench.probes.base import Probe
from bench.runtimes.base import Target, runtimes
from bench.store.keys import key_of
from bench.suite.exporting import Exports, exports_of
from bench.suite.nodes import (
    Node,
    Splits,
    package_versions,
    reference_node,
    step_node,
    variant_node,
    yardstick_nodes,
)
from bench.suite.suite import MetricUse, Suite, Variant

KEY_VERSION = 2
STATISTICS_VERSION = 3  # rises when the same observations give another number


@dataclass(frozen=True)
class Machine:
    """What of the machine can change a value."""

    cpu_features: tuple[str, ...]  # for quantised kernels of a provider that does not tell how it sums
    fingerprint: str  # for timings
    native_sums: Mapping[str, Sums | None] = field(default_factory=dict)  # of 8-bit products, by provider

    def sums(self, target: Target) -> Sums | None:
        """How 8-bit products are summed on a target; None: its provider does not tell."""
        if target.runtime not in ("onnxruntime", "function"):  # a function may be compared with an ONNX file
            return None
        return self.native_sums.get(target.provider) if target.integer_sums == "native" else target.integer_sums


@dataclass(frozen=True, eq=False)
class PlannedObservation:
    """A probe put to one network, or to the reference and another one, on one target."""

    probe: Probe
    node: Node
    target: Target
    parts: dict[str, Any]
    seed: int
    count: int  # samples that are needed of it
    draw: int = 0
    floor: bool = False
    needs: tuple[PlannedObservation, ...] = ()  # of the reference
    opposite: Node | None = None  # of a pair probe: the reference

    @cached_property
    def key(self) -> str:
        """Content address."""
        return key_of(self.parts)


Draw: TypeAlias = tuple[PlannedObservation, ...]  # what one network is asked, probe by probe
Role: TypeAlias = tuple[Draw, ...]  # by independent draw; one alone where draws are common


def metric_label(metric: Metric) -> str:
    """Name and those parameters that are not at their defaults: ``adversarial.pgd[epsilon=0.1]``."""
    default = {item.name: item.default for item in fields(metric)}
    given = {name: value for name, value in metric.parameters().items() if value != default[name]}
    shown = ",".join(f"{name}={value}" for name, value in sorted(given.items()))
    return f"{metric.name}[{shown}]" if shown else metric.name


def cell_label(variant: str, target: str, metric: str, replicate: int | None) -> str:
    """variant/target/metric and, from the second on, the replicate."""
    return f"{variant}/{target}/{metric}{f'#{replicate}' if replicate else ''}"


@dataclass(frozen=True, eq=False)
class PlannedCell:
    """One (variant, target, metric, replicate) with every observation it is derived from."""

    variant: str
    target: Target
    use: MetricUse
    replicate: int
    node: Node  # the variant as it runs on the target
    original: Node  # the reference as it runs there
    count: int  # samples
    reference: Role
    floor: Draw
    observed: Role  # the variant's
    yardsticks: tuple[Role, ...]
    parts: dict[str, Any]

    @cached_property
    def key(self) -> str:
        """Content address."""
        return key_of(self.parts)

    @property
    def label(self) -> str:
        """Readable and unique in a run, for globs and ``why``.

        Variant, target, metric with its parameters and, from the second on, the replicate.
        """
        return cell_label(self.variant, self.target.name, metric_label(self.use.metric), self.replicate)

    def every(self) -> Iterator[PlannedObservation]:
        """Every observation that it stands on, those that others need among them."""
        for role in (self.observed, self.reference, *self.yardsticks, (self.floor,)):
            for draw in role:
                for item in draw:
                    yield item
                    yield from item.needs


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a run does."""

    suite: Suite
    references: tuple[Node, ...]  # by replicate
    yardsticks: tuple[Node, ...]
    variants: dict[tuple[str, int], Node]
    cells: tuple[PlannedCell, ...]


def other_sums(plan: Plan, machine: Machine, variant: str, target: str) -> dict[str, list[str]]:
    """The other targets on which a variant is measured, by the kind of their 8-bit sums."""
    found: dict[str, list[str]] = {}
    for cell in plan.cells:
        if cell.variant == variant and cell.target.name != target:
            names = found.setdefault(str(machine.sums(cell.target)), [])
            if cell.target.name not in names:
                names.append(cell.target.name)
    return found


def executable(node: Node, target: Target, splits: Splits, exports: Exports) -> Node | None:
    """The node as the target's runtime takes it: a torch network is exported for ONNX Runtime; None if it cannot."""
    kinds = runtimes.get(target.runtime, "target.runtime").kinds
    if node.kind in kinds:
        return node
    export = exports.get(node.kind)
    if export is not None and export.produces(node.kind) in kinds:
        return step_node(node, export, 0, splits, None)
    return None


@dataclass(frozen=True)
class Evaluation:
    """What of the evaluation samples enters keys, part by part: a new label does not ask a network again."""

    inputs: str
    labels: str
    ids: str
    declared: dict[str, Any]
    size: int

    @classmethod
    def of(cls, samples: Samples, declared: InputSpec) -> Evaluation:
        """Of the samples, and the data's declaration of its input."""
        prints = (samples.inputs_fingerprint, samples.labels_fingerprint, samples.ids_fingerprint)
        return cls(*prints, declared.canonical(), len(samples))


def fed_by(metric: Metric, probe: Probe, kinds: tuple[type[Any], ...]) -> bool:
    """Whether a value of these kinds stands on the probe's answer by the network itself."""
    values = [value for value in metric.values if isinstance(value, kinds)]
    return any(own_sources(metric, value).intersection(probe.arrays) for value in values)


def own_sources(metric: Metric, value: Value) -> frozenset[str]:
    """The observed arrays of a network itself that a value stands on, ``labels`` and ``ids`` among them."""
    found: set[str] = set()
    for name in reads(value):
        try:
            found |= sources(metric, name)
        except LookupError:  # a cost that no probe was asked for
            continue
    return frozenset(name for name in found if not name.startswith(REFERENCE))


class Planner:
    """Expands a suite for one data set and machine."""

    def __init__(self, suite: Suite, splits: Splits, evaluation: Evaluation, machine: Machine, device: str) -> None:
        self.suite = suite
        self.splits = splits
        self.evaluation = evaluation
        self.machine = machine
        self.device = device
        self.exports = exports_of(suite)

    def observation(
        self, probe: Probe, node: Node, target: Target, reference: Node, count: int, draw: int = 0, floor: bool = False
    ) -> PlannedObservation:
        """A probe put to a node, with what of the reference it needs."""
        runtime = runtimes.get(target.runtime, "target.runtime")
        needs = tuple(self.observation(needed, reference, target, reference, count) for needed in probe.needs)
        opposite = reference if probe.pair else None
        parts: dict[str, Any] = {
            "key_version": KEY_VERSION,
            "probe": probe.name,
            "version": probe.version,
            "parameters": probe.parameters(),
            "data": self._data(probe, count),
            "network": node.parts,
            "target": target.canonical(),
            "packages": package_versions(tuple(sorted({*probe.packages, *runtime.packages}))),
        }
        if probe.random:
            parts["seed"] = self.suite.seed
        if probe.gradients and runtime.gradients:
            parts["gradients"] = {"version": runtime.gradients, "packages": package_versions(runtime.view_packages)}
        if probe.timing:
            parts["machine"] = self.machine.fingerprint
        if is_transient(type(probe)):
            parts["code"] = token_of(type(probe))
        if target.runtime in ("torch", "function"):
            parts["device"] = self.device.split(":")[0]
        if target.runtime != "torch" and any(item.kind.endswith("-quantised") for item in (node, opposite or node)):
            known = self.machine.sums(target)
            parts["integer_sums"] = known or {"unknown": list(self.machine.cpu_features)}
        if needs:
            parts["needs"] = {item.probe.name: item.key for item in needs}
        if opposite is not None:
            parts["opposite"] = opposite.key
        if draw:
            parts["draw"] = draw
        if floor:
            parts["floor"] = floor
        return PlannedObservation(probe, node, target, parts, self.suite.seed, count, draw, floor, needs, opposite)

    def _data(self, probe: Probe, count: int) -> dict[str, Any]:
        """What of the data can change an answer."""
        found: dict[str, Any] = {"input": self.evaluation.declared}
        if probe.reads != "nothing":
            found |= {"inputs": self.evaluation.inputs, "ids": self.evaluation.ids}
        if probe.reads == "set":
            found["samples"] = count
        if probe.labelled:
            found["labels"] = self.evaluation.labels
        return found

    def cell(self, variant: str, node: Node, target: Target, use: MetricUse, replicate: int, plan: Plan) -> PlannedCell:
        """A cell with its observations."""
        metric = use.metric
        original = plan.references[replicate]
        reference = executable(original, target, self.splits, self.exports) or original
        count = metric.samples or self.evaluation.size
        scaled = tuple(probe for probe in metric.probes if fed_by(metric, probe, Scaled))
        marks = [executable(item, target, self.splits, self.exports) for item in plan.yardsticks if scaled]
        independent = any(isinstance(value, Change) and value.coupling == "independent" for value in metric.values)
        # of a pair probe the reference beside itself is asked only for a figure that is compared with it
        alone = [p for p in metric.probes if not p.pair or fed_by(metric, p, (Mean, Proportion, Statistic))]

        def ask(item: Node, probes: Sequence[Probe], draw: int = 0, floor: bool = False) -> Draw:
            return tuple(self.observation(p, item, target, reference, count, draw, floor) for p in probes)

        draws = (0, 1) if independent else (0,)
        own = tuple(ask(reference, alone, draw) for draw in draws)
        observed = tuple(ask(node, metric.probes, draw) for draw in draws)
        yardsticks = tuple(tuple(ask(item, scaled, draw) for draw in draws) for item in marks if item is not None)
        again = [probe for probe in scaled if not probe.timing and not probe.pair]
        floor = ask(reference, again, floor=True)
        parts = {
            "statistics": STATISTICS_VERSION,
            "metric": metric.name,
            "version": metric.version,
            "parameters": metric.parameters(),
            "samples": count,
            "reads": self._reads(metric),
            "variant": [[item.parts for item in draw] for draw in observed],
            "reference": [[item.key for item in draw] for draw in own],
            "yardsticks": [[[item.key for item in draw] for draw in mark] for mark in yardsticks],
            "floor": [item.key for item in floor],
        }
        if is_transient(type(metric)):
            parts["code"] = token_of(type(metric))
        return PlannedCell(
            variant, target, use, replicate, node, reference, count, own, floor, observed, yardsticks, parts
        )

    def _reads(self, metric: Metric) -> dict[str, str]:
        """What of the samples, beside their inputs, its values are made of."""
        found = frozenset().union(*(own_sources(metric, value) for value in metric.values))
        known = {LABELS: self.evaluation.labels, IDS: self.evaluation.ids}
        return {name: fingerprint for name, fingerprint in known.items() if name in found}

    def _targets(self, variant: Variant, runnable: dict[str, Node | None]) -> list[Target]:
        """The targets the variant names, else those that can run it; all (skipped, with the reason) where none can.

        Saturating sums are no other place for a network without 8-bit products: such a target takes the others.
        """
        if variant.targets is not None:
            return [target for target in self.suite.targets if target.name in variant.targets]
        able = [(item, node) for item in self.suite.targets if (node := runnable[item.name]) is not None]
        chosen = [item for item, node in able if item.tells_apart(node.kind)]
        return chosen or [item for item, _ in able] or list(self.suite.targets)

    def plan(self) -> Plan:
        """Every cell, replicate by replicate, variant by variant."""
        suite = self.suite
        references = tuple(reference_node(suite, self.splits, index) for index in range(suite.replicates))
        variants = {
            (variant.name, index): variant_node(suite, variant, self.splits, index)
            for index in range(suite.replicates)
            for variant in suite.variants
        }
        plan = Plan(suite, references, yardstick_nodes(suite, self.splits), variants, ())
        cells: list[PlannedCell] = []
        for replicate in range(suite.replicates):
            for variant in suite.variants:
                node = variants[variant.name, replicate]
                runnable = {
                    target.name: executable(node, target, self.splits, self.exports) for target in suite.targets
                }
                for target in self._targets(variant, runnable):
                    shown = runnable[target.name] or node
                    cells += [self.cell(variant.name, shown, target, use, replicate, plan) for use in suite.metrics]
        return Plan(suite, references, plan.yardsticks, variants, tuple(cells))
