"""Expands a suite to networks, cells and the observations they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.data.base import EVALUATION, Dataset, Samples
from bench.identity import is_transient, token_of
from bench.metrics.base import Metric
from bench.metrics.values import LABELS, Change, Mean, Proportion, Scaled, Statistic, of_samples
from bench.probes.base import Probe
from bench.runtimes.base import Target, runtimes
from bench.suite.exporting import Exports, exports_of
from bench.suite.plan import (
    KEY_VERSION,
    STATISTICS_VERSION,
    Draw,
    Machine,
    Plan,
    PlannedCell,
    PlannedObservation,
    own_sources,
    sources_of_reference,
)
from bench.suite.planned_networks import (
    PlannedNetwork,
    Splits,
    package_versions,
    plan_reference,
    plan_step,
    plan_yardsticks,
)
from bench.suite.planned_variants import plan_variant
from bench.suite.suite import MetricUse, Suite, Variant


def executable(network: PlannedNetwork, target: Target, splits: Splits, exports: Exports) -> PlannedNetwork | None:
    """The network as the target's runtime takes it: a torch network is exported for ONNX Runtime; None if it cannot."""
    kinds = runtimes.get(target.runtime, "target.runtime").kinds
    if network.kind in kinds:
        return network
    export = exports.get(network.kind)
    if export is not None and export.produces(network.kind) in kinds:
        return plan_step(network, export, 0, splits, None)
    return None


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of samples, part by part: a changed label leaves observations of inputs valid."""

    inputs: str
    labels: str
    ids: str
    size: int
    labelled: bool

    @classmethod
    def of(cls, samples: Samples) -> Fingerprints:
        """The fingerprints of samples."""
        prints = (samples.inputs_fingerprint, samples.labels_fingerprint, samples.ids_fingerprint)
        return cls(*prints, len(samples), samples.y is not None)


def fed_by(metric: Metric, probe: Probe, kinds: tuple[type[Any], ...]) -> bool:
    """Whether a value of these kinds stands on the probe's answer by the network itself."""
    values = [value for value in metric.values if isinstance(value, kinds)]
    return any(own_sources(metric, value).intersection(probe.arrays) for value in values)


class Planner:
    """Expands a suite for one data set and machine."""

    def __init__(self, suite: Suite, splits: Splits, dataset: Dataset, machine: Machine, device: str) -> None:
        self.suite = suite
        self.splits = splits
        self.dataset = dataset
        self.declared = dataset.input.canonical()
        self.known_samples: dict[str, Fingerprints] = {}
        self.machine = machine
        self.device = device
        self.exports = exports_of(suite)

    def fingerprints(self, samples: str) -> Fingerprints:
        """The fingerprints of the samples of that name, made when a probe is first asked on them."""
        if samples not in self.known_samples:
            self.known_samples[samples] = Fingerprints.of(self.dataset.samples_named(samples))
        return self.known_samples[samples]

    def observation(
        self,
        probe: Probe,
        network: PlannedNetwork,
        target: Target,
        reference: PlannedNetwork,
        count: int,
        draw: int = 0,
        floor: bool = False,
        needs: tuple[PlannedObservation, ...] | None = None,
    ) -> PlannedObservation:
        """A probe of a network, with the observations of the reference that it needs.

        ``count`` is of evaluation samples; on others a probe is asked on all there are. ``needs`` are answers of
        another network, or on another target, in the place of the reference's.
        """
        if probe.asked_on != EVALUATION:
            count = self.fingerprints(probe.asked_on).size
        runtime = runtimes.get(target.runtime, "target.runtime")
        if needs is None:
            asked = probe.needed_for(labelled=self.fingerprints(probe.asked_on).labelled)
            needs = tuple(self.observation(needed, reference, target, reference, count) for needed in asked)
        opposite = reference if probe.pair else None
        parts: dict[str, Any] = {
            "key_version": KEY_VERSION,
            "probe": probe.name,
            "version": probe.version,
            "parameters": probe.parameters(),
            "data": self._data(probe, count),
            "network": network.parts,
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
        if target.runtime != "torch" and any(
            item.kind.endswith("-quantised") for item in (network, opposite or network)
        ):
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
        return PlannedObservation(probe, network, target, parts, self.suite.seed, count, draw, floor, needs, opposite)

    def _data(self, probe: Probe, count: int) -> dict[str, Any]:
        """Fingerprints of the data that a probe's answer depends on."""
        fingerprints: dict[str, Any] = {"input": self.declared}
        samples = self.fingerprints(probe.asked_on)
        if probe.reads != "nothing":
            fingerprints |= {"inputs": samples.inputs, "ids": samples.ids}
        if probe.reads == "set":
            fingerprints["samples"] = count
        if probe.needs_background:
            fingerprints["background"] = self.splits.calibration
        if probe.labelled:
            fingerprints["labels"] = samples.labels
        return fingerprints

    def cell(
        self, variant: str, network: PlannedNetwork, target: Target, use: MetricUse, replicate: int, plan: Plan
    ) -> PlannedCell:
        """A cell, with the observations of reference, variant and yardsticks that its metric needs."""
        metric = use.metric
        original = plan.references[replicate]
        reference = executable(original, target, self.splits, self.exports) or original
        count = metric.count(self.fingerprints(EVALUATION).size)
        scaled = tuple(probe for probe in metric.probes if fed_by(metric, probe, Scaled))
        marks = [executable(item, target, self.splits, self.exports) for item in plan.yardsticks if scaled]
        independent = any(isinstance(value, Change) and value.coupling == "independent" for value in metric.values)
        # of a pair probe the reference beside itself is asked only for a figure that is compared with it
        alone = [p for p in metric.probes if not p.pair or fed_by(metric, p, (Mean, Proportion, Statistic))]

        def ask(item: PlannedNetwork, probes: Sequence[Probe], draw: int = 0, floor: bool = False) -> Draw:
            return tuple(self.observation(p, item, target, reference, count, draw, floor) for p in probes)

        draws = (0, 1) if independent else (0,)
        own = tuple(ask(reference, alone, draw) for draw in draws)
        observed = tuple(ask(network, metric.probes, draw) for draw in draws)
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
            variant, target, use, replicate, network, reference, count, own, floor, observed, yardsticks, parts
        )

    def _reads(self, metric: Metric) -> dict[str, str]:
        """Fingerprints of labels and ids where a metric's values are derived from them."""
        arrays = frozenset().union(*(sources_of_reference(metric, value) for value in metric.values))
        known = {}
        for name in arrays:
            if whose := of_samples(name):
                samples = self.fingerprints(whose.samples)
                known[name] = samples.labels if whose.what == LABELS else samples.ids
        return known

    def _targets(self, variant: Variant, runnable: dict[str, PlannedNetwork | None]) -> list[Target]:
        """The targets the variant names, else those that can run it; all (skipped, with the reason) where none can.

        Saturating sums change nothing for a network without 8-bit products: such a target is left out beside others.
        """
        if variant.targets is not None:
            return [target for target in self.suite.targets if target.name in variant.targets]
        able = [(item, network) for item in self.suite.targets if (network := runnable[item.name]) is not None]
        chosen = [item for item, network in able if item.tells_apart(network.kind)]
        return chosen or [item for item, _ in able] or list(self.suite.targets)

    def plan(self) -> Plan:
        """Every cell, replicate by replicate, variant by variant."""
        suite = self.suite
        references = tuple(plan_reference(suite, self.splits, index) for index in range(suite.replicates))
        variants = {
            (variant.name, index): plan_variant(suite, variant, self.splits, index)
            for index in range(suite.replicates)
            for variant in suite.variants
        }
        plan = Plan(suite, references, plan_yardsticks(suite, self.splits), variants, ())
        cells: list[PlannedCell] = []
        for replicate in range(suite.replicates):
            for variant in suite.variants:
                network = variants[variant.name, replicate]
                runnable = {
                    target.name: executable(network, target, self.splits, self.exports) for target in suite.targets
                }
                for target in self._targets(variant, runnable):
                    running = runnable[target.name] or network
                    uses = [use for use in suite.metrics if use.on(target.name)]
                    cells += [self.cell(variant.name, running, target, use, replicate, plan) for use in uses]
        return Plan(suite, references, plan.yardsticks, variants, tuple(cells))
