"""The largest distance of two networks around samples, on networks of both runtimes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.engine.evidence import Evidence
from bench.engine.in_memory import answers
from bench.engine.single_figures import bound_result
from bench.errors import NotApplicable
from bench.metrics.lipschitz.difference import LipschitzDifference
from bench.metrics.values import Bound
from bench.runtimes.base import Predictor, Target
from bench.runtimes.opening import open_predictor

METRIC = LipschitzDifference(starts=2, steps=10)


@pytest.fixture
def few(samples):
    return samples.take(slice(0, 3))


@pytest.fixture
def made(networks, digits):
    def make(step, **options) -> Predictor:
        context = StepContext(digits.train, digits.calibration, None, 0)
        return open_predictor(
            run_step(steps.get(step)(**options), networks["reference"], context), Target(name="torch")
        )

    return make


def test_a_network_does_not_differ_from_itself(predictors, few) -> None:
    shown = answers(METRIC, predictors["reference"], few, predictors["reference"])
    for name in ("lower_l2", "certified_l2", "lower_linf", "certified_linf"):
        assert not shown[name].any()


def test_both_ends_enclose_it_and_more_bits_are_nearer(predictors, made, few) -> None:
    last = np.full(len(few), np.inf)
    for bits in (2, 4, 8):
        shown = answers(METRIC, made("ptq", bits=bits, weights_only=True), few, predictors["reference"])
        assert (shown["lower_l2"] > 0).all()
        assert (shown["lower_l2"] <= shown["certified_l2"]).all()
        assert (shown["lower_linf"] <= shown["certified_linf"]).all()
        assert (shown["certified_linf"] <= shown["certified_l2"]).all()
        assert (shown["lower_scale"] <= shown["certified_scale"]).all()
        assert (shown["lower_scale"] > 0).all()
        assert (shown["certified_scale"] <= 2 * shown["certified_l2"] / METRIC.epsilon * (1 + 1e-9)).all()
        assert (shown["jacobian_difference"] > 0).all()
        assert METRIC.details(shown)["jacobian_difference"]["0.5"] == np.median(shown["jacobian_difference"])
        assert (shown["certified_l2"] < last).all()
        last = shown["lower_l2"]
        assert shown.notes["not_applicable"] == {}


@pytest.mark.parametrize(("variant", "reference"), [("onnx8", "onnx"), ("onnx4", "onnx"), ("ptq4", "reference")])
def test_a_network_that_rounds_is_compared_in_its_own_units(predictors, few, variant, reference) -> None:
    shown = answers(METRIC, predictors[variant], few, predictors[reference])
    assert shown.notes["not_applicable"] == {}
    assert (shown["lower_l2"] > 0).all()
    assert (shown["lower_l2"] <= shown["certified_l2"]).all()
    assert np.isfinite(shown["by_method"]).all()
    assert "jacobian_difference" not in shown  # of what rounds a Jacobian means nothing
    assert (shown["certified_scale"] == 2 * shown["certified_l2"] / METRIC.epsilon * (1 + 1e-12)).all()


def test_what_runs_is_never_further_apart_than_is_certified(predictors, few) -> None:
    """Real runtimes, points drawn in the boxes; what float32 adds is far below the distance of 8 bits."""
    metric = LipschitzDifference(epsilon=0.02, starts=2, steps=5)
    shown = answers(metric, predictors["onnx8"], few, predictors["onnx"])
    random = np.random.default_rng(0)
    for k in range(len(few)):
        away = random.uniform(-0.02, 0.02, (300, *few.x.shape[1:]))
        x = torch.from_numpy(np.clip(few.x[k] + away, 0, 1).astype(np.float32))
        apart = (predictors["onnx8"].logits(x) - predictors["onnx"].logits(x))[0].norm(dim=1)
        assert float(apart.max()) <= shown["certified_l2"][k]


def test_a_class_that_is_kept_is_kept_at_every_point_that_was_tried(predictors, made, few) -> None:
    metric = LipschitzDifference(epsilon=0.03, starts=1, steps=0)
    variant = made("ptq", bits=3, weights_only=True)
    shown = answers(metric, variant, few, predictors["reference"])
    own = answers(metric, predictors["reference"], few, predictors["reference"])
    assert own["kept"].sum() >= shown["kept"].sum()
    assert shown["kept"].sum() > 0
    random = np.random.default_rng(0)
    for k in np.flatnonzero(shown["kept"]):
        x = few.x[k] + random.choice([-0.03, 0.03], (400, *few.x.shape[1:]))
        x = torch.from_numpy(np.clip(x, 0, 1).astype(np.float32))
        label = predictors["reference"].logits(torch.from_numpy(few.x[k : k + 1]))[0].argmax()
        assert (variant.logits(x)[0].argmax(dim=1) == label).all()


def test_the_bound_of_a_pair_has_no_ratio_and_the_share_has_a_harm(predictors, made, few) -> None:
    variant = made("ptq", bits=4, weights_only=True)
    second = answers(METRIC, variant, few, predictors["reference"])
    first = answers(METRIC, predictors["reference"], few, predictors["reference"])
    evidence = Evidence([first], [second], [], None, len(few))
    shown = {value.name: bound_result(value, evidence) for value in METRIC.values if isinstance(value, Bound)}
    certified, found = shown["largest_difference"], shown["found_difference"]
    assert certified.variant == pytest.approx(second["certified_l2"].mean())
    assert found.variant == pytest.approx(second["lower_l2"].mean())
    assert certified.reference == found.reference == 0.0
    assert certified.bound.ratio == (None, None)
    assert certified.reason == "a pair's bound has no ratio to the reference"
    again = bound_result(METRIC.values[0], Evidence([second], [second], [], None, len(few)))
    assert again.bound.ratio == (None, None)  # whatever the figures are
    details = METRIC.details(second)
    assert sum(details["least_by_method"]) == len(few)
    assert METRIC.details({}) == {}


def test_samples_beside_each_other_change_nothing(predictors, samples) -> None:
    variant, reference = predictors["retrained"], predictors["reference"]
    whole = answers(METRIC, variant, samples.take(slice(0, 3)), reference)
    one = answers(METRIC, variant, samples.take(slice(1, 2)), reference)
    for name in ("lower_l2", "certified_l2", "certified_linf", "kept"):
        np.testing.assert_allclose(one[name], whole[name][1:2], rtol=1e-12)


def test_a_network_without_bounds_is_refused_with_the_layer(zoo, predictors, few) -> None:
    transformer = open_predictor(zoo("transformer"), Target(name="torch"))
    with pytest.raises(NotApplicable, match="layer normalisation"):
        answers(METRIC, transformer, few, predictors["reference"])


@pytest.mark.parametrize("network", ["constant", "equal", "saturated"])
def test_degenerate_networks_have_finite_bounds(predictors, few, network) -> None:
    shown = answers(METRIC, predictors[network], few, predictors["reference"])
    assert np.isfinite(shown["certified_l2"]).all()
    assert (shown["lower_l2"] <= shown["certified_l2"]).all()
    json.dumps([shown.notes, METRIC.details(shown)], allow_nan=False)
