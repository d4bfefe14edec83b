from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import brier_score_loss, log_loss

from bench.functional.calibration import (
    brier,
    debiased_squared_calibration_error,
    equal_mass_edges,
    expected_calibration_error,
    negative_log_likelihood,
)


@pytest.fixture
def predicted() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return log_softmax(random.normal(scale=2, size=(300, 5)), axis=1), random.integers(0, 5, 300)


def test_negative_log_likelihood_agrees_with_sklearn(predicted: tuple[np.ndarray, np.ndarray]) -> None:
    log_p, labels = predicted
    expected = log_loss(labels, np.exp(log_p), labels=range(5))
    np.testing.assert_allclose(negative_log_likelihood(log_p, labels).mean(), expected, rtol=1e-12)


def test_brier_agrees_with_sklearn(predicted: tuple[np.ndarray, np.ndarray]) -> None:
    log_p, labels = predicted
    expected = brier_score_loss(labels, np.exp(log_p), labels=range(5), scale_by_half=False)
    np.testing.assert_allclose(brier(log_p, labels).mean(), expected, rtol=1e-12)


def constructed(bins: int = 3, size: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Bins of ten with confidence 0.5, 0.7, 0.9 and 5, 5, 9 right."""
    confidence = np.repeat([0.5, 0.7, 0.9][:bins], size)
    correct = np.concatenate([np.arange(size) < right for right in (5, 5, 9)[:bins]])
    return confidence, correct.astype(np.uint8)


def test_squared_error_of_a_constructed_case() -> None:
    confidence, correct = constructed()
    # ten in each bin: (c − a)² is 0, 0.04, 0; a (1 − a) / 9 is 0.25/9, 0.25/9, 0.09/9
    expected = (0.04 - (0.25 + 0.25 + 0.09) / 9) / 3
    found = debiased_squared_calibration_error(confidence, correct, np.ones((1, 30)), bins=3)
    np.testing.assert_allclose(found, [expected], rtol=1e-12)


def test_plug_in_error_of_a_constructed_case() -> None:
    confidence, correct = constructed()
    np.testing.assert_allclose(expected_calibration_error(confidence, correct, np.ones((1, 30))), [0.2 / 3], rtol=1e-12)


def test_confidence_one_is_binned() -> None:
    found = expected_calibration_error(np.ones(4), np.array([1, 1, 1, 0]), np.ones((1, 4)))
    np.testing.assert_allclose(found, [0.25])


def test_the_debiased_estimator_is_unbiased_where_the_plug_in_is_not() -> None:
    # true squared error 0.01: every bin's accuracy is 0.1 below its confidence
    random = np.random.default_rng(1)
    confidence = np.repeat(np.linspace(0.3, 0.95, 15), 20)
    correct = random.random((4000, 300)) < confidence - 0.1
    weights = np.ones((1, 300))
    debiased = [debiased_squared_calibration_error(confidence, row, weights)[0] for row in correct]
    error = np.std(debiased) / np.sqrt(len(debiased))
    assert abs(np.mean(debiased) - 0.01) < 4 * error
    plug_in = np.mean((confidence.reshape(15, 20).mean(1) - correct.reshape(-1, 15, 20).mean(2)) ** 2)
    assert plug_in - 0.01 > 20 * error
    assert min(debiased) < 0  # signed


def test_ties_stay_in_one_bin() -> None:
    confidence = np.sort(np.concatenate([np.full(50, 0.9), np.linspace(0.1, 0.8, 10)]))
    edges = equal_mass_edges(confidence, 15)
    assert (edges < 0.9).sum() == len(edges) - 1
    index = np.searchsorted(edges, confidence, side="right")
    assert len(np.unique(index[confidence == 0.9])) == 1
    assert np.bincount(index).min() >= 2


@pytest.mark.parametrize("confidence", [np.full(30, 0.7), np.ones(1), np.linspace(0, 1, 2)])
def test_degenerate_confidences_give_finite_errors(confidence: np.ndarray) -> None:
    correct, weights = np.ones(len(confidence)), np.ones((3, len(confidence)))
    for error in (debiased_squared_calibration_error, expected_calibration_error):
        assert np.isfinite(error(confidence, correct, weights)).all()


def test_weights_act_as_repeated_samples_in_bins_of_the_unweighted_data() -> None:
    random = np.random.default_rng(2)
    confidence, correct = random.random(60), random.integers(0, 2, 60)
    counts = random.multinomial(60, np.full(60, 1 / 60), size=20)
    edges = equal_mass_edges(confidence, 15)
    for weights, found in zip(counts, debiased_squared_calibration_error(confidence, correct, counts), strict=True):
        drawn = np.repeat(np.arange(60), weights)
        index, expected = np.searchsorted(edges, confidence[drawn], side="right"), 0.0
        for b in np.unique(index):
            c, a, n = confidence[drawn][index == b], correct[drawn][index == b], (index == b).sum()
            expected += n / 60 * ((c.mean() - a.mean()) ** 2 - a.mean() * (1 - a.mean()) / max(n - 1, 1))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
