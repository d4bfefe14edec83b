"""Making the networks of a plan, once each, through the store."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.compression.base import Step, StepContext
from bench.compression.chains import run_step
from bench.data.base import Dataset
from bench.engine.kept_networks import load_kept
from bench.errors import NotApplicable, UserError, legible
from bench.interrupts import contained
from bench.networks.network import InputSpec, Network, TorchNetwork
from bench.outside_networks.records import source_record
from bench.store.keys import canonical_json
from bench.store.store import Store
from bench.suite.plan import Plan
from bench.suite.planned_networks import INTAKE_SAMPLES, PlannedNetwork, chain, root

OTHER = "it describes another network than its key does"


class NetworkFailure(Exception):
    """A network could not be made, ``node``; every cell that needs it is an error with this reason."""

    def __init__(self, reason: str, node: PlannedNetwork) -> None:
        super().__init__(reason)
        self.network = node


class Effort(NamedTuple):
    """What making a network took: CPU seconds of all threads, and passes over the samples that were trained on."""

    cpu_seconds: float | None
    epochs: float | None


class Networks:
    """Networks by node: from memory, from the store, else made and committed."""

    def __init__(self, store: Store, dataset: Dataset, progress: Callable[[str], None]) -> None:
        self.store = store
        self.dataset = dataset
        self.progress = progress
        self._made: dict[str, Network] = {}
        self._failed: dict[str, NetworkFailure] = {}

    def get(self, node: PlannedNetwork) -> Network:
        """The network; a failure is remembered and raises ``NetworkFailure`` again."""
        if node.key in self._failed:
            known = self._failed[node.key]
            raise NetworkFailure(str(known), known.network) from known.__cause__
        if node.key not in self._made:
            try:
                with contained():
                    self._made[node.key] = self.load(node) or self._make(node)
            except NetworkFailure as error:
                self._failed[node.key] = error
                raise
            except Exception as error:
                self._failed[node.key] = NetworkFailure(f"{_title(node)}: {one_line(error)}", node)
                raise self._failed[node.key] from error
        return self._made[node.key]

    def effort(self, node: PlannedNetwork) -> Effort:
        """What making it took, steps and training together; None where a part was kept, or nobody measured it."""
        parts = [self._effort_of(part) for part in chain(node)]
        return Effort(*(None if None in figures else sum(figures) for figures in zip(*parts, strict=True)))

    def _effort_of(self, part: PlannedNetwork) -> Effort:
        stored = None if part.weights is not None else self.store.get("networks", part.key)
        figures = [None if stored is None else stored.content.get(name) for name in Effort._fields]
        return Effort(*(float(figure) if isinstance(figure, (int, float)) else None for figure in figures))

    def stored(self, node: PlannedNetwork) -> bool:
        """Whether nothing would have to be made: its weights are there too."""
        return node.key in self._made or self.store.blob("networks", node.key) is not None

    def load(self, node: PlannedNetwork) -> Network | None:
        """The network from memory or the store, else None: nothing is made.

        A record counts only where it says what its node says: what it names is never imported or built on its word.
        """
        from bench.compression.restoring import restore

        if node.key in self._made:
            return self._made[node.key]
        if not rebuildable(node):
            return None
        stored = self.store.get("networks", node.key)
        blob = None if stored is None else self.store.blob("networks", node.key)
        if stored is None or blob is None:
            return None
        try:
            record = stored.content["record"]
            if not describes(record, node):
                raise UserError.at("", OTHER)
            return restore(record, blob)
        except Exception as error:  # whatever a record may hold that does not fit together
            self.store.reject("networks", node.key, one_line(error))
            return None

    def _make(self, node: PlannedNetwork) -> Network:
        from bench.compression.restoring import to_bytes
        from bench.engine.intake import take_in
        from bench.models.descent import counted_epochs

        self.progress(_title(node))
        parent = None if node.parent is None else self.get(node.parent)
        started = time.process_time()
        with counted_epochs() as epochs:
            if node.step is not None:
                assert parent is not None
                network = self._after_step(node, node.step, parent)
            elif node.model is not None:
                network = self._train(node)
            else:
                assert node.outside is not None
                declared = InputSpec.from_canonical(self.dataset.input.canonical() | node.outside.input)
                network = take_in(node.outside, declared, self.dataset.evaluation.x[:INTAKE_SAMPLES])
        blob = to_bytes(network) if rebuildable(node) else None
        content = {"record": network.record, "bytes": 0 if blob is None else len(blob)}
        if node.outside is None:  # what training somebody else's took is not known
            content |= Effort(time.process_time() - started, epochs.passed)._asdict()
        self.store.put("networks", node.parts, content, blob=blob)
        return network

    def _after_step(self, node: PlannedNetwork, step: Step, parent: Network) -> Network:
        if node.weights is not None:
            return load_kept(node.weights, step, node.kind, parent)
        data, reference = self.dataset, self.get(root(node))
        context = StepContext(data.train, data.calibration, node.recipe, node.seed, self.progress, reference)
        return run_step(step, parent, context)

    def _train(self, node: PlannedNetwork) -> Network:
        from bench.models.training import initialise, train
        from bench.outside_networks.checkpoint import load_checkpoint
        from bench.outside_networks.source import build_source

        assert node.model is not None
        assert node.recipe is not None
        declared, method = self.dataset.input, node.method
        answers = node.answers(declared)
        record = source_record(node.model, answers, method)
        if node.weights is not None:
            kept = initialise(node.model, declared, 0) if method is None else build_source(record, 0)
            load_checkpoint(kept, node.weights, "reference.weights")
            return TorchNetwork(kept, answers, record)
        if method is not None:
            trained = method.train(node.model, self.dataset.train, declared, node.recipe, node.seed, self.progress)
        else:
            module = initialise(node.model, declared, node.seed)
            trained = train(module, self.dataset.train, declared, node.recipe, node.seed, self.progress)
        return TorchNetwork(trained, answers, record)


def check_unchanged(plan: Plan) -> None:
    """Raise ``UserError`` for a module in memory that is no longer what was planned: its key says another network."""
    roots = {root(node) for node in (*plan.references, *plan.yardsticks, *plan.variants.values())}
    for outside, known in ((node.outside, node.parts.get("memory")) for node in roots):
        held = None if outside is None else outside.held
        if held is None or held.kind != "module":
            continue
        now = held.parts()
        if now != known and now == held.parts():  # else it holds what cannot be looked into: no two looks are alike
            what = f"the module {held.title!r} changed after the plan was made"
            raise UserError.at("network", what, "plan anew: bench.run, bench.diff or another bench.Study")


def rebuildable(node: PlannedNetwork) -> bool:
    """Whether its record and weights suffice to make it again: not of one that began in memory, but for ONNX bytes."""
    held = None if (outside := root(node).outside) is None else outside.held
    return held is None or held.kind == "onnx"


def describes(record: Any, node: PlannedNetwork) -> bool:
    """Whether a stored record is of the network that a node stands for: all that decides what is imported and built.

    The node comes from the suite and is what the key was made of; the record comes from the store.
    """
    if not isinstance(record, dict):
        return False
    same = record.get("kind") == node.kind
    if node.step is not None:
        assert node.parent is not None
        told = {name: record.get(name) for name in ("step", "version", "parameters")}
        same = same and record.keys() == {*told, "record", "kind", "of"}
        return same and alike(told, node.step.canonical()) and describes(record["of"], node.parent)
    if node.model is not None:
        answers = node.answers(InputSpec.from_canonical(node.parts["input"]))
        return same and alike(record, source_record(node.model, answers, node.method))
    assert node.outside is not None
    source, factory = ("onnx", None) if node.kind.startswith("onnx") else ("factory", node.outside.factory)
    source = source if rebuildable(node) else "memory"
    return same and record.get("source") == source and record.get("factory") == factory


def alike(first: Any, second: Any) -> bool:
    """Whether two values are one JSON; what is none is like nothing."""
    try:
        return canonical_json(first) == canonical_json(second)
    except (ValueError, TypeError):
        return False


def _title(node: PlannedNetwork) -> str:
    """The network that is being made, in words."""
    if node.weights is not None:
        return f"loading {node.weights.name}"
    if node.step is not None:
        return f"step {node.step.name}"
    if node.model is not None:
        by = "" if node.method is None else f" by {node.method.name}"
        return f"training {node.model.name}{by} (seed {node.seed % 10_000:04d})"
    assert node.outside is not None
    return legible(f"loading {node.outside.onnx or node.outside.title}")


def one_line(error: Exception) -> str:
    """An exception in one line of at most 500 characters."""
    text = " ".join(str(error).split())
    expected = isinstance(error, UserError | NotApplicable)
    return legible(text if expected else f"{type(error).__name__}: {text}")[:500]
