"""Selective prediction and own temperatures of real networks, and what they do without labels or errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.engine.in_memory import answers
from bench.errors import NotApplicable
from bench.metrics.uncertainty.calibration import Calibration
from bench.metrics.uncertainty.calibration_errors import CalibrationErrors
from bench.metrics.uncertainty.selective import Selective
from bench.metrics.uncertainty.temperature import Temperature
from tests.metrics.asking import figure


def of(metric, arrays):
    return {value.name: float(figure(value, arrays)[0]) for value in metric.values}


def test_a_network_that_is_only_surer_has_the_same_calibrated_nll(linear, rows) -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(3, 6)).astype(np.float32)
    x = random.random((4000, 6)).astype(np.float32)
    labels = (4 * x @ weight.T + random.gumbel(size=(4000, 3))).argmax(axis=1)
    shown = replace(rows(x), y=labels.astype(np.int64))
    right, sure = (of(Temperature(), answers(Temperature(), linear(scale * weight), shown)) for scale in (4, 12))
    assert right["temperature"] == pytest.approx(1, abs=0.1)
    assert sure["temperature"] == pytest.approx(3 * right["temperature"], rel=1e-3)
    assert sure["calibrated_nll"] == pytest.approx(right["calibrated_nll"], rel=1e-4)


def test_half_and_half_are_fitted_apart(predictors, samples) -> None:
    arrays = answers(Temperature(), predictors["reference"], samples)
    details = Temperature().details(arrays)
    assert len(details["temperatures"]) == 2
    assert details["temperatures"][0] != details["temperatures"][1]
    assert of(Temperature(), arrays)["temperature"] == pytest.approx(np.sqrt(np.prod(details["temperatures"])))


def test_where_all_answers_are_right_no_temperature_fits_and_it_is_said(linear, rows) -> None:
    shown = rows(np.eye(3, dtype=np.float32).repeat(4, axis=0))
    shown = replace(shown, y=np.arange(3).repeat(4))
    arrays = answers(Temperature(), linear(np.eye(3, dtype=np.float32)), shown)
    assert "no_fit" in Temperature().details(arrays)
    with pytest.raises(NotApplicable, match="no temperature fits: in one half of the samples every answer is right"):
        of(Temperature(), arrays)
    few = Selective().details(answers(Selective(), linear(np.eye(3, dtype=np.float32)), shown))
    assert few["errors"] == 0
    assert few["underpowered"] == "underpowered: 0 errors in 12 samples, 10 are needed"


def test_ties_need_no_labels(predictors, samples) -> None:
    arrays = answers(Selective(), predictors["onnx8"], replace(samples, y=None), predictors["reference"])
    assert Selective().details(arrays) == {}
    ties = Selective.values[-1]
    assert 0 <= figure(ties, arrays)[0] < 1
    assert figure(ties, answers(Selective(), predictors["constant"], samples))[0] == 1


def test_a_surer_order_of_errors_risks_less(predictors, samples) -> None:
    arrays = answers(Selective(), predictors["reference"], samples)
    found, error = of(Selective(), arrays), 1 - arrays["correct"].mean()
    assert 0 <= found["e_aurc"] < found["aurc"] < error
    assert error**2 / 2 < found["augrc"] < error / 2
    assert found["risk_at_80"] < error
    details = Selective().details(arrays)
    assert details["risk_coverage"]["risk"][-1] == pytest.approx(error)


def test_the_ratio_of_temperatures_is_of_the_reference(linear, rows) -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(3, 6)).astype(np.float32)
    x = random.random((900, 6)).astype(np.float32)
    labels = (4 * x @ weight.T + random.gumbel(size=(900, 3))).argmax(axis=1)
    shown = replace(rows(x), y=labels.astype(np.int64))
    calm, sure = linear(4 * weight), linear(12 * weight)
    found = of(Temperature(), answers(Temperature(), sure, shown, calm))
    assert found["log_temperature_ratio"] == pytest.approx(np.log(3), rel=1e-3)
    assert of(Temperature(), answers(Temperature(), calm, shown, calm))["log_temperature_ratio"] == 0


def test_confidence_needs_no_labels(predictors, samples) -> None:
    arrays = answers(Calibration(), predictors["reference"], replace(samples, y=None))
    assert set(Calibration().details(arrays)) == {"mean_confidence", "unique_confidences"}
    assert arrays.refusal("confidence") == ""
    assert arrays.refusal("nll") == "needs labels; the data has none"


def test_the_parts_of_a_real_brier_score_sum_and_the_diagram_holds_all_samples(predictors, samples) -> None:
    details = CalibrationErrors().details(answers(CalibrationErrors(), predictors["ptq4"], samples))
    parts = details["brier_parts"]
    whole = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bins"]
    assert whole == pytest.approx(parts["score"])
    assert sum(details["reliability_diagram"]["samples"]) == len(samples)
