"""The per-sample arrays of what is gated, for judgements above: read from memory or the store, never measured anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Dataset
from bench.engine.derive import sample_distances
from bench.engine.inline import InlineEngine, Measured
from bench.engine.judged import judged_values
from bench.engine.observations import Observed
from bench.engine.provenance import machine
from bench.metrics.base import Change, Pair, Quality, Value
from bench.store.keys import key_of
from bench.store.samples import CellSamples, RunSamples, ValueSamples
from bench.suite.plan import Plan, PlannedCell


class _Reads(Mapping[str, NDArray[Any]]):
    """Arrays that notice which of them are used: a statistic's inputs are what it reads."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.arrays = arrays
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[Any]:
        found = self.arrays[name]
        self.read.add(name)
        return found

    def __iter__(self) -> Iterator[str]:
        self.read.update(self.arrays)
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


def collect(
    plan: Plan, dataset: Dataset, engine: InlineEngine, measured: Sequence[tuple[PlannedCell, Measured]]
) -> RunSamples:
    """Arrays of every gated value and of latencies, of all cells that were measured in one replicate.

    A cell whose observations are no longer in the store, where nothing may be measured, is left out: what is judged on
    them says so.
    """
    cells = {}
    for planned, found in measured:
        cell = found.cell
        if cell.status != "ok" or cell.replicate is None:
            continue
        values = _values(engine, planned, cell.n)
        if values:
            network = plan.variants[planned.variant, planned.replicate].key
            identity = _identity(plan, dataset, planned, cell.n)
            cells[cell.id.path] = CellSamples(planned.key, network, identity, machine().fingerprint, values)
    labels = dataset.evaluation.y
    return RunSamples(cells, None if labels is None else np.asarray(labels, dtype=np.int64), dataset.input.classes)


def _identity(plan: Plan, dataset: Dataset, planned: PlannedCell, n: int) -> dict[str, Any]:
    """What must be equal for two figures to be comparable."""
    metric = planned.use.metric
    return {
        "data": dataset.evaluation.fingerprint,
        "reference": plan.references[planned.replicate].key,
        "yardsticks": key_of([node.key for node in plan.yardsticks]),
        "metric": metric.name,
        "version": metric.version,
        "parameters": metric.parameters(),
        "n": n,
        "integer_sums": _sums(planned),
    }


def _sums(planned: PlannedCell) -> str:
    """How the variant's 8-bit products were summed; empty where it has none."""
    found = planned.observed[0].parts.get("integer_sums", "")
    return found if isinstance(found, str) else f"unknown, on {', '.join(found['unknown'])}"


def _values(engine: InlineEngine, planned: PlannedCell, n: int) -> dict[str, ValueSamples]:
    """Each gated value that has per-sample arrays."""
    wanted = judged_values(planned)
    if not wanted:
        return {}
    variant = [engine.observations.known(item.key) for item in planned.observed]
    reference = [engine.observations.known(item.key) for item in planned.reference]
    shown = [item for item in variant if item is not None]
    own = [item for item in reference if item is not None]
    if len(shown) < len(variant) or len(own) < len(reference):
        return {}
    found = {value.name: _value(value, shown, own, n) for value in wanted}
    return {name: value for name, value in found.items() if value is not None}


def _value(value: Value, variant: Sequence[Observed], reference: Sequence[Observed], n: int) -> ValueSamples | None:
    """What one value is made of."""
    if isinstance(value, Change):
        power = 2 if value.coupling == "independent" else value.power
        distances = sample_distances(value, reference, variant)
        return ValueSamples("count" if value.count else "distance", {"x": distances}, power=power)
    if isinstance(value, Quality) and value.per_sample is not None:
        form: Any = "proportion" if value.interval == "score" else "mean"
        own, other = (np.asarray(value.per_sample(x[0].arrays), dtype=np.float64) for x in (variant, reference))
        return ValueSamples(form, {"x": own}, {"x": other}, better=value.better, log=value.log)
    if isinstance(value, Quality | Pair):
        log = isinstance(value, Quality) and value.log
        read, theirs = _inputs(value, variant[0], n), _inputs(value, reference[0], n)
        return ValueSamples("statistic", read, theirs, better=value.better, log=log)
    rounds = variant[0].arrays
    if "_latencies" not in rounds or "_reference_latencies" not in rounds:
        return None
    return ValueSamples("timing", {"x": rounds["_latencies"]}, {"x": rounds["_reference_latencies"]}, better="lower")


def _inputs(value: Quality | Pair, observed: Observed, n: int) -> dict[str, NDArray[Any]]:
    """The arrays that the value's statistic reads."""
    reads = _Reads(observed.arrays)
    value.statistic(reads, np.ones((1, n)))
    return {name: observed.arrays[name] for name in sorted(reads.read)}
