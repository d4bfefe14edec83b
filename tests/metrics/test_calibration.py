from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import brier_score_loss, log_loss

from bench.metrics.uncertainty.calibration import Calibration

VALUES = {value.name: value for value in Calibration.values}


def test_scores_agree_with_sklearn(predictors, samples, observing) -> None:
    shown = Calibration().observe(predictors["reference"], samples, observing)
    p = predictors["reference"].logits(torch.from_numpy(samples.x))[0].double().softmax(dim=1).numpy()
    one = np.ones((1, len(samples)))
    expected = log_loss(samples.y, p, labels=range(10))
    np.testing.assert_allclose(VALUES["nll"].statistic(shown, one), [expected], rtol=1e-5)
    expected = brier_score_loss(samples.y, p, labels=range(10), scale_by_half=False)
    np.testing.assert_allclose(VALUES["brier"].statistic(shown, one), [expected], rtol=1e-5)
    np.testing.assert_allclose(shown["confidence"], p.max(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(shown["correct"], p.argmax(axis=1) == samples.y)


def test_a_constructed_network_has_its_known_calibration_error(linear, rows, observing) -> None:
    # logits ± log 3 / 2 give confidence 0.75 in class 0; it is right 50 times of 100
    predictor = linear(np.array([[0.5], [-0.5]]))
    samples = rows(np.full((100, 1), np.log(3)), np.arange(100) % 2)
    shown = Calibration().observe(predictor, samples, observing)
    one = np.ones((1, 100))
    np.testing.assert_allclose(VALUES["ece"].statistic(shown, one), [0.25], rtol=1e-5)
    np.testing.assert_allclose(VALUES["ce2_debiased"].statistic(shown, one), [0.25**2 - 0.25 / 99], rtol=1e-5)
    np.testing.assert_allclose(VALUES["brier"].statistic(shown, one), [(2 * 0.25**2 + 2 * 0.75**2) / 2], rtol=1e-5)
    np.testing.assert_allclose(VALUES["nll"].statistic(shown, one), [-np.log(0.75 * 0.25) / 2], rtol=1e-5)


def test_overconfidence_is_a_change_and_a_harm(linear, rows, observing) -> None:
    samples = rows(np.full((100, 1), np.log(3)), np.arange(100) % 4 > 2)
    calm = Calibration().observe(linear(np.array([[0.5], [-0.5]])), samples, observing)
    loud = Calibration().observe(linear(np.array([[5.0], [-5.0]])), samples, observing)
    assert VALUES["confidence_change"].distance(calm, loud).min() > 0.2
    one = np.ones((1, 100))
    for name in ("nll", "brier", "ce2_debiased", "ece"):
        assert VALUES[name].statistic(loud, one)[0] > VALUES[name].statistic(calm, one)[0] + 0.04


def test_no_interval_is_offered_on_the_plug_in_error() -> None:
    assert VALUES["ece"].interval == "none"
    assert "biased" in VALUES["ece"].why_no_interval
