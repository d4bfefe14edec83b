"""What every registered metric must do; a metric with a required parameter adds one row."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

from bench.data.base import Samples
from bench.errors import NotApplicable, NotDifferentiable
from bench.families import FAMILIES
from bench.metrics.base import Change, Metric, Observing, Quality, metrics
from bench.runtimes.base import Predictor

ROWS: dict[str, dict[str, object]] = {"adversarial.pgd": {"epsilon": 0.1, "steps": 4, "restarts": 2}}
CHEAPER: dict[str, dict[str, object]] = {"attribution.ig": {"steps": 5}, "cost": {"warmup": 1, "rounds": 5}}
TORCH = ["reference", "ptq4"]


def make(name: str) -> Metric:
    return metrics.get(name)(**ROWS.get(name, {}), **CHEAPER.get(name, {}))


@pytest.fixture(params=metrics.names())
def metric(request) -> Metric:
    return make(request.param)


@pytest.fixture(params=[name for name in metrics.names() if not metrics.get(name).timing])
def measured(request) -> Metric:
    """A metric that shows something of samples; a clock gives no two equal readings."""
    return make(request.param)


def subset(samples: Samples, observing: Observing, index: np.ndarray) -> tuple[Samples, Observing]:
    return samples.take(index), replace(observing, anchor=observing.anchor[index])


def per_sample(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those arrays whose first axis is the samples'."""
    return {name: array for name, array in arrays.items() if array.ndim and not name.startswith("_")}


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        if a[name].dtype.kind == "f":
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=2e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_it_is_declared_soundly(metric: Metric) -> None:
    names = [value.name for value in metric.values]
    assert len(set(names)) == len(names)
    assert metric.family in FAMILIES
    assert metric.name.split(".")[0] == metric.family
    json.dumps([metric.parameters(), metric.protocol()], allow_nan=False)
    changes = [value.name for value in metric.values if isinstance(value, Change)]
    assert metric.headline is None or metric.headline in changes
    for value in metric.values:
        if isinstance(value, Quality):
            assert value.interval != "score" or value.per_sample is not None
            assert (value.interval == "none") == bool(value.why_no_interval)


@pytest.mark.parametrize("network", TORCH)
def test_two_observations_under_one_seed_are_equal(measured, predictors, samples, observing, network) -> None:
    first = measured.observe(predictors[network], samples, observing)
    second = measured.observe(predictors[network], samples, observing)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("network", ["reference", "ptq4", "saturated", "constant"])
def test_a_network_has_not_changed_from_itself(measured, predictors, samples, observing, network) -> None:
    if measured.gradients and network == "constant":
        with pytest.raises(NotDifferentiable, match=r"its gradients are zero on 100\.0% of"):
            measured.observe(predictors[network], samples, observing)
        return
    shown = measured.observe(predictors[network], samples, observing)
    again = measured.observe(predictors[network], samples, observing)
    for value in measured.values:
        if isinstance(value, Change):
            distance = value.distance(shown, again)
            assert distance.shape == (len(samples),)
            assert distance.dtype == np.float64
            assert not distance.any()


def test_another_network_has_changed_and_distances_are_symmetric(measured, predictors, samples, observing) -> None:
    a = measured.observe(predictors["reference"], samples, observing)
    b = measured.observe(predictors["retrained"], samples, observing)
    for value in measured.values:
        if isinstance(value, Change):
            forth, back = value.distance(a, b), value.distance(b, a)
            np.testing.assert_array_equal(forth, back)
            assert forth.min() >= 0
            assert forth.max() > 0
            assert not value.count or set(np.unique(forth)) <= {0.0, 1.0}


@pytest.mark.parametrize("network", TORCH)
def test_a_sample_is_shown_alike_in_any_company(measured, predictors, samples, observing, network) -> None:
    index = np.random.default_rng(0).permutation(len(samples))[:37]
    whole = per_sample(measured.observe(predictors[network], samples, observing))
    part = per_sample(measured.observe(predictors[network], *subset(samples, observing, index)))
    assert_same({name: array[index] for name, array in whole.items()}, part)


@pytest.mark.parametrize("batch", [1, 6, 50])
def test_a_sample_is_shown_alike_in_any_batch(measured, predictors, samples, observing, batch, monkeypatch) -> None:
    # of float networks: another batch size may tip a quantised one over the edge of a rounding, so the size is fixed
    few = subset(samples, observing, np.arange(12))
    expected = measured.observe(predictors["reference"], *few)
    monkeypatch.setattr(predictors["reference"], "batch_size", batch)
    assert_same(per_sample(expected), per_sample(measured.observe(predictors["reference"], *few)))


def assert_finite(metric: Metric, predictor: Predictor, samples: Samples, observing: Observing, other: dict) -> None:
    shown = metric.observe(predictor, samples, observing)
    for name, array in shown.items():
        assert np.isfinite(array).all(), name
    json.dumps(metric.details(shown), allow_nan=False)
    weights = np.ones((2, len(samples)))
    for value in metric.values:
        if isinstance(value, Change):
            assert np.isfinite(value.distance(shown, other)).all(), value.name
        elif isinstance(value, Quality):
            assert np.isfinite(value.statistic(shown, weights)).all(), value.name
            assert value.per_sample is None or np.isfinite(value.per_sample(shown)).all()


@pytest.mark.parametrize("network", ["saturated", "constant", "equal"])
def test_degenerate_networks_give_finite_figures(metric, predictors, samples, observing, network) -> None:
    if metric.gradients and network != "saturated":
        with pytest.raises(NotDifferentiable, match=r"its gradients are zero on 100\.0% of"):
            metric.observe(predictors[network], samples, observing)
        return
    other = metric.observe(predictors["reference"], samples, observing)
    assert_finite(metric, predictors[network], samples, observing, other)


@pytest.mark.parametrize("pixel", [0.0, 0.5, 1.0])
def test_constant_images_give_finite_figures(metric, predictors, samples, observing, pixel) -> None:
    flat = Samples(samples.ids[:5], np.full_like(samples.x[:5], pixel), samples.y[:5])
    few = replace(observing, anchor=observing.anchor[:5])
    other = metric.observe(predictors["retrained"], flat, few)
    assert_finite(metric, predictors["reference"], flat, few, other)


def test_a_single_sample_is_enough(metric, predictors, samples, observing) -> None:
    one, seen = subset(samples, observing, np.arange(1))
    assert_finite(metric, predictors["reference"], one, seen, metric.observe(predictors["ptq4"], one, seen))


def test_statistics_take_weights_and_equal_weights_change_nothing(measured, predictors, samples, observing) -> None:
    n = len(samples)
    shown = measured.observe(predictors["reference"], samples, observing)
    random = np.random.default_rng(0)
    weights = random.multinomial(n, np.full(n, 1 / n), size=50).astype(np.float32)
    for value in measured.values:
        if not isinstance(value, Quality):
            continue
        draws = value.statistic(shown, weights)
        assert draws.shape == (50,)
        assert draws.dtype == np.float64
        assert draws.std() > 0
        plain = value.statistic(shown, np.ones((3, n)))
        np.testing.assert_allclose(plain, plain[0], rtol=1e-12)
        np.testing.assert_allclose(value.statistic(shown, np.ones((1, n), np.float32)), plain[:1], rtol=1e-5, atol=1e-9)
        if value.per_sample is not None:
            np.testing.assert_allclose(value.per_sample(shown).mean(), plain[0], rtol=1e-9)
            expected = (weights @ value.per_sample(shown)) / n
            np.testing.assert_allclose(draws, expected, rtol=1e-5)


def test_it_says_where_it_does_not_apply(metric, predictors, samples, observing) -> None:
    unlabelled = Samples(samples.ids, samples.x, None)
    if metric.labelled:
        with pytest.raises(NotApplicable, match="labels"):
            metric.observe(predictors["reference"], unlabelled, observing)
    else:
        metric.observe(predictors["reference"], unlabelled, observing)
    assert_finite(
        metric, predictors["onnx8"], samples, observing, metric.observe(predictors["onnx"], samples, observing)
    )
    if metric.gradients:  # where the imported graph is another function than the session, none is served
        stranger = copy.copy(predictors["onnx"])
        stranger.graph = predictors["onnx4"].graph
        with pytest.raises(NotApplicable, match="differs from ONNX Runtime's session"):
            metric.observe(stranger, samples, observing)


def test_it_leaves_global_random_state_alone(metric, predictors, samples, observing) -> None:
    import random

    import torch

    before = (torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())
    metric.observe(predictors["reference"], *subset(samples, observing, np.arange(5)))
    assert torch.equal(before[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()
