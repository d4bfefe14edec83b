"""From a suite to cells and the observations they need: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from bench.graph.integer_sums.pairs import Sums
from bench.identity import is_transient, token_of
from bench.metrics.base import Change, Metric, Pair, Quality
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

KEY_VERSION = 1
STATISTICS_VERSION = 2  # rises when the same observations give another number


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
class Observation:
    """One network (or a pair) shown to one metric on one target."""

    metric: Metric
    node: Node
    target: Target
    parts: dict[str, Any]
    seed: int
    draw: int = 0
    floor: bool = False
    anchor: Node | None = None
    against: Node | None = None  # the reference, for pair measures

    @cached_property
    def key(self) -> str:
        """Content address."""
        return key_of(self.parts)


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
    reference: tuple[Observation, ...]  # by draw
    floor: Observation | None
    observed: tuple[Observation, ...]  # the variant's, by draw
    yardsticks: tuple[tuple[Observation, ...], ...]
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


def observation_parts(
    metric: Metric, node: Node, target: Target, suite: Suite, evaluation: dict[str, Any], machine: Machine
) -> dict[str, Any]:
    """What can change an observation."""
    runtime = runtimes.get(target.runtime, "target.runtime")
    parts: dict[str, Any] = {
        "key_version": KEY_VERSION,
        "metric": metric.name,
        "version": metric.version,
        "parameters": metric.parameters(),
        "samples": metric.samples,
        "data": evaluation,
        "seed": suite.seed,
        "network": node.parts,
        "target": target.canonical(),
        "packages": package_versions(tuple(sorted({*metric.packages, *runtime.packages}))),
    }
    if is_transient(type(metric)):
        parts["code"] = token_of(type(metric))
    if metric.gradients and runtime.gradients:
        parts["gradients"] = {"version": runtime.gradients, "packages": package_versions(runtime.view_packages)}
    if metric.timing:
        parts["machine"] = machine.fingerprint
    return parts


def _paired(metric: Metric) -> bool:
    """Whether it looks at the reference and another network together."""
    return metric.interleaved or any(isinstance(value, Pair) for value in metric.values)


class Planner:
    """Expands a suite for one data set and machine."""

    def __init__(self, suite: Suite, splits: Splits, evaluation: dict[str, Any], machine: Machine, device: str) -> None:
        self.suite = suite
        self.splits = splits
        self.evaluation = evaluation
        self.machine = machine
        self.device = device
        self.exports = exports_of(suite)

    def observation(self, metric: Metric, node: Node, target: Target, reference: Node, **role: Any) -> Observation:
        """An observation of a node in a role (draw, floor)."""
        parts = observation_parts(metric, node, target, self.suite, self.evaluation, self.machine)
        if target.runtime in ("torch", "function"):
            parts["device"] = self.device.split(":")[0]
        shown = [node, *([reference] if metric.anchored or _paired(metric) else [])]
        if target.runtime != "torch" and any(item.kind.endswith("-quantised") for item in shown):
            known = self.machine.sums(target)
            parts["integer_sums"] = known or {"unknown": list(self.machine.cpu_features)}
        anchor = reference if metric.anchored else None
        against = reference if _paired(metric) else None
        if anchor is not None:
            parts["anchor"] = anchor.key
        if against is not None:
            parts["against"] = against.key
        parts |= {name: value for name, value in role.items() if value}
        return Observation(metric, node, target, parts, seed=self.suite.seed, anchor=anchor, against=against, **role)

    def cell(self, variant: str, node: Node, target: Target, use: MetricUse, replicate: int, plan: Plan) -> PlannedCell:
        """A cell with its observations."""
        metric = use.metric
        original = plan.references[replicate]
        reference = executable(original, target, self.splits, self.exports) or original
        scaled = any(isinstance(value, Change | Quality | Pair) for value in metric.values)
        yardsticks = [executable(item, target, self.splits, self.exports) for item in plan.yardsticks if scaled]
        independent = any(isinstance(value, Change) and value.coupling == "independent" for value in metric.values)
        draws = (0, 1) if independent else (0,)

        def observe(item: Node) -> tuple[Observation, ...]:
            return tuple(self.observation(metric, item, target, reference, draw=draw) for draw in draws)

        own = observe(reference)
        shown = observe(node)
        marks = tuple(observe(item) for item in yardsticks if item is not None)
        again = scaled and not metric.timing
        floor = self.observation(metric, reference, target, reference, floor=True) if again else None
        parts = {
            "statistics": STATISTICS_VERSION,
            "metric": metric.name,
            "parameters": metric.parameters(),
            "variant": [item.parts for item in shown],
            "reference": [item.key for item in own],
            "yardsticks": [[item.key for item in mark] for mark in marks],
            "floor": None if floor is None else floor.key,
        }
        return PlannedCell(variant, target, use, replicate, own, floor, shown, marks, parts)

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
