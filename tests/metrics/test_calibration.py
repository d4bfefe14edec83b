from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import brier_score_loss, log_loss

from bench.engine.in_memory import answers
from bench.metrics.uncertainty.calibration import Calibration
from tests.metrics.asking import distance, figure

VALUES = {value.name: value for value in Calibration.values}


def test_scores_agree_with_sklearn(predictors, samples) -> None:
    shown = answers(Calibration(), predictors["reference"], samples)
    p = predictors["reference"].logits(torch.from_numpy(samples.x))[0].double().softmax(dim=1).numpy()
    expected = log_loss(samples.y, p, labels=range(10))
    np.testing.assert_allclose(figure(VALUES["nll"], shown), [expected], rtol=1e-5)
    expected = brier_score_loss(samples.y, p, labels=range(10), scale_by_half=False)
    np.testing.assert_allclose(figure(VALUES["brier"], shown), [expected], rtol=1e-5)
    np.testing.assert_allclose(shown["confidence"], p.max(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(shown["correct"], p.argmax(axis=1) == samples.y)


def test_a_constructed_network_has_its_known_calibration_error(linear, rows) -> None:
    # logits ± log 3 / 2 give confidence 0.75 in class 0; it is right 50 times of 100
    predictor = linear(np.array([[0.5], [-0.5]]))
    samples = rows(np.full((100, 1), np.log(3)), np.arange(100) % 2)
    shown = answers(Calibration(), predictor, samples)
    np.testing.assert_allclose(figure(VALUES["ece"], shown), [0.25], rtol=1e-5)
    np.testing.assert_allclose(figure(VALUES["ce2_debiased"], shown), [0.25**2 - 0.25 / 99], rtol=1e-5)
    np.testing.assert_allclose(figure(VALUES["brier"], shown), [(2 * 0.25**2 + 2 * 0.75**2) / 2], rtol=1e-5)
    np.testing.assert_allclose(figure(VALUES["nll"], shown), [-np.log(0.75 * 0.25) / 2], rtol=1e-5)


def test_overconfidence_is_a_change_and_a_harm(linear, rows) -> None:
    samples = rows(np.full((100, 1), np.log(3)), np.arange(100) % 4 > 2)
    calm = answers(Calibration(), linear(np.array([[0.5], [-0.5]])), samples)
    loud = answers(Calibration(), linear(np.array([[5.0], [-5.0]])), samples)
    assert distance(VALUES["confidence_change"], calm, loud).min() > 0.2
    for name in ("nll", "brier", "ce2_debiased", "ece"):
        assert figure(VALUES[name], loud)[0] > figure(VALUES[name], calm)[0] + 0.04


def test_no_interval_is_offered_on_the_plug_in_error() -> None:
    assert "biased" in VALUES["ece"].no_interval
