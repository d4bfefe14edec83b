"""Exact changes of attribution between their bounds, on networks of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.engine.in_memory import answers
from bench.errors import NotApplicable
from bench.metrics.attribution.bounds import AttributionBounds
from bench.runtimes.base import Predictor, Target
from bench.runtimes.opening import open_predictor

METRIC = AttributionBounds()


@pytest.fixture
def few(samples):
    return samples.take(slice(0, 2))


@pytest.fixture
def weights_only(networks, digits) -> Predictor:
    context = StepContext(digits.train, digits.calibration, None, 0)
    made = run_step(steps.get("ptq")(bits=4, weights_only=True), networks["reference"], context)
    return open_predictor(made, Target(name="torch"))


@pytest.mark.parametrize("network", ["reference", "onnx", "weights_only"])
def test_both_bounds_hold_on_every_sample(predictors, weights_only, few, network) -> None:
    variant = weights_only if network == "weights_only" else predictors[network]
    shown = answers(METRIC, variant, few, predictors["retrained"])
    assert (shown["logit_difference"] <= shown["attribution_difference_l1"] * (1 + 1e-6) + 1e-9).all()
    assert (shown["attribution_difference_l2"] <= shown["slope_bound"] * (1 + 1e-6) + 1e-9).all()
    details = METRIC.details(shown)
    assert details["violations"] == 0
    assert details["pieces"] > 10
    assert METRIC.details({}) == {}


def test_a_network_has_not_changed_from_itself(predictors, few) -> None:
    shown = answers(METRIC, predictors["reference"], few, predictors["reference"])
    for value in METRIC.values:
        assert not shown[value.of].any()


def test_one_sample_says_the_same_as_two(predictors, few) -> None:
    """The network of 64 bits alone decides, whatever stands beside a sample."""
    whole = answers(METRIC, predictors["retrained"], few, predictors["reference"])
    one = answers(METRIC, predictors["retrained"], few.take(slice(1, 2)), predictors["reference"])
    np.testing.assert_allclose(one["attribution_difference_l2"], whole["attribution_difference_l2"][1:2], rtol=1e-9)


def test_what_rounds_activations_is_refused_with_the_reason(predictors, few) -> None:
    with pytest.raises(NotApplicable, match="no piecewise linear network: it computes 'round'"):
        answers(METRIC, predictors["ptq4"], few, predictors["reference"])
