"""The per-sample arrays of what is gated, for judgements above: read from memory or the store, never measured anew."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.base import EVALUATION, Dataset
from bench.engine.arrays import NetworkArrays
from bench.engine.evidence import rows_of, sample_distances
from bench.engine.inline import InlineEngine, Measured
from bench.engine.judged import judged_values, kept_values, observations_behind
from bench.engine.provenance import machine
from bench.errors import NotApplicable
from bench.metrics.base import Metric, reads
from bench.metrics.values import Change, Cost, Mean, Proportion, Statistic, Value, names
from bench.store.keys import key_of
from bench.store.samples import CellSamples, RunSamples, ValueSamples
from bench.suite.plan import Draw, Plan, PlannedCell


def collect(
    plan: Plan, dataset: Dataset, engine: InlineEngine, measured: Sequence[tuple[PlannedCell, Measured]]
) -> RunSamples:
    """Arrays of every gated value and of latencies, of all cells that were measured in one replicate.

    A cell whose observations are no longer in the store, where nothing may be measured, is left out: what is judged on
    them says so.
    """
    cells = {}
    for planned, measured_cell in measured:
        cell = measured_cell.cell
        if cell.status != "ok" or cell.replicate is None:
            continue
        values = engine.observations.with_whole(partial(_values, engine, planned))
        if values:
            network = plan.variants[planned.variant, planned.replicate].key
            identity = _identity(plan, dataset, planned, cell.n)
            cells[cell.id.path] = CellSamples(planned.key, network, identity, machine().fingerprint, values)
    labels = dataset.evaluation.y
    return RunSamples(cells, None if labels is None else np.asarray(labels, dtype=np.int64), dataset.input.classes)


def _identity(plan: Plan, dataset: Dataset, planned: PlannedCell, n: int) -> dict[str, Any]:
    """The identity that two comparable figures share."""
    metric = planned.use.metric
    return {
        "data": _data(metric, dataset),
        "reference": plan.references[planned.replicate].key,
        "yardsticks": key_of([node.key for node in plan.yardsticks]),
        "metric": metric.name,
        "version": metric.version,
        "parameters": metric.parameters(),
        "n": n,
        "integer_sums": _sums(planned),
    }


def _data(metric: Metric, dataset: Dataset) -> str:
    """The fingerprint of the evaluation samples, and of all others that the metric's probes are asked on."""
    others = sorted({probe.asked_on for probe in metric.probes} - {EVALUATION})
    own = dataset.evaluation.fingerprint
    return key_of([own, *(dataset.samples_named(name).fingerprint for name in others)]) if others else own


def _sums(planned: PlannedCell) -> str:
    """The kind of the variant's 8-bit sums; empty where it has none."""
    sums = planned.observed[0][0].parts.get("integer_sums", "")
    return sums if isinstance(sums, str) else f"unknown, on {', '.join(sums['unknown'])}"


def _values(engine: InlineEngine, planned: PlannedCell) -> dict[str, ValueSamples]:
    """Each value that is judged or compared; nothing where an observation of what is judged is no longer known."""
    judged = judged_values(planned)
    items = observations_behind(planned, judged)
    known = {item: engine.observations.known(item) for item in items}
    if None in known.values() and engine.rerun in ("missing", "always"):  # lost since the cell was measured
        known = {item: engine.observations.get(item) for item in items}
    if None in known.values():
        return {}
    wanted = kept_values(planned)
    compared = {item: engine.observations.known(item) for item in observations_behind(planned, wanted)}
    if None in compared.values():  # what two variants are compared by is no reason to measure anew
        wanted = judged
    known |= compared
    samples, values = engine.observations.samples(planned.count), {}

    def arrays(draw: Draw, reference: NetworkArrays | None = None) -> NetworkArrays:
        answers = [(item.probe, observed) for item in draw if (observed := known.get(item)) is not None]
        sets = engine.observations.dataset.sets
        return NetworkArrays(planned.use.metric, answers, samples, engine.memo, reference, sets)

    reference = [arrays(draw) for draw in planned.reference]
    variant = [arrays(draw, reference[0]) for draw in planned.observed]
    for value in wanted:
        with contextlib.suppress(NotApplicable):  # the cell says why there is no figure
            made = _value(value, variant, reference)
            if made is not None:
                values[value.name] = made
    return values


def _value(value: Value, variant: Sequence[NetworkArrays], reference: Sequence[NetworkArrays]) -> ValueSamples | None:
    """The arrays of one value."""
    own, other = reference[0], variant[0]
    if any(name not in other for name in reads(value)):
        return None
    if isinstance(value, Change):
        if value.summary == "worst class":
            return None
        kept: dict[str, NDArray[Any]] = {"x": sample_distances(value, reference, variant)}
        rows = rows_of(value, own)
        kept |= {} if rows is None else {"rows": rows}
        return ValueSamples("count" if value.count else "distance", kept, power=value.scale_power)
    if isinstance(value, Mean | Proportion):
        form: Any = "proportion" if isinstance(value, Proportion) else "mean"
        return ValueSamples(
            form, {"x": value.per_sample(other)}, {"x": value.per_sample(own)}, better=value.better, log=value.log
        )
    if isinstance(value, Statistic):
        read, theirs = ({name: arrays[name] for name in sorted(names(value.of))} for arrays in (other, own))
        return ValueSamples("statistic", read, theirs, better=value.better, log=value.log)
    if not isinstance(value, Cost) or not value.against:
        return None
    return ValueSamples("timing", {"x": other[value.of]}, {"x": other[value.against]}, better="lower")
