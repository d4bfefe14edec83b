"""Constants in balls around samples, of real networks on both runtimes."""

from __future__ import annotations

import numpy as np
import pytest

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.engine.evidence import Evidence
from bench.engine.in_memory import answers
from bench.engine.single_figures import bound_result
from bench.errors import NotApplicable
from bench.metrics.lipschitz.ball import BallLipschitz, largest_bounds, median_bounds
from bench.metrics.lipschitz.bounds import GlobalLipschitz
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

METRIC = BallLipschitz(radius=0.05, centres=3, iterations=5, steps=5)


def asked(predictor, samples, metric=METRIC):
    return answers(metric, predictor, samples.take(slice(0, 6)))


def test_of_a_linear_network_every_ball_has_its_norm(linear, rows) -> None:
    weight = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    shown = asked(linear(weight, std=0.5, mean=0.1), rows(np.random.default_rng(1).random((6, 6))))
    exact = np.linalg.norm(weight.astype(np.float64) / 0.5, 2)
    np.testing.assert_allclose(shown["upper"], np.full(3, exact), rtol=2e-6)
    np.testing.assert_allclose(shown["lower"], np.full(3, exact), rtol=2e-6)
    assert (shown["lower"] <= shown["upper"]).all()
    assert METRIC.details(shown)["upper"]["0.5"] == pytest.approx(exact, rel=2e-6)


def test_both_runtimes_have_the_same_constants_and_none_exceeds_the_global_one(predictors, samples) -> None:
    torch, onnx = (asked(predictors[name], samples) for name in ("reference", "onnx"))
    for side in ("upper", "lower"):
        np.testing.assert_allclose(onnx[side], torch[side], rtol=1e-3)
    whole = answers(GlobalLipschitz(iterations=0, steps=0), predictors["reference"], samples.take(slice(0, 6)))
    assert (torch["lower"] <= torch["upper"]).all()
    assert (torch["upper"] < 0.9 * whole["certified"]).all()
    assert sum(torch.notes["certified_by"].values()) == 3
    wider = asked(predictors["reference"], samples, BallLipschitz(radius=0.5, centres=3, iterations=5, steps=5))
    assert (wider["upper"] > torch["upper"]).all()


def test_the_ratio_of_two_networks_is_an_interval(networks, predictors, samples, digits) -> None:
    context = StepContext(digits.train, digits.calibration, None, 0)
    made = run_step(steps.get("ptq")(bits=4, weights_only=True), networks["reference"], context)
    first, second = asked(predictors["reference"], samples), asked(open_predictor(made, Target(name="torch")), samples)
    for value, take in zip(METRIC.values, (np.median, np.max), strict=True):
        low, high = bound_result(value, Evidence([first], [second], [], None, 6)).bound.ratio
        assert low == pytest.approx(take(second["lower"]) / take(first["upper"]))
        assert high == pytest.approx(take(second["upper"]) / take(first["lower"]))
        assert low < high


def test_medians_and_largest_are_of_each_side() -> None:
    lower, upper = np.array([1.0, 5.0, 2.0]), np.array([4.0, 5.5, 9.0])
    assert (median_bounds(lower, upper).lower, median_bounds(lower, upper).upper) == (2.0, 5.5)
    assert (largest_bounds(lower, upper).lower, largest_bounds(lower, upper).upper) == (5.0, 9.0)


@pytest.mark.parametrize("network", ["ptq4", "onnx8"])
def test_what_rounds_activations_has_no_constant(predictors, samples, network) -> None:
    with pytest.raises(NotApplicable, match="rounds, and a function that rounds has no finite Lipschitz constant"):
        asked(predictors[network], samples)
