"""Constants at a scale of real networks: float, fake-quantised, and integer sessions of ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.engine.arrays import NetworkArrays
from bench.engine.evidence import Evidence
from bench.engine.in_memory import answers
from bench.engine.single_figures import bound_result
from bench.errors import NotApplicable
from bench.metrics.lipschitz.bounds import GlobalLipschitz
from bench.metrics.lipschitz.scale import ScaleLipschitz
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from bench.runtimes.saturation import layers_that_can_saturate

METRIC = ScaleLipschitz(iterations=5, steps=20)
STEP = 1 / 255
EDGE = Target(name="edge", runtime="onnxruntime", integer_sums="exact")
OLD = replace(EDGE, integer_sums="saturating")


def asked(predictor, samples, metric=METRIC) -> NetworkArrays:
    return answers(metric, predictor, samples.take(slice(0, 16)))


@pytest.fixture(scope="module")
def shown(predictors, samples) -> dict[str, NetworkArrays]:
    return {name: asked(predictors[name], samples) for name in ("reference", "onnx", "ptq4", "onnx4", "onnx8")}


def test_of_float_networks_it_is_never_above_the_global_constant(shown, predictors, samples) -> None:
    everywhere = asked(predictors["reference"], samples, GlobalLipschitz(iterations=5, steps=20))
    own = shown["reference"]
    assert own["certified"] == pytest.approx(everywhere["certified"], rel=1e-6)
    assert 0.3 * everywhere["lower"] < own["lower"] <= own["certified"]
    assert own["certified"] == pytest.approx(shown["onnx"]["certified"], rel=1e-3)
    assert own.notes["rounding_error"] == 0
    assert own.notes["rounds"] is False


@pytest.mark.parametrize("name", ["ptq4", "onnx4", "onnx8"])
def test_no_pair_of_what_really_runs_exceeds_it(shown, predictors, samples, name) -> None:
    own, predictor = shown[name], predictors[name]
    assert own.notes["rounds"] is True
    assert own.notes["answers"] == "answers of the network as it runs"
    assert len(own.notes["quantisers"]) == (5 if name == "onnx8" else 4)
    random = np.random.default_rng(0)
    x = np.repeat(samples.x, 10, axis=0)
    direction = random.normal(size=x.shape)
    direction /= np.linalg.norm(direction.reshape(len(x), -1), axis=1)[:, None, None, None]
    far = STEP * (1.001 + 3 * random.uniform(size=(len(x), 1, 1, 1)) ** 3)
    y = (x + far * direction).astype(np.float32)
    f, g = (predictor.logits(torch.from_numpy(each))[0].double().numpy() for each in (x, y))
    distance = np.linalg.norm((x.astype(np.float64) - y).reshape(len(x), -1), axis=1)
    quotients = (np.linalg.norm(f - g, axis=1) / distance)[distance >= STEP]
    assert quotients.max() <= own["certified"]
    assert own["lower"] > 0.5 * quotients.max()


def test_fewer_bits_have_more_and_the_ratio_to_a_float_network_is_an_interval(shown) -> None:
    first, second = shown["reference"], shown["onnx8"]
    result = bound_result(METRIC.values[0], Evidence([first], [second], [], None, 16))
    low, high = result.bound.ratio
    assert low == pytest.approx(second["lower"] / first["certified"])
    assert high == pytest.approx(second["certified"] / first["lower"])
    assert result.bound.domain == "pairs at least a step apart"
    assert low > 1  # at one step a network of 8 bits surely changes faster than a float one ever does
    for end in ("lower", "certified"):
        assert first[end] < second[end] < shown["onnx4"][end]
    assert shown["onnx4"].notes["rounding_error"] == pytest.approx(shown["ptq4"].notes["rounding_error"], rel=1e-3)


def test_at_larger_steps_rounding_counts_less(predictors, samples) -> None:
    found = [asked(predictors["onnx8"], samples, replace(METRIC, step=step)) for step in (1 / 255, 1 / 16, 1.0)]
    certified = [float(arrays["certified"]) for arrays in found]
    assert certified == sorted(certified, reverse=True)
    assert certified[-1] < 1.2 * found[-1].notes["constant"]
    assert METRIC.details(found[0]) == {"lower": float(found[0]["lower"])}


def test_where_8_bit_sums_saturate_it_is_refused_by_the_layer(networks, samples) -> None:
    able = layers_that_can_saturate(networks["onnx8"], OLD)
    assert able
    with pytest.raises(NotApplicable, match="its sums of 8-bit products can saturate here, and bounds are of exact"):
        asked(open_predictor(networks["onnx8"], OLD), samples)


def test_where_no_8_bit_sum_can_saturate_both_kinds_of_processors_have_one_bound(networks, digits, samples) -> None:
    context = StepContext(digits.train, digits.calibration, None, 0)
    narrow = run_step(steps.get("ort-static-quant")(reduce_range=True), networks["onnx"], context)
    assert layers_that_can_saturate(narrow, OLD) == []
    exact, saturating = (asked(open_predictor(narrow, target), samples) for target in (EDGE, OLD))
    assert saturating["certified"] == pytest.approx(exact["certified"], rel=1e-9)
    assert saturating["lower"] == pytest.approx(exact["lower"], rel=1e-6)


def test_a_network_whose_ranges_are_those_of_each_sample_is_refused(networks, digits, samples) -> None:
    context = StepContext(digits.train, digits.calibration, None, 0)
    dynamic = run_step(steps.get("ort-dynamic-quant")(), networks["onnx"], context)
    with pytest.raises(NotApplicable, match="a range that is taken of each sample, as in dynamic quantisation"):
        asked(open_predictor(dynamic, EDGE), samples)
