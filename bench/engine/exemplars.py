"""Identified exemplars: samples whose modal label over many networks is another one after compression."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.engine.inline import InlineEngine
from bench.engine.over_networks import measured
from bench.functional.map_pictures import image_pixels, png
from bench.results import ClassHarm, ExemplarsResult, MeanAccuracies, ShownExemplar
from bench.stats.class_recall import recall_harms
from bench.stats.exemplars import IdentifiedExemplars, identified_exemplars
from bench.suite.plan import PlannedObservation
from bench.suite.populations import Population

STREAM = "exemplars"  # label of its random numbers


def exemplars_of(engine: InlineEngine, items: Sequence[Population]) -> list[ExemplarsResult]:
    """The exemplars of each population; of one that is too small the reason."""
    results = []
    for item in items:
        names = {"name": item.section.name, "variant": item.variant, "target": item.target.name}
        blank = ExemplarsResult.model_validate({**names, "networks": len(item.pairs)})
        if item.too_few:
            results.append(blank.model_copy(update={"status": "skipped", "reason": item.too_few}))
        else:
            results.append(measured(engine, item, blank, _derive))
    return results


def _derive(engine: InlineEngine, planned: Population, blank: ExemplarsResult) -> ExemplarsResult:
    """Every figure from the classes that the networks give; where one has none, that is the reason."""
    sides = []
    for role, items in (("reference", planned.reference), ("variant", planned.made)):
        classes, refused = _classes(engine, items)
        if refused:
            return blank.model_copy(update={"status": "skipped", "reason": f"{role}: {refused}"})
        sides.append(classes)
    samples, seed = engine.observations.samples(planned.count), engine.plan.suite.seed
    found = identified_exemplars(sides[0], sides[1], STREAM, seed)
    low, high, _ = found.interval
    assert low is not None
    assert high is not None
    figures: dict[str, Any] = {
        "n": len(samples),
        "exemplars": found.number,
        "share": found.number / len(samples),
        "ci": (low, high),
        "tied": found.tied,
        "by_retraining": found.by_retraining,
        "p_value": found.p_value,
        "ids": [samples.ids[row] for row in np.flatnonzero(found.found)],
        "shown": _shown(engine, found, samples, planned.section.shown),
        "reason": "" if samples.y is not None else "no accuracies and no recall: the data has no labels",
    }
    if samples.y is not None:
        right = [side == samples.y for side in sides]
        figures["on_exemplars"] = _accuracies(right, found.found)
        figures["on_the_rest"] = _accuracies(right, ~found.found)
        figures["classes"] = [
            ClassHarm(
                label=_name(engine, item.label), n=item.n, reference=item.reference, variant=item.variant,
                harm=item.harm, ci=None if item.interval.low is None else item.interval[:2], p_value=item.p_value,
                p_adjusted=item.p_adjusted,
            )
            for item in recall_harms(right[0], right[1], samples.y, STREAM, seed)
        ]  # fmt: skip
    return blank.model_copy(update=figures)


def _classes(engine: InlineEngine, items: Sequence[PlannedObservation]) -> tuple[NDArray[np.int64], str]:
    """The class that each network gives each sample, (networks, n), or why one gives none."""
    rows = []
    for item in items:
        observed = engine.observations.get(item)
        if observed.status == "skipped":
            return np.empty((0, 0), dtype=np.int64), observed.reason
        rows.append(observed.arrays["log_probabilities"].argmax(axis=1).astype(np.int64))
    return np.stack(rows), ""


def _accuracies(right: Sequence[NDArray[np.bool_]], rows: NDArray[np.bool_]) -> MeanAccuracies:
    if not rows.any():
        return MeanAccuracies(n=0)
    reference, variant = (float(side[:, rows].mean()) for side in right)
    return MeanAccuracies(n=int(rows.sum()), reference=reference, variant=variant)


def _name(engine: InlineEngine, label: int) -> str:
    """A class in the data's words."""
    classes = engine.observations.dataset.input.classes
    return classes[label] if 0 <= label < len(classes) else str(label)


def _shown(engine: InlineEngine, found: IdentifiedExemplars, samples: Samples, most: int) -> list[ShownExemplar]:
    """The exemplars on which the less agreed of the two sides is most agreed; equal ones in the samples' order."""
    agreed = np.minimum(found.reference.votes, found.variant.votes)
    rows = np.flatnonzero(found.found)
    rows = rows[np.argsort(-agreed[rows], kind="stable")][:most]
    bounds = engine.observations.dataset.input.bounds
    shown = []
    for row in rows.tolist():
        image = samples.x.ndim == 4
        picture = base64.b64encode(png(image_pixels(samples.x[row], bounds))).decode() if image else ""
        shown.append(
            ShownExemplar(
                sample=samples.ids[row], label=None if samples.y is None else _name(engine, int(samples.y[row])),
                reference=_name(engine, int(found.reference.label[row])),
                variant=_name(engine, int(found.variant.label[row])),
                reference_votes=int(found.reference.votes[row]), variant_votes=int(found.variant.votes[row]),
                picture=picture,
            )
        )  # fmt: skip
    return shown
