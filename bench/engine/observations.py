"""Observations of a plan, once per network and metric, through the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Dataset, Samples
from bench.engine.networks import Networks, one_line
from bench.engine.reading import reading
from bench.errors import NotApplicable, NotDifferentiable
from bench.interrupts import contained
from bench.metrics.base import Observing
from bench.metrics.evaluation import PARITY_SAMPLES
from bench.runtimes.base import Predictor, Target, runtimes
from bench.store.store import Store
from bench.suite.nodes import Node
from bench.suite.plan import Observation


@dataclass(frozen=True, eq=False)
class Observed:
    """Arrays that a network showed, or why it did not."""

    arrays: dict[str, NDArray[Any]]
    seconds: float
    status: str = "ok"  # ok | skipped
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    parity: dict[str, Any] | None = None  # of the differentiable view, where it is not the running thing itself


class Observations:
    """Observations from memory, from the store, else measured and committed; errors are never stored."""

    def __init__(
        self, store: Store, dataset: Dataset, networks: Networks, device: str, progress: Callable[[str], None]
    ) -> None:
        self.store = store
        self.dataset = dataset
        self.networks = networks
        self.device = device
        self.progress = progress
        self.remeasure = False
        self._seen: dict[str, Observed] = {}
        self._anchors: dict[tuple[str, str], NDArray[np.int64]] = {}
        self._sums: dict[tuple[str, str], dict[str, Any]] = {}

    def samples(self, observation: Observation) -> Samples:
        """The first n of the evaluation order."""
        count = observation.metric.samples
        return self.dataset.evaluation if count is None else self.dataset.evaluation.take(slice(0, count))

    def get(self, observation: Observation) -> Observed:
        """The observation; what a metric or runtime cannot do is ``skipped`` with its reason, faults raise."""
        key = observation.key
        if key not in self._seen:
            stored = None if self.remeasure else self._load(key)
            self._seen[key] = stored or self._measure(observation)
        return self._seen[key]

    def known(self, key: str) -> Observed | None:
        """The observation of that key from memory or the store, else None: nothing is measured."""
        found = self._seen.get(key) or self._load(key)
        if found is not None:
            self._seen[key] = found
        return found

    def missing(self, observation: Observation) -> bool:
        """Whether it would have to be made."""
        key = observation.key
        return key not in self._seen and (self.remeasure or self.known(key) is None)

    def refused(self, observation: Observation) -> bool:
        """Whether the network gives no gradients that its metric could use, asked before anything is measured.

        A network that cannot be made or opened is not refused: its observation says what is wrong with it.
        """
        import torch

        from bench.graph.arithmetic import arithmetic

        metric, target = observation.metric, observation.target
        if not metric.gradients or not runtimes.get(target.runtime).gradients:
            return False
        samples = self.samples(observation).x[:PARITY_SAMPLES]
        try:
            with contained(), arithmetic(target.threads):
                self.open(observation.node, target, floor=observation.floor).trust(torch.from_numpy(samples))
        except NotDifferentiable:
            return True
        except Exception:
            return False
        return False

    def _load(self, key: str) -> Observed | None:
        record = self.store.get("observations", key)
        arrays = None if record is None else self.store.arrays("observations", key)
        if record is None or arrays is None:
            return None
        try:
            return Observed(arrays, **record.content)
        except TypeError:
            self.store.reject("observations", key, "it holds no observation")
            return None

    def _measure(self, observation: Observation) -> Observed:
        """Show the samples to the network, in the target's arithmetic, and commit what it shows."""
        from bench.graph.arithmetic import arithmetic

        metric = observation.metric
        self.networks.get(observation.node)
        samples = self.samples(observation)
        self.progress(f"{metric.name} on {observation.target.name}")
        started = time.perf_counter()
        try:
            if metric.labelled and samples.y is None:
                raise NotApplicable("needs labels; the data has none")
            with arithmetic(observation.target.threads):
                arrays, predictor = self._arrays(observation, samples)
                sums = self._integer_sums(observation, predictor)
            _check_finite(arrays)
            details = {**metric.details(arrays), **sums, **reading(predictor)}
            observed = Observed(arrays, time.perf_counter() - started, details=details, parity=predictor.parity)
        except NotApplicable as error:
            observed = Observed({}, time.perf_counter() - started, "skipped", one_line(error))
        content = {name: getattr(observed, name) for name in ("seconds", "status", "reason", "details", "parity")}
        self.store.put("observations", observation.parts, content, arrays=observed.arrays)
        return observed

    def _arrays(self, observation: Observation, samples: Samples) -> tuple[dict[str, NDArray[Any]], Predictor]:
        """What one network, or a pair, shows, and the predictor that it was shown by."""
        metric, target = observation.metric, observation.target
        predictor = self._trusted(observation.node, target, samples, floor=observation.floor)
        anchor = self._anchor(observation, samples)
        observing = Observing(observation.seed, observation.draw, anchor, observation.floor)
        if observation.against is None:
            return metric.observe(predictor, samples, observing), predictor
        against = self._trusted(observation.against, target, samples)
        return metric.measure(against, predictor, samples, observing), predictor

    def _trusted(self, node: Node, target: Target, samples: Samples, *, floor: bool = False) -> Predictor:
        """A predictor; one that is simulated is compared with the runtime first, on real samples."""
        import torch

        predictor = self.open(node, target, floor=floor)
        if predictor.spec.simulated:
            predictor.trust(torch.from_numpy(samples.x[:PARITY_SAMPLES]))
        return predictor

    def _integer_sums(self, observation: Observation, predictor: Predictor) -> dict[str, Any]:
        """How a network with 8-bit products on ONNX Runtime sums them, found once a network and target."""
        import torch

        from bench.runtimes.onnx_runtime import OnnxPredictor
        from bench.runtimes.saturation import sums_of

        if not isinstance(predictor, OnnxPredictor) or not predictor.network.quantised:
            return {}
        place = (observation.node.key, observation.target.name)
        if place not in self._sums:
            self._sums[place] = sums_of(predictor, torch.from_numpy(self.dataset.evaluation.x))
        return {"integer_sums": self._sums[place]}

    def open(self, node: Node, target: Target, *, floor: bool = False) -> Predictor:
        """A predictor for a node."""
        from bench.runtimes.opening import open_predictor

        return open_predictor(self.networks.get(node), target, self.device, floor=floor)

    def _anchor(self, observation: Observation, samples: Samples) -> NDArray[np.int64] | None:
        """The reference's classes on the same target."""
        if observation.anchor is None:
            return None
        import torch

        place = (observation.anchor.key, observation.target.name)
        if place not in self._anchors:
            predictor = self.open(observation.anchor, observation.target)
            logits = predictor.logits(torch.from_numpy(self.dataset.evaluation.x))
            mean = logits.double().softmax(dim=-1).mean(dim=0)
            self._anchors[place] = mean.argmax(dim=-1).numpy()
        return self._anchors[place][: len(samples)]


def _check_finite(arrays: Mapping[str, NDArray[Any]]) -> None:
    """NaN in what a network shows is a fault with a place, never a number."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int(np.count_nonzero(~np.isfinite(array)))
            raise ArithmeticError(f"{count} of {array.size} values in {name!r} are NaN or infinite")
