"""Entropies and disagreement of real networks as members of one, and of the other metrics on such a network."""

from __future__ import annotations

import numpy as np
import pytest

from bench.engine.in_memory import answers
from bench.errors import NotApplicable
from bench.functional.divergences import flips
from bench.functional.member_predictions import expected_entropy, mutual_information
from bench.metrics.fidelity.predictions import Predictions
from bench.metrics.uncertainty.calibration import Calibration
from bench.metrics.uncertainty.members import Members
from bench.metrics.uncertainty.selective import Selective
from bench.metrics.uncertainty.temperature import Temperature
from bench.metrics.values import Change
from tests.metrics.asking import figure
from tests.metrics.ensemble import Ensemble

RUNTIMES = [("reference", "retrained"), ("onnx", "onnx8")]


def of(metric, arrays):
    kept = [value for value in metric.values if not isinstance(value, Change)]
    return {value.name: float(figure(value, arrays)[0]) for value in kept}


@pytest.mark.parametrize("pair", RUNTIMES)
def test_entropies_add_up_and_two_members_disagree_as_often_as_they_flip(predictors, samples, pair) -> None:
    members = [predictors[name] for name in pair]
    shown = answers(Members(), Ensemble(*members), samples)
    found = of(Members(), shown)
    assert found["mutual_information"] > 0
    np.testing.assert_allclose(
        shown["predictive_entropy"], shown["expected_entropy"] + shown["mutual_information"], atol=1e-12
    )
    alone = [answers(Predictions(), member, samples)["log_probabilities"] for member in members]
    np.testing.assert_array_equal(shown["disagreement"], flips(*alone))


def test_a_network_twice_disagrees_on_nothing(predictors, samples) -> None:
    shown = answers(Members(), Ensemble(*2 * [predictors["ptq4"]]), samples)
    assert not shown["mutual_information"].any()
    assert not shown["disagreement"].any()


def test_one_member_has_no_pair(predictors, samples) -> None:
    shown = answers(Members(), predictors["reference"], samples)
    assert not shown["mutual_information"].any()
    np.testing.assert_allclose(shown["expected_entropy"], shown["predictive_entropy"], rtol=1e-12)
    with pytest.raises(NotApplicable, match="a network of one member has no pair"):
        shown["disagreement"]


def test_members_that_are_sure_of_opposite_classes() -> None:
    logits = np.array([[[60.0, 0.0, 0.0]], [[0.0, 60.0, 0.0]]])
    assert mutual_information(logits)[0] == pytest.approx(np.log(2), rel=1e-12)
    assert expected_entropy(logits)[0] == pytest.approx(0, abs=1e-12)
    three = np.random.default_rng(0).normal(size=(3, 50, 4)) * 5
    assert (mutual_information(three) <= np.log(3)).all()


@pytest.mark.parametrize("metric", [Calibration(), Temperature(), Selective()])
def test_other_figures_of_two_members_are_those_of_their_mean_probability(predictors, samples, linear, metric) -> None:
    """Of a network whose logits are the log of that mean."""
    pair = Ensemble(predictors["reference"], predictors["retrained"])
    shown = answers(metric, pair, samples)
    mean = answers(Predictions(), pair, samples)["log_probabilities"].astype(np.float32)
    where = {image.tobytes(): i for i, image in enumerate(samples.x)}

    class Mean(Ensemble):
        def forward(self, x):
            import torch

            return torch.from_numpy(mean[[where[image.numpy().tobytes()] for image in x]])[None]

        def preprocess(self, x):
            return x

    found, expected = of(metric, shown), of(metric, answers(metric, Mean(predictors["reference"]), samples))
    for name in found:
        assert found[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6), name
