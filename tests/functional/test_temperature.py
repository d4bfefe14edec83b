"""Temperature scaling: closed forms, the anchor of a network that differs by a temperature alone, and bad inputs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from bench.functional.divergences import jensen_shannon
from bench.functional.temperature import HIGHEST, LOWEST, at_temperature, cross_fitted, fit_temperature, folds


def network(n: int = 2000, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Calibrated log-probabilities, labels drawn from them, and ids."""
    random = np.random.default_rng(seed)
    log_p = at_temperature(random.normal(0, 2, (n, classes)), 1.0)
    labels = (log_p + random.gumbel(size=(n, classes))).argmax(axis=1)
    return log_p, labels, [f"data/{i}" for i in range(n)]


def loss(log_p: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    return float(-at_temperature(log_p, temperature)[np.arange(len(labels)), labels].mean())


def test_of_two_classes_by_hand() -> None:
    """Three of four right at log-odds L: softmax(L / T) = 3/4, so T = L / log 3."""
    log_p = at_temperature(np.tile([[2.5, 0.0]], (4, 1)), 1.0)
    assert fit_temperature(log_p, np.array([0, 0, 0, 1])) == pytest.approx(2.5 / np.log(3), rel=1e-10)


@pytest.mark.parametrize("scale", [0.2, 1.0, 1.5, 7.0])
def test_it_has_the_least_loss_and_undoes_a_temperature(scale: float) -> None:
    log_p, labels, _ = network()
    found = fit_temperature(scale * log_p, labels)
    best = minimize_scalar(lambda t: loss(scale * log_p, labels, np.exp(t)), bounds=(-5, 5), method="bounded")
    assert np.log(found) == pytest.approx(best.x, abs=1e-4)
    assert found == pytest.approx(scale * fit_temperature(log_p, labels), rel=1e-9)
    assert found == pytest.approx(scale, rel=0.1)  # the network is calibrated


def test_a_network_that_differs_by_a_temperature_alone_is_the_same_function() -> None:
    log_p, labels, ids = network()
    softer = at_temperature(log_p, 1.5)
    assert jensen_shannon(log_p, softer).mean() > 1e-3
    first, second = (cross_fitted(table, labels, ids) for table in (log_p, softer))
    assert jensen_shannon(first.log_probabilities, second.log_probabilities).max() < 1e-15
    assert np.array(first.temperatures) / second.temperatures == pytest.approx(1.5, rel=1e-9)


def test_another_function_stays_another_one() -> None:
    log_p, labels, ids = network()
    other = at_temperature(log_p + np.random.default_rng(1).normal(0, 1, log_p.shape), 1.0)
    first, second = (cross_fitted(table, labels, ids).log_probabilities for table in (log_p, other))
    assert jensen_shannon(first, second).mean() > 0.5 * jensen_shannon(log_p, other).mean()


def test_each_half_is_scaled_by_the_other() -> None:
    log_p, labels, ids = network(300)
    half = folds(ids)
    assert 100 < half.sum() < 200
    scaled, temperatures = cross_fitted(log_p, labels, ids)
    for fold in (0, 1):
        assert temperatures[fold] == fit_temperature(log_p[half != fold], labels[half != fold])
        wanted = at_temperature(log_p[half == fold], temperatures[fold])
        assert np.array_equal(scaled[half == fold], wanted)
    labels[half == 0] = 0  # a sample's own label has no say in its temperature
    assert cross_fitted(log_p, labels, ids).temperatures[1] != temperatures[1]
    assert cross_fitted(log_p, labels, ids).temperatures[0] == temperatures[0]


def test_halves_follow_the_ids_and_not_the_order_or_the_number() -> None:
    log_p, labels, ids = network(200)
    assert folds(ids)[:50].tolist() == folds(ids[:50]).tolist()
    assert folds(["digits/0", "digits/1", "digits/2", "digits/3"]).tolist() == [0, 0, 0, 0]
    order = np.random.default_rng(2).permutation(200)
    turned = cross_fitted(log_p[order], labels[order], [ids[i] for i in order])
    assert turned.log_probabilities == pytest.approx(cross_fitted(log_p, labels, ids).log_probabilities[order])


def test_where_the_loss_has_no_minimum_the_bounds_are_the_answer() -> None:
    log_p, _, _ = network(100)
    assert fit_temperature(log_p, log_p.argmax(axis=1)) == LOWEST  # all right: ever surer is ever better
    assert fit_temperature(log_p, log_p.argmin(axis=1)) == HIGHEST  # all wrong
    assert fit_temperature(np.zeros((9, 1)), np.zeros(9, dtype=int)) == 1.0  # one class
    assert fit_temperature(np.full((9, 3), -np.log(3)), np.arange(9) % 3) == 1.0  # uniform: T changes nothing
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int)) == 1.0
    alone = cross_fitted(log_p[:1], np.array([0]), ["digits/0"])
    assert alone.temperatures[folds(["digits/0"])[0]] == 1.0  # the other half has no sample to learn from


def test_a_probability_of_zero_is_survived() -> None:
    log_p, labels, ids = network(400)
    hard = np.where(log_p < -3, -np.inf, log_p)
    assert np.isneginf(hard).any()
    scaled, temperatures = cross_fitted(hard, labels, ids)
    assert np.isfinite(scaled).all()
    assert np.exp(scaled).sum(axis=1) == pytest.approx(1)
    assert all(np.isfinite(temperatures))
    assert np.isfinite(jensen_shannon(scaled, cross_fitted(log_p, labels, ids).log_probabilities)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_inputs(bad: float) -> None:
    log_p, labels, ids = network(20)
    spoilt = log_p.copy()
    spoilt[3, 1] = bad
    with pytest.raises(ValueError, match="without NaN"):
        fit_temperature(spoilt, labels)
    with pytest.raises(ValueError, match="one label a sample"):
        fit_temperature(log_p, labels[:-1])
    with pytest.raises(ValueError, match="not of the same samples"):
        cross_fitted(log_p, labels, ids[:-1])
