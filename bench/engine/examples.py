"""The samples on which a network's maps were preserved worst, as pictures."""

from __future__ import annotations

import base64
from typing import Final

import numpy as np

from bench.data.base import Samples
from bench.engine.evidence import Evidence, distances_of
from bench.functional.map_pictures import png, side_by_side
from bench.metrics.base import Metric
from bench.metrics.values import Change
from bench.results import Example

SHOWN: Final = 2  # samples a cell


def worst_preserved(metric: Metric, evidence: Evidence, samples: Samples, bounds: tuple[float, float]) -> list[Example]:
    """The samples whose maps moved furthest by the metric's first change; none of what is no map of an image."""
    value = next((value for value in metric.values if isinstance(value, Change)), None)
    if not metric.pictured or value is None or samples.x.ndim != 4:
        return []
    reference, variant = evidence.reference[0], evidence.variant[0]
    first, second = reference[metric.pictured], variant[metric.pictured]
    if first.ndim != 4 or first.shape[2:] != samples.x.shape[2:]:
        return []
    distances = distances_of(value, reference, variant)
    worst = np.argsort(-distances, kind="stable")[:SHOWN]
    made = []
    for row in worst[distances[worst] > 0].tolist():
        pixels = side_by_side(samples.x[row], bounds, first[row], second[row])
        picture = base64.b64encode(png(pixels)).decode()
        made.append(Example(sample=samples.ids[row], value=value.name, distance=float(distances[row]), picture=picture))
    return made
