"""The arrays of a cell that gates judge sample by sample, and whether the store still has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.engine.observed import covers
from bench.families import is_family_harm
from bench.metrics.values import Cost, Value
from bench.store.store import Store
from bench.suite.plan import PlannedCell, PlannedObservation, own_sources, sources_of_reference

TIMING = "latency_median"


def judged_values(planned: PlannedCell) -> list[Value]:
    """The values of a cell that gates, baselines and histories of latencies judge sample by sample."""
    gated = {gate.value for gate in planned.use.gates}
    return [
        value
        for value in planned.use.metric.values
        if value.name in gated or (isinstance(value, Cost) and value.timing and value.name == TIMING)
    ]


def kept_values(planned: PlannedCell) -> list[Value]:
    """The values whose per-sample arrays a run keeps: what is judged, and what two variants or runs are compared by."""
    judged, metric = judged_values(planned), planned.use.metric
    return [
        value
        for value in metric.values
        if value in judged or value.name == metric.headline or is_family_harm(metric.family, metric.name, value.name)
    ]


def observations_behind(planned: PlannedCell, values: Iterable[Value]) -> list[PlannedObservation]:
    """The observations of reference and variant that these values are made of."""
    metric, values = planned.use.metric, list(values)
    roles = ((planned.observed, own_sources), (planned.reference, sources_of_reference))
    behind = []
    for role, sources in roles:
        wanted = frozenset().union(*(sources(metric, value) for value in values))
        behind += [item for draw in role for item in draw if wanted.intersection(item.probe.arrays)]
    return behind


def judged_observations(planned: PlannedCell) -> Sequence[PlannedObservation]:
    """The observations whose per-sample arrays are to be judged; none where no value is."""
    return observations_behind(planned, judged_values(planned))


def is_stored(store: Store, planned: PlannedObservation) -> bool:
    """Whether an observation is in the store as it was committed, on as many samples as are needed."""
    record = store.get("observations", planned.key)
    if record is None or not covers(record.content["status"], record.content["rows"], planned.count):
        return False
    return store.holds("observations", planned.key)


def arrays_lost(store: Store, planned: PlannedCell) -> bool:
    """Whether per-sample arrays that are to be judged are no longer in the store as they were committed."""
    return not all(is_stored(store, item) for item in judged_observations(planned))
