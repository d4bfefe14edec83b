"""Calibration under corruptions: every figure by a plain loop over kinds, severities and samples."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.digits import Digits
from bench.engine.in_memory import answers
from bench.functional.calibration import debiased_squared_calibration_error
from bench.functional.under_shift import versions_calibration_error, versions_confidence, versions_correct
from bench.metrics.uncertainty.under_shift import UnderShift
from bench.metrics.values import LABELS
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from tests.metrics.asking import figure

KINDS, SEVERITIES = ("gaussian-noise", "contrast", "shift"), (1, 3)
METRIC = UnderShift(kinds=KINDS, severities=SEVERITIES)
VALUES = {value.name: value for value in METRIC.values}


@pytest.fixture(scope="module")
def shown(zoo):
    return answers(METRIC, open_predictor(zoo("convnet"), Target(name="torch")), Digits().load(360, 128).evaluation)


def by_hand(shown, weights):
    log_p, labels = shown["corrupted_log_probabilities"], shown[LABELS]
    n, kinds, severities, _ = log_p.shape
    assert (kinds, severities) == (3, 2)
    nll, error, ce2 = np.zeros(n), np.zeros(n), []
    for kind in range(kinds):
        for severity in range(severities):
            own = log_p[:, kind, severity]
            nll -= own[np.arange(n), labels] / 6
            right = (own.argmax(axis=1) == labels).astype(float)
            error += (1 - right) / 6
            ce2.append(debiased_squared_calibration_error(np.exp(own.max(axis=1)), right, weights[None])[0])
    total = weights.sum()
    return {
        "shifted_nll": weights @ nll / total, "shifted_error": weights @ error / total, "shifted_ce2": np.mean(ce2)
    }  # fmt: skip


def test_figures_are_those_of_a_plain_loop(shown):
    expected = by_hand(shown, np.ones(360))
    for name, value in VALUES.items():
        assert figure(value, shown)[0] == pytest.approx(expected[name], abs=1e-12)


def test_resamples_take_all_versions_of_an_image_together(shown):
    weights = np.random.default_rng(0).integers(0, 3, 360).astype(float)
    value = VALUES["shifted_ce2"]
    found = value.function(shown["versions_confidence"], shown["versions_correct"], weights[None])
    assert found[0] == pytest.approx(by_hand(shown, weights)["shifted_ce2"], abs=1e-12)


def test_versions_that_are_too_sure_are_not_made_up_for_by_those_that_are_not(shown):
    """Pooled, half of the versions too sure and half too unsure would look calibrated."""
    labels = np.arange(200) % 2
    right = (np.arange(200) % 4 < 3)[:, None, None, None]  # three quarters are right, at .55 and at .95
    told = np.where(right, labels[:, None, None, None], 1 - labels[:, None, None, None]) == np.arange(2)
    sure = np.array([0.55, 0.95])[None, None, :, None]
    log_p = np.log(np.where(told, sure, 1 - sure))
    confidence, correct = versions_confidence(log_p), versions_correct(log_p, labels)
    assert np.array_equal(correct, np.repeat(right.reshape(-1, 1), 2, axis=1))
    apart = versions_calibration_error(confidence, correct, np.ones((1, 200)))[0]
    assert apart == pytest.approx(0.04 - 0.75 * 0.25 / 199, abs=1e-9)
    pooled = versions_calibration_error(
        np.full((400, 1), 0.75), np.concatenate([correct[:, :1], correct[:, 1:]]), np.ones((1, 400))
    )[0]
    assert pooled < 0.001


def test_details_are_by_severity(shown):
    told = METRIC.details(shown)["by_severity"]
    assert set(told) == {"1", "3"}
    assert told["3"]["error"] > told["1"]["error"]
    for name, key in (("shifted_error", "error"), ("shifted_nll", "nll"), ("shifted_ce2", "ce2")):
        assert np.mean([told[severity][key] for severity in told]) == pytest.approx(figure(VALUES[name], shown)[0])
