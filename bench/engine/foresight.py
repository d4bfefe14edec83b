"""Failures of a run that can be known before it: for ``crbench check``. Nothing is trained, and nothing is stored."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.compression.base import StepContext
from bench.compression.chains import run_step
from bench.data.base import Dataset
from bench.engine.networks import NetworkFailure, Networks, one_line
from bench.interrupts import contained
from bench.networks.network import InputSpec, Network
from bench.store.store import Store
from bench.suite.plan import Plan
from bench.suite.planned_networks import PlannedNetwork, chain, root
from bench.suite.selection import first_match
from bench.wording import plain

LIGHT = frozenset({"bn-fold"})  # steps that take a moment, beside those of ONNX Runtime; an export takes longer
LARGEST_FP16 = 65504.0


@dataclass
class Foresight:
    """Lines that say what will fail, and what is to be looked at."""

    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def foresee(plan: Plan, dataset: Dataset, store: Store) -> Foresight:
    """Try what takes a moment: load networks from outside, and let ONNX Runtime's tools convert them.

    A chain is followed from its last stored network, or from a network from outside, as long as its steps are light.
    """
    foresight = Foresight()
    tried = _Tried(Networks(store, dataset, lambda message: None), dataset)
    for name, node in _wanted(plan):
        fault = tried.fault(node)
        if fault:
            foresight.failures.append(f"{plain(name)}: {plain(fault)}")
    foresight.failures += _starved(plan, dataset)
    foresight.failures = list(dict.fromkeys(foresight.failures))
    foresight.warnings = list(dict.fromkeys([*_wide_inputs(plan, dataset), *_unlabelled(plan, dataset)]))
    return foresight


def _wanted(plan: Plan) -> Iterator[tuple[str, PlannedNetwork]]:
    """Every network that a cell runs, with whose it is."""
    seen = set()
    for cell in plan.cells:
        for name, node in (("the reference", cell.original), (cell.variant, cell.network)):
            if (name, node.key) not in seen:
                seen.add((name, node.key))
                yield name, node


class _Tried:
    """Networks made in memory alone, each once."""

    def __init__(self, stored: Networks, dataset: Dataset) -> None:
        self.stored = stored
        self.dataset = dataset
        self.scratch = Networks(Store(f"memory://{uuid.uuid4().hex}"), dataset, lambda message: None)
        self.made: dict[str, Network | str | None] = {}  # a network, why there is none, or None: not to be known yet

    def fault(self, node: PlannedNetwork) -> str:
        """Why the network cannot be made; empty where it can, or where that is not known before a run."""
        if not self._promising(node):
            return ""
        made = self._get(node)
        return made if isinstance(made, str) else ""

    def _promising(self, node: PlannedNetwork) -> bool:
        """Whether there is something to learn: a file from outside, or a conversion of one."""
        if self.stored.stored(node):
            return False
        return root(node).outside is not None or any(_converts(each) for each in chain(node))

    def _get(self, node: PlannedNetwork) -> Network | str | None:
        if node.key not in self.made:
            self.made[node.key] = self._make(node)
        return self.made[node.key]

    def _make(self, node: PlannedNetwork) -> Network | str | None:
        if self.stored.stored(node):
            return self.stored.load(node)  # None: the run makes it again, and says what is wrong
        if node.step is None:
            if node.outside is None and node.weights is None:
                return None  # it is to be trained
            return self._kept(node)
        assert node.parent is not None
        parent = self._get(node.parent)
        if not isinstance(parent, Network):
            return parent
        if node.weights is not None:
            return self._kept(node)
        if node.step.name not in LIGHT and not _converts(node):
            return None
        data = self.dataset
        try:
            with contained():
                return run_step(node.step, parent, StepContext(data.train, data.calibration, node.recipe, node.seed))
        except Exception as error:
            return f"step {node.step.name}: {one_line(error)}"

    def _kept(self, node: PlannedNetwork) -> Network | str:
        try:
            return self.scratch.get(node)
        except NetworkFailure as error:
            return str(error)


def _converts(node: PlannedNetwork) -> bool:
    """Whether it is made by one of ONNX Runtime's own tools."""
    return node.step is not None and node.step.name.startswith("ort-")


def _starved(plan: Plan, dataset: Dataset) -> list[str]:
    """Steps that train where the data leaves nothing to train on."""
    labelled = len(dataset.train) > 0 and dataset.train.y is not None
    lines = []
    for variant in plan.suite.variants if not labelled else ():
        for step in variant.steps:
            if "train" in step.demands() and (len(dataset.train) == 0 or "recipe" in step.demands()):
                lack = "has no labels" if len(dataset.train) else "leaves no samples for training"
                lines.append(f"{plain(variant.name)}: step {step.name} trains, and the data {lack}")
    if not labelled and any(node.model is not None and node.weights is None for node in plan.references):
        lines.append("the reference: it is to be trained, and the data leaves no labelled samples for training")
    return lines


def _wide_inputs(plan: Plan, dataset: Dataset) -> Iterator[str]:
    """Inputs that the data's bounds allow and that half precision cannot hold."""
    for (name, _), node in plan.variants.items():
        made_of = list(chain(node))
        halves = [each for each in made_of if each.step is not None and each.step.name == "ort-fp16"]
        if not halves:
            continue
        outside = made_of[-1].outside
        own = {} if outside is None else outside.input
        declared = InputSpec.from_canonical(dataset.input.canonical() | own)
        largest = largest_input(declared)
        limit = LARGEST_FP16 / float(getattr(halves[0].step, "headroom", 1.0))
        if largest > limit:
            yield (
                f"{plain(name)}: fp16 overflow: the bounds {list(declared.bounds)} let the network's input reach "
                f"{largest:.3g}, float16 ends at {limit:.6g} here; declare a smaller scale, or leave ort-fp16 out"
            )


def largest_input(declared: InputSpec) -> float:
    """The largest magnitude that ``(scale x - mean) / std`` reaches within the bounds; 0 for whole pixels.

    >>> largest_input(InputSpec(shape=(1, 1, 1), classes=(), bounds=(0.0, 255.0), scale=1000.0))
    255000.0
    """
    if declared.dtype == "uint8":
        return 0.0
    channels = max(len(declared.mean), len(declared.std))
    mean, std = (values * channels if len(values) == 1 else values for values in (declared.mean, declared.std))
    return max(
        abs((declared.scale * bound - m) / s) for bound in declared.bounds for m, s in zip(mean, std, strict=True)
    )


def _unlabelled(plan: Plan, dataset: Dataset) -> Iterator[str]:
    """Gated metrics that need labels where the data has none: their cells will be skipped, and no gate passes."""
    if dataset.evaluation.y is not None:
        return
    for use in plan.suite.metrics:
        labels = [cell.label for cell in plan.cells if cell.use is use]
        if use.gates and use.metric.labelled and not all(first_match(x, plan.suite.not_applicable) for x in labels):
            yield f"{use.metric.name} is gated and needs labels, the data has none: it is skipped, and --gate exits 3"
