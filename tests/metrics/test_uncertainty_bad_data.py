"""Data on which figures of uncertainty have no meaning, or hardly any: null with a reason, and never a NaN."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

import bench
from bench.metrics.base import metrics

OTHER_SAMPLES = ("uncertainty.ood", "uncertainty.conformal", "uncertainty.threshold")  # theirs: test_other_samples.py
IMAGES = ("uncertainty.under_shift",)  # corruptions are of images
METRICS = [
    name for name in metrics.names() if name.startswith("uncertainty.") and name not in (*OTHER_SAMPLES, *IMAGES)
]


def module(scale: float) -> torch.nn.Module:
    made = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3, bias=False))
    weight = torch.tensor([[1.0, -1, 0, 0.5], [0, 1, -1, 0.25], [-1, 0, 1, 0]])
    with torch.no_grad():
        made[1].weight.copy_(scale * weight)
    return made.eval()


def numbers(value):
    """All numbers of a JSON tree."""
    if isinstance(value, dict):
        return [one for item in value.values() for one in numbers(item)]
    if isinstance(value, list):
        return [one for item in value for one in numbers(item)]
    return [value] if isinstance(value, float) else []


CASES = {
    "one class": lambda x: np.zeros(len(x), dtype=np.int64),
    "a class that never answers": lambda x: np.full(len(x), 2),
    "half and half": lambda x: np.arange(len(x)) % 2,
    "no labels": lambda x: None,
}


@pytest.mark.parametrize("n", [1, 2, 7, 60])
@pytest.mark.parametrize("labels", CASES)
@pytest.mark.parametrize("scale", [1.0, 1e4])  # the second: probabilities of exactly 0 and 1
def test_every_value_is_finite_or_says_why_it_is_not(n, labels, scale) -> None:
    x = np.random.default_rng(0).random((n, 4), dtype=np.float32)
    found = bench.diff(module(scale), module(2 * scale), x, CASES[labels](x), metrics=METRICS)
    assert {cell.metric for cell in found.cells} == set(METRICS)
    for cell in found.cells:
        assert cell.status == ("skipped" if labels == "no labels" and metrics.get(cell.metric).labelled else "ok")
        told = json.loads(cell.model_dump_json())
        assert all(map(math.isfinite, numbers(told["values"]) + numbers(told["details"])))
        for name, value in cell.values.items():
            figures = (value.variant, value.reference) if value.kind == "quality" else (value.estimate,)
            assert None not in figures or value.reason, (cell.metric, name)


def test_values_without_labels_are_measured_without_them() -> None:
    x = np.random.default_rng(0).random((60, 4), dtype=np.float32)
    found = bench.diff(module(1.0), module(2.0), x, metrics=METRICS)
    there = {name for cell in found.cells for name, value in cell.values.items() if value.variant is not None}
    assert there == {"tie_share", "predictive_entropy", "expected_entropy", "mutual_information"}
    assert found["uncertainty.calibration"]["confidence_change"].estimate > 0
