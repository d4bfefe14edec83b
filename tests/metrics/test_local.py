from __future__ import annotations

import numpy as np
import pytest

from bench.engine.in_memory import answers
from bench.errors import NotApplicable
from bench.functional.jacobian import log_norms
from bench.metrics.lipschitz.local import LocalLipschitz
from bench.probes import jacobian
from tests.metrics.asking import distance, figure

CHANGE, _, QUALITY, BOUND = LocalLipschitz.values


@pytest.fixture
def weight() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def norm_of(weight: np.ndarray) -> float:
    return float(np.linalg.norm(weight - weight.mean(axis=0), ord=2))


def test_a_linear_network_has_the_spectral_norm_of_its_centred_weight(linear, rows, weight) -> None:
    x = rows(np.random.default_rng(1).normal(size=(9, 6)))
    shown = answers(LocalLipschitz(), linear(weight, mean=0.3, std=0.5), x)
    expected = norm_of(weight) / 0.5  # per unit of the user's pixels, preprocessing included
    np.testing.assert_allclose(shown["norm"], np.full(9, expected), rtol=1e-6)
    figures = BOUND.figures(shown["norm"])
    assert figures.lower == pytest.approx(expected, rel=1e-6)
    assert figures.upper is None
    np.testing.assert_allclose(figure(QUALITY, shown), [np.log(expected)], rtol=1e-6)


def test_the_change_is_the_norm_of_the_difference(linear, rows, weight) -> None:
    other = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)
    x = rows(np.ones((3, 6)))
    a, b = (answers(LocalLipschitz(), linear(w), x) for w in (weight, other))
    np.testing.assert_allclose(distance(CHANGE, a, b), np.full(3, norm_of(weight - other)), rtol=1e-6)
    # adding one row to all classes moves every logit alike: no change of the function that counts
    c = answers(LocalLipschitz(), linear(weight + np.arange(6, dtype=np.float32)), x)
    assert distance(CHANGE, a, c).max() < 1e-5


def test_no_point_of_the_data_exceeds_the_bound_and_none_is_above_it(predictors, samples) -> None:
    shown = answers(LocalLipschitz(), predictors["reference"], samples)
    assert BOUND.figures(shown["norm"]).lower == shown["norm"].max() > shown["norm"].min() > 0
    assert LocalLipschitz().details(shown)["zero_gradients"] == 0


def test_quantised_networks_are_differentiated_straight_through_and_say_so(predictors, samples) -> None:
    few = samples.take(slice(0, 4))
    for network, expected in (("reference", "exact"), ("ptq4", "straight_through")):
        shown = answers(LocalLipschitz(), predictors[network], few)
        assert shown.notes["gradient"] == expected
        assert shown["norm"].min() > 0


def test_zero_gradients_count_as_the_smallest_norm(samples) -> None:
    shown = {"norm": np.zeros(len(samples)), "log_norm": log_norms(np.zeros(len(samples)))}
    np.testing.assert_allclose(figure(QUALITY, shown), [np.log(1e-12)])
    assert LocalLipschitz().details(shown)["zero_gradients"] == len(samples)


def test_what_takes_too_much_disk_or_memory_is_not_applicable(predictors, samples, monkeypatch) -> None:
    monkeypatch.setattr(jacobian, "MATRIX_LIMIT", 10 * 64 * 4 - 1)
    with pytest.raises(NotApplicable, match=r"one sample's Jacobian needs .* of memory.*inputs are too large"):
        answers(LocalLipschitz(), predictors["reference"], samples)
    monkeypatch.setattr(jacobian, "MATRIX_LIMIT", 10 * 64 * 4)
    monkeypatch.setattr(jacobian, "DISK_LIMIT", 10 * 10 * 64 * 4)
    with pytest.raises(NotApplicable, match=r"of disk.*set samples to 10 or less"):
        answers(LocalLipschitz(), predictors["reference"], samples)
    assert answers(LocalLipschitz(), predictors["reference"], samples.take(slice(0, 10)))["norm"].size == 10
