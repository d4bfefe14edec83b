"""A metric put to networks in memory: no suite, no store; what a metric of one's own is tried with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from bench.data.base import EVALUATION, Samples
from bench.engine.arrays import Memo, NetworkArrays, no_samples
from bench.engine.asking import ask_in_blocks
from bench.engine.observed import Observed
from bench.errors import NotApplicable
from bench.metrics.base import Metric, reads, sources
from bench.metrics.values import REFERENCE
from bench.probes.base import TRIAL, Background, Context, Observation, Probe
from bench.runtimes.base import Predictor


def answers(
    metric: Metric,
    predictor: Predictor,
    samples: Samples,
    reference: Predictor | None = None,
    *,
    seed: int = 0,
    draw: int = 0,
    floor: bool = False,
    sets: Mapping[str, Samples] = MappingProxyType({}),
) -> NetworkArrays:
    """A network's answers to a metric's probes, with what is derived of them.

    Args:
        metric: a metric with its parameters.
        predictor: the network on its target.
        samples: images or vectors, with labels where the metric needs them.
        reference: the reference on the same target; by default the network is its own.
        seed: of random probes.
        draw: which independent draw.
        floor: ask as for the numerical floor.
        sets: other samples that probes are asked on, by name: ``{"calibration": ...}``.

    Raises:
        NotApplicable: the network has no answer to any of the probes.
    """
    opposite = predictor if reference is None else reference
    observed = [
        (probe, answer(probe, predictor, asked, opposite, seed=seed, draw=draw, floor=floor))
        for probe in metric.probes
        for asked in [samples if probe.asked_on == EVALUATION else sets.get(probe.asked_on, samples.take(slice(0)))]
    ]
    wanted = frozenset().union(*(sources(metric, name) for value in metric.values for name in _known(metric, value)))
    own: NetworkArrays | None = None
    if reference is not None and any(name.startswith(REFERENCE) for name in wanted):
        own = answers(metric, reference, samples, seed=seed, sets=sets)
    arrays = NetworkArrays(metric, observed, samples, Memo(), own, sets)
    if arrays.refused:
        raise NotApplicable(arrays.refused)
    return arrays


def _known(metric: Metric, value: object) -> list[str]:
    """The names of a value's arrays that some probe or derived array gives."""
    known = []
    for name in reads(value):  # type: ignore[arg-type]
        try:
            sources(metric, name)
        except LookupError:
            continue
        known.append(name)
    return known


def answer(
    probe: Probe,
    predictor: Predictor,
    samples: Samples,
    reference: Predictor,
    *,
    seed: int = 0,
    draw: int = 0,
    floor: bool = False,
) -> Observed:
    """A network's answer to one probe; a refusal is ``skipped`` with its reason."""
    try:
        if not len(samples):
            raise NotApplicable(no_samples(probe.asked_on))
        needed = needed_by(probe, samples, reference, seed)
        opposite = reference if probe.pair else None
        trial = samples.x[:TRIAL]
        behind = Background(trial, "evaluation") if probe.needs_background else None
        context = Context(seed, draw, floor, len(samples), trial, needed, opposite, behind)
        given = ask_in_blocks(probe, predictor, samples, context)
    except NotApplicable as error:
        return Observed("", {}, 0.0, "skipped", str(error))
    if reason := probe.invalid(given):
        return Observed("", {}, 0.0, "skipped", reason, given.notes)
    digest = hashlib.sha256(repr(probe).encode())
    for name in sorted(given.arrays):
        digest.update(name.encode() + np.ascontiguousarray(given.arrays[name]).tobytes())
    return Observed(digest.hexdigest(), given.arrays, 0.0, notes=given.notes)


def needed_by(probe: Probe, samples: Samples, reference: Predictor, seed: int = 0) -> dict[str, Observation]:
    """The reference's answers that a probe needs; where it has none, that is the probe's reason too.

    Raises:
        NotApplicable: the reference has no answer.
    """
    needed = {}
    for item in probe.needed_for(labelled=samples.y is not None):
        found = answer(item, reference, samples, reference, seed=seed)
        if found.status == "skipped":
            raise NotApplicable(f"the reference's {item.name}: {found.reason}")
        needed[item.name] = Observation(found.arrays, found.notes)
    return needed
