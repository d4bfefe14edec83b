"""Bounds of real networks on both runtimes, and the ratio that they leave."""

from __future__ import annotations

import numpy as np
import pytest

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.engine.arrays import NetworkArrays
from bench.engine.evidence import Evidence
from bench.engine.in_memory import answers
from bench.engine.single_figures import bound_result
from bench.errors import NotApplicable
from bench.metrics.lipschitz.bounds import GlobalLipschitz
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

METRIC = GlobalLipschitz(iterations=5, steps=10)


def asked(predictor, samples) -> NetworkArrays:
    return answers(METRIC, predictor, samples.take(slice(0, 8)))


def test_of_a_linear_network_both_sides_meet_at_its_norm(linear, rows) -> None:
    weight = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    shown = answers(METRIC, linear(weight, std=0.5, mean=0.1), rows(np.random.default_rng(1).random((4, 6))))
    exact = np.linalg.norm(weight.astype(np.float64) / 0.5, 2)
    assert shown["lower"] <= exact * (1 + 1e-7)
    assert exact * (1 - 1e-7) <= shown["certified"]
    assert shown["certified"] == pytest.approx(shown["lower"], rel=1e-6)
    assert METRIC.details(shown) == {"lower": float(shown["lower"])}


def test_both_runtimes_have_the_same_bounds(predictors, samples) -> None:
    torch, onnx = (asked(predictors[name], samples) for name in ("reference", "onnx"))
    for name in ("product", "certified", "lower"):
        assert onnx[name] == pytest.approx(torch[name], rel=1e-3), name
    assert 0 < torch["lower"] < torch["certified"] < torch["product"]
    notes = torch.notes
    assert notes["methods"]["product"] == torch["product"]
    assert len(notes["layers"]) >= 4


def test_fewer_bits_of_weights_alone_are_an_ordinary_network_and_the_ratio_is_an_interval(
    networks, predictors, samples, digits
) -> None:
    context = StepContext(digits.train, digits.calibration, None, 0)
    made = run_step(steps.get("ptq")(bits=4, weights_only=True), networks["reference"], context)
    first, second = asked(predictors["reference"], samples), asked(open_predictor(made, Target(name="torch")), samples)
    result = bound_result(METRIC.values[0], Evidence([first], [second], [], None, 8))
    low, high = result.bound.ratio
    assert low == pytest.approx(second["lower"] / first["certified"])
    assert high == pytest.approx(second["certified"] / first["lower"])
    assert low < 1 < high


@pytest.mark.parametrize("network", ["ptq4", "onnx8"])
def test_what_rounds_activations_has_no_constant(predictors, samples, network) -> None:
    with pytest.raises(NotApplicable, match="rounds, and a function that rounds has no finite Lipschitz constant"):
        asked(predictors[network], samples)
