"""Observations of a plan, each asked once, through the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.data.base import EVALUATION, Dataset, Samples
from bench.engine.arrays import no_samples
from bench.engine.asking import ask_in_blocks
from bench.engine.networks import Networks, one_line
from bench.engine.observed import Observed
from bench.engine.reading import reading
from bench.engine.row_blocks import blocks
from bench.errors import NotApplicable, NotDifferentiable, TooManySamples
from bench.interrupts import contained
from bench.probes.base import TRIAL, Background, Context, Observation
from bench.runtimes.base import Predictor, Target, runtimes
from bench.store.spill import SMALL
from bench.store.store import Store
from bench.store.stored import DamagedArrays
from bench.suite.plan import PlannedObservation
from bench.suite.planned_networks import PlannedNetwork

T = TypeVar("T")
TRIES: Final = 3  # how often one observation may be found damaged


class Observations:
    """Observations from memory, from the store, else asked for and committed; errors are never stored."""

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
        self._samples: dict[int, Samples] = {}
        self._sums: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._forgotten: dict[str, int] = {}  # how often the store's arrays of an observation were found damaged
        self._absent: set[str] = set()  # what the store holds and must not be read: damaged, and not asked again yet
        self._wanted: dict[str, int] = {}  # the most samples that any cell of the plan asks for

    def expect(self, planned: Iterable[PlannedObservation]) -> None:
        """Note how many samples will be needed of each, so that it is asked once for all."""
        for item in planned:
            self._wanted[item.key] = max(item.count, self._wanted.get(item.key, 0))

    def samples(self, count: int) -> Samples:
        """The first of the evaluation order."""
        if count not in self._samples:
            evaluation = self.dataset.evaluation
            self._samples[count] = evaluation if count >= len(evaluation) else evaluation.take(slice(0, count))
        return self._samples[count]

    def get(self, planned: PlannedObservation) -> Observed:
        """The observation; what a probe or runtime cannot do is ``skipped`` with its reason, faults raise."""
        known = self._seen.get(planned.key)
        if known is None or not known.covers(planned.count):
            known = None if self.remeasure else self._load(planned.key)
        if known is None or not known.covers(planned.count):
            # what so many samples were refused for may be answered on fewer: then no more than these are asked
            known = self._ask(planned, exactly=known is not None and known.status == "skipped")
            if not known.covers(planned.count):
                known = self._ask(planned, exactly=True)
        self._seen[planned.key] = known
        return known.first(planned.count)

    def known(self, planned: PlannedObservation) -> Observed | None:
        """The observation from memory or the store, else None: nothing is asked."""
        observed = self._seen.get(planned.key)
        if observed is None or not observed.covers(planned.count):
            observed = self._load(planned.key)
        if observed is None or not observed.covers(planned.count):
            return None
        self._seen[planned.key] = observed
        return observed.first(planned.count)

    def intact(self, planned: PlannedObservation) -> bool:
        """Whether it is known and every array of it is what was committed; nothing is asked."""
        observed = self.known(planned)
        if observed is None:
            return False
        try:
            for name in observed.arrays:
                observed.arrays[name]
        except DamagedArrays as damaged:
            self.forget(damaged)
            return False
        return True

    def forget(self, damaged: DamagedArrays) -> None:
        """Count what the store gave as absent: it is asked again by whoever needs it.

        Raises:
            OSError: the store does not keep what is written into it.
        """
        key = damaged.key
        self._seen.pop(key, None)
        self._absent.add(key)
        self._forgotten[key] = self._forgotten.get(key, 0) + 1
        if self._forgotten[key] > TRIES:
            raise OSError(f"the store does not keep what is written into it: {damaged}")

    def with_whole(self, work: Callable[[], T]) -> T:
        """Do some work; where it comes upon damaged arrays, it is done again from the start, without them."""
        while True:
            try:
                return work()
            except DamagedArrays as damaged:
                self.forget(damaged)

    def missing(self, planned: PlannedObservation) -> bool:
        """Whether it would have to be asked."""
        observed = self._seen.get(planned.key)
        if observed is not None and observed.covers(planned.count):
            return False
        return self.remeasure or self.known(planned) is None

    def refused(self, planned: PlannedObservation) -> bool:
        """Whether the network gives no gradients that the probe could use, found before anything is asked.

        A network that cannot be made or opened is not refused: its observation says what is wrong with it.
        """
        import torch

        from bench.networks.arithmetic import arithmetic

        target = planned.target
        if not planned.probe.gradients or not runtimes.get(target.runtime).gradients:
            return False
        try:
            with contained(), arithmetic(target.threads):
                self.open(planned.network, target, floor=planned.floor).trust(torch.from_numpy(self._trial()))
        except NotDifferentiable:
            return True
        except Exception:
            return False
        return False

    def _trial(self, asked_on: str = EVALUATION) -> NDArray[np.float32]:
        return self.dataset.samples_named(asked_on).x[:TRIAL]

    def _load(self, key: str) -> Observed | None:
        if key in self._absent:
            return None
        record = self.store.get("observations", key)
        arrays = None if record is None else self.store.arrays("observations", key)
        if record is None or arrays is None:
            return None
        try:
            return Observed(key, arrays, **record.content)
        except TypeError:
            self.store.reject("observations", key, "it holds no observation")
            return None

    def _ask(self, planned: PlannedObservation, *, exactly: bool = False) -> Observed:
        """Put the probe to the network, in the target's arithmetic, and commit the answer."""
        from bench.networks.arithmetic import arithmetic

        probe, target = planned.probe, planned.target
        self.networks.get(planned.network)
        wanted = 0 if exactly else self._wanted.get(planned.key, 0)
        whole = self.dataset.samples_named(probe.asked_on)
        count = min(max(planned.count, wanted), len(whole))
        samples, trial = whole if count == len(whole) else self.samples(count), self._trial(probe.asked_on)
        self.progress(f"{probe.name} on {target.name}")
        started = time.perf_counter()
        status: Literal["ok", "skipped"] = "ok"
        answer, reason, alone = Observation({}), "", False
        try:
            if not count:
                raise NotApplicable(no_samples(probe.asked_on))
            needed = {item.probe.name: self._needed(item, count) for item in planned.needs}
            started = time.perf_counter()
            with arithmetic(target.threads):
                predictor = self._trusted(planned.network, target, trial, floor=planned.floor)
                opposite = None if planned.opposite is None else self._trusted(planned.opposite, target, trial)
                behind = Background.of(self.dataset.calibration.x, self._trial()) if probe.needs_background else None
                context = Context(planned.seed, planned.draw, planned.floor, count, trial, needed, opposite, behind)
                answer = ask_in_blocks(probe, predictor, samples, context)
                reason = probe.invalid(answer) or ""
                sums = self._integer_sums(planned, predictor)
            notes = {**answer.notes, **sums, **reading(predictor)}
            if predictor.parity is not None:
                notes["parity"] = predictor.parity
            _check_finite(answer.arrays)
            if reason:
                answer, status = Observation({}, notes), "skipped"
            else:
                answer = Observation(answer.arrays, notes)
        except NotApplicable as error:
            answer, status, reason = Observation({}), "skipped", one_line(error)
            alone = isinstance(error, TooManySamples)
        content: dict[str, Any] = {
            "seconds": time.perf_counter() - started,
            "status": status,
            "reason": reason,
            "notes": answer.notes,
            "rows": count if probe.reads == "rows" and (status == "ok" or alone) else None,
        }
        self.store.put("observations", planned.parts, content, arrays=answer.arrays)
        self._absent.discard(planned.key)
        if any(array.nbytes > SMALL for array in answer.arrays.values()):  # keep what is mapped, and no copy
            stored = self._load(planned.key)
            if stored is not None:
                return stored
        return Observed(planned.key, answer.arrays, **content)

    def _needed(self, planned: PlannedObservation, count: int) -> Observation:
        """The reference's answer that another probe needs; where it has none, that is the other's reason too."""
        self._wanted[planned.key] = max(count, self._wanted.get(planned.key, 0))
        observed = self.get(planned)
        if observed.status == "skipped":
            raise NotApplicable(f"the reference's {planned.probe.name}: {observed.reason}")
        return Observation(self._seen[planned.key].first(count).arrays, observed.notes)

    def _trusted(
        self, node: PlannedNetwork, target: Target, trial: NDArray[np.float32], *, floor: bool = False
    ) -> Predictor:
        """A predictor; one that is simulated is compared with the runtime first, on real samples."""
        import torch

        predictor = self.open(node, target, floor=floor)
        if predictor.spec.simulated:
            predictor.trust(torch.from_numpy(trial))
        return predictor

    def _integer_sums(self, planned: PlannedObservation, predictor: Predictor) -> dict[str, Any]:
        """The kind of a network's 8-bit sums on ONNX Runtime, found once a network and target."""
        import torch

        from bench.runtimes.onnx_predictor import OnnxPredictor
        from bench.runtimes.saturation import sums_of

        if not isinstance(predictor, OnnxPredictor) or not predictor.network.quantised:
            return {}
        asked_on = planned.probe.asked_on
        key = (planned.network.key, planned.target.name, asked_on)
        if key not in self._sums:
            self._sums[key] = sums_of(predictor, torch.from_numpy(self.dataset.sets[asked_on].x))
        return {"integer_sums": self._sums[key]}

    def open(self, node: PlannedNetwork, target: Target, *, floor: bool = False) -> Predictor:
        """A predictor for a node."""
        from bench.runtimes.opening import open_predictor

        return open_predictor(self.networks.get(node), target, self.device, floor=floor)


def _check_finite(arrays: Mapping[str, NDArray[Any]]) -> None:
    """NaN in what a network answers is a fault with a name, never a number."""
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            continue
        parts = [array] if array.ndim == 0 else (array[rows] for rows in blocks(array))
        if count := sum(int(np.count_nonzero(~np.isfinite(part))) for part in parts):
            raise ArithmeticError(f"{count} of {array.size} values in {name!r} are NaN or infinite")
