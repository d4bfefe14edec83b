"""Figures of uncertainty beside other libraries' (extra ``peers``); where they differ, by how much and why."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score

from bench.functional.calibration import expected_calibration_error
from bench.functional.calibration_errors import smooth_calibration_error
from bench.functional.predictions import correct, top_probability
from bench.functional.selective import area_under_generalised_risk_coverage


def once(function, *of):
    return float(function(*of, np.ones((1, len(of[1]))))[0])


@pytest.fixture
def judged() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Log-probabilities, labels, top confidences, right answers of 900 samples in four classes."""
    random = np.random.default_rng(0)
    log_p = log_softmax(2 * random.normal(size=(900, 4)), axis=1)
    labels = (0.7 * log_p + random.gumbel(size=(900, 4))).argmax(axis=1)
    return log_p, labels, top_probability(log_p), correct(log_p, labels)


@pytest.mark.parametrize("levels", [0, 12])
def test_augrc_is_of_the_area_under_the_curve_of_errors(judged, levels) -> None:
    """``(1 − AUROC) e (1 − e) + e² / 2`` by scikit-learn, ties counted half."""
    _, _, confidence, right = judged
    confidence = np.round(confidence * levels) if levels else confidence
    e = 1 - right.mean()
    expected = (1 - roc_auc_score(right, confidence)) * e * (1 - e) + e**2 / 2
    assert once(area_under_generalised_risk_coverage, confidence, right) == pytest.approx(expected, rel=1e-12)


def test_expected_calibration_error_beside_torchmetrics(judged) -> None:
    metric = pytest.importorskip("torchmetrics.functional.classification", reason="extra peers")
    import torch

    log_p, labels, confidence, right = judged
    told = metric.multiclass_calibration_error(
        torch.from_numpy(np.exp(log_p)), torch.from_numpy(labels), num_classes=4, n_bins=15, norm="l1"
    )
    assert once(expected_calibration_error, confidence, right) == pytest.approx(float(told), abs=1e-6)


def test_a_confidence_of_one_has_a_bin_of_its_own_in_torchmetrics() -> None:
    """Known difference: ten sure and wrong, ten of .99 and right share our last bin; theirs do not, .505 for .495."""
    metric = pytest.importorskip("torchmetrics.functional.classification", reason="extra peers")
    import torch

    confidence, right = np.repeat([1.0, 0.99], 10), np.repeat([0, 1], 10)
    told = metric.binary_calibration_error(torch.from_numpy(confidence), torch.from_numpy(right), n_bins=15, norm="l1")
    assert once(expected_calibration_error, confidence, right) == pytest.approx(0.495)
    assert float(told) == pytest.approx(0.505, abs=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_smooth_calibration_error_beside_relplot(judged, shift, monkeypatch) -> None:
    """Theirs stops after ten halvings and on 200 points: figures differ by up to 1/1024, the step of the width."""
    relplot = pytest.importorskip("relplot", reason="extra peers")
    _, _, confidence, right = judged
    confidence = np.clip(confidence - shift, 0, 1)
    monkeypatch.setattr(relplot.config, "smECE_mesh_pts", 2000)
    told = float(relplot.smECE(confidence, right))
    assert once(smooth_calibration_error, confidence, right) == pytest.approx(told, abs=1 / 1024)
