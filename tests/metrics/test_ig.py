from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.errors import UserError
from bench.metrics.attribution.ig import IntegratedGradients

COSINE, SPEARMAN = IntegratedGradients.values


@pytest.fixture
def weight() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)


@pytest.mark.parametrize("baseline", [None, 0.5])
def test_a_linear_network_is_attributed_exactly(linear, rows, observing, weight, baseline) -> None:
    x = np.random.default_rng(1).random((8, 6)).astype(np.float32)
    anchor = np.arange(8) % 3
    predictor = linear(weight, bounds=(-1.0, 2.0), mean=0.2, std=0.5)
    metric = IntegratedGradients(steps=3, baseline=baseline)
    shown = metric.observe(predictor, rows(x), replace(observing, anchor=anchor))
    centred = (weight - weight.mean(axis=0)) / 0.5
    expected = centred[anchor] * (x - (-1.0 if baseline is None else baseline))
    np.testing.assert_allclose(shown["attribution"][:, 0, 0], expected, rtol=1e-5, atol=1e-6)
    assert shown["completeness_error"].max() < 1e-6


def test_the_reference_names_the_class(linear, rows, observing, weight) -> None:
    x = rows(np.ones((3, 6)))
    maps = [
        IntegratedGradients(steps=2).observe(linear(weight), x, replace(observing, anchor=np.full(3, c)))["attribution"]
        for c in (0, 1)
    ]
    assert not np.allclose(maps[0], maps[1])


def test_distances_grow_with_the_change(predictors, samples, observing) -> None:
    metric = IntegratedGradients(steps=10)
    shown = {name: metric.observe(predictors[name], samples, observing) for name in ("reference", "ptq4", "retrained")}
    for value in (COSINE, SPEARMAN):
        small, large = (value.distance(shown["reference"], shown[name]).mean() for name in ("ptq4", "retrained"))
        assert 0 < small < large < 1


def test_it_tells_how_well_the_maps_add_up(predictors, samples, observing) -> None:
    medians = []
    for steps in (2, 50):
        metric = IntegratedGradients(steps=steps)
        details = metric.details(metric.observe(predictors["reference"], samples, observing))
        medians.append(details["completeness_error_quantiles"]["0.5"])
        assert details["gradient"] == "exact"
    assert medians[1] < 0.02 < medians[0]


def test_images_that_equal_the_baseline_have_zero_maps(predictors, samples, observing) -> None:
    black = replace(samples, x=np.zeros_like(samples.x))
    metric = IntegratedGradients(steps=2)
    shown = metric.observe(predictors["reference"], black, observing)
    assert metric.details(shown)["zero_maps"] == len(samples)
    assert not COSINE.distance(shown, shown).any()


def test_a_baseline_out_of_bounds_is_the_users_error(predictors, samples, observing) -> None:
    with pytest.raises(UserError, match="is out of bounds"):
        IntegratedGradients(baseline=-0.5).observe(predictors["reference"], samples, observing)
