"""Figures of uncertainty beside other libraries' (extra ``calibration-peers``): where they differ, by how much."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score

from bench.functional.calibration import expected_calibration_error
from bench.functional.calibration_errors import smooth_calibration_error
from bench.functional.conformal import (
    adaptive_scores,
    conformal_threshold,
    covered,
    least_ambiguous_scores,
    prediction_sets,
    sample_uniforms,
)
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
    metric = pytest.importorskip("torchmetrics.functional.classification", reason="extra calibration-peers")
    import torch

    log_p, labels, confidence, right = judged
    told = metric.multiclass_calibration_error(
        torch.from_numpy(np.exp(log_p)), torch.from_numpy(labels), num_classes=4, n_bins=15, norm="l1"
    )
    assert once(expected_calibration_error, confidence, right) == pytest.approx(float(told), abs=1e-6)


def test_a_confidence_of_one_has_a_bin_of_its_own_in_torchmetrics() -> None:
    """Known difference: ten sure and wrong, ten of .99 and right share our last bin; theirs do not, .505 for .495."""
    metric = pytest.importorskip("torchmetrics.functional.classification", reason="extra calibration-peers")
    import torch

    confidence, right = np.repeat([1.0, 0.99], 10), np.repeat([0, 1], 10)
    told = metric.binary_calibration_error(torch.from_numpy(confidence), torch.from_numpy(right), n_bins=15, norm="l1")
    assert once(expected_calibration_error, confidence, right) == pytest.approx(0.495)
    assert float(told) == pytest.approx(0.505, abs=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_smooth_calibration_error_beside_relplot(judged, shift, monkeypatch) -> None:
    """Theirs stops after ten halvings and on 200 points: figures differ by up to 1/1024, the step of the width."""
    relplot = pytest.importorskip("relplot", reason="extra calibration-peers")
    _, _, confidence, right = judged
    confidence = np.clip(confidence - shift, 0, 1)
    monkeypatch.setattr(relplot.config, "smECE_mesh_pts", 2000)
    told = float(relplot.smECE(confidence, right))
    assert once(smooth_calibration_error, confidence, right) == pytest.approx(told, abs=1 / 1024)


def sets_of_mapie(log_p, labels, score, alpha):
    """Their sets (600, classes) of the samples after the first 300, which calibrate."""
    mapie = pytest.importorskip("mapie.classification", reason="extra calibration-peers")
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Known(ClassifierMixin, BaseEstimator):
        """Knows the probabilities of a sample by its number."""

        classes_ = np.arange(log_p.shape[1])

        def fit(self, numbers, classes):
            return self

        def __sklearn_is_fitted__(self):
            return True

        def predict_proba(self, numbers):
            return np.exp(log_p[np.asarray(numbers)[:, 0].astype(int)])

        def predict(self, numbers):
            return self.predict_proba(numbers).argmax(axis=1)

    numbers = np.arange(len(log_p), dtype=float)[:, None]
    made = mapie.SplitConformalClassifier(
        Known(), confidence_level=1 - alpha, conformity_score=score, prefit=True, random_state=0
    )
    made.conformalize(numbers[:300], labels[:300])
    options = {"conformity_score_params": {"include_last_label": "randomized"}} if score == "aps" else {}
    return made.predict_set(numbers[300:], **options)[1][:, :, 0]


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_least_ambiguous_sets_are_those_of_mapie(judged, alpha) -> None:
    log_p, labels, _, _ = judged
    scores = least_ambiguous_scores(log_p)
    ours = prediction_sets(scores[300:], conformal_threshold(scores[:300], labels[:300], alpha))
    np.testing.assert_array_equal(ours, sets_of_mapie(log_p, labels, "lac", alpha))


def test_adaptive_sets_are_as_large_as_those_of_mapie(judged) -> None:
    """Known difference: theirs draw u by the order of samples, ours by their ids, so single sets differ."""
    log_p, labels, _, _ = judged
    scores = adaptive_scores(log_p, sample_uniforms(np.array([f"{i}" for i in range(len(labels))])))
    ours = prediction_sets(scores[300:], conformal_threshold(scores[:300], labels[:300], 0.1))
    theirs = sets_of_mapie(log_p, labels, "aps", 0.1)
    sizes = ours.sum(axis=1) - theirs.sum(axis=1)
    assert abs(sizes.mean()) < 0.15
    assert abs(covered(ours, labels[300:]).mean() - theirs[np.arange(600), labels[300:]].mean()) < 0.04
