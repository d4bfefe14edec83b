"""Samples in pictures: those whose maps were preserved worst, and inputs that part both networks."""

from __future__ import annotations

import base64
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.engine.evidence import Evidence, distances_of
from bench.functional.map_pictures import before_and_after, png, side_by_side
from bench.metrics.base import Metric
from bench.metrics.values import Change, names
from bench.networks.network import InputSpec
from bench.results import Example

SHOWN: Final = 2  # samples a cell
IMAGE_AXES: Final = 4


def examples_of(metric: Metric, evidence: Evidence, samples: Samples, declared: InputSpec) -> list[Example]:
    """The pictures of a cell; none of what is no image."""
    if samples.x.ndim != IMAGE_AXES:
        return []
    return [
        *worst_preserved(metric, evidence, samples, declared.bounds),
        *pictured_inputs(metric, evidence, samples, declared),
    ]


def worst_preserved(metric: Metric, evidence: Evidence, samples: Samples, bounds: tuple[float, float]) -> list[Example]:
    """The samples whose maps moved furthest by the metric's first change; none of what is no map of an image."""
    value = next((value for value in metric.values if isinstance(value, Change)), None)
    if not metric.pictured or value is None or samples.x.ndim != IMAGE_AXES:
        return []
    reference, variant = evidence.reference[0], evidence.variant[0]
    first, second = reference[metric.pictured], variant[metric.pictured]
    if first.ndim != IMAGE_AXES or first.shape[2:] != samples.x.shape[2:]:
        return []
    distances = distances_of(value, reference, variant)
    made = []
    for row in _largest(distances):
        pixels = side_by_side(samples.x[row], bounds, first[row], second[row])
        made.append(
            Example(sample=samples.ids[row], value=value.name, distance=float(distances[row]), picture=_base64(pixels))
        )
    return made


def pictured_inputs(metric: Metric, evidence: Evidence, samples: Samples, declared: InputSpec) -> list[Example]:
    """The images that a metric names, the samples themselves or what was found of them, with both networks' classes."""
    shown, variant = metric.pictured_inputs, evidence.variant[0]
    if shown is None or shown.order not in variant or samples.x.ndim != IMAGE_AXES:
        return []
    order = np.asarray(variant[shown.order], dtype=np.float64)
    value = next((value.name for value in metric.values if shown.order in names(value.of)), shown.order)
    made = []
    for row in _largest(order):
        found = variant[shown.inputs][row] if shown.inputs else None
        pixels = before_and_after(samples.x[row], declared.bounds, found)
        first, second = (declared.classes[label] for label in variant[shown.classes][row])
        made.append(
            Example(
                sample=samples.ids[row], value=value, distance=float(order[row]), picture=_base64(pixels),
                classes=(first, second),
            )
        )  # fmt: skip
    return made


def _largest(figures: NDArray[np.float64]) -> list[int]:
    """The rows of the largest figures above 0, the first of equal ones first."""
    rows = np.argsort(-figures, kind="stable")[:SHOWN]
    largest: list[int] = rows[figures[rows] > 0].tolist()
    return largest


def _base64(pixels: NDArray[np.uint8]) -> str:
    return base64.b64encode(png(pixels)).decode()
