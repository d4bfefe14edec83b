"""Gradients estimated from scores, and the attack that follows them, on linear networks of known distances."""

from __future__ import annotations

import numpy as np
import pytest

from bench.functional.attacks import nes as module
from bench.functional.attacks.nes import nes
from bench.functional.attacks.score_margins import score_log_odds, wrong_score_margin


def keyed(n):
    return [np.random.default_rng([6, i]) for i in range(n)]


class Linear:
    """Two classes, so that the nearest other class is the only one; inputs asked are counted."""

    def __init__(self, features=20):
        self.weight = np.random.default_rng(0).normal(size=features)
        self.asked = 0

    def __call__(self, x):
        self.asked += len(x)
        z = np.einsum("d,nd->n", self.weight, x.reshape(len(x), -1).astype(np.float64))
        return np.stack([z, -z], axis=1)

    def at_distance_one(self, n, norm, shape):
        """Samples (n, ...) at distance 1 of the plane between the classes, n / 2 on either side."""
        x = np.random.default_rng(1).normal(size=(n, len(self.weight)))
        dual = np.abs(self.weight).sum() if norm == "linf" else np.linalg.norm(self.weight)
        wanted = dual * np.where(np.arange(n) % 2, 1.0, -1.0)
        x += np.outer((wanted - x @ self.weight) / (self.weight @ self.weight), self.weight)
        return x.reshape(n, *shape).astype(np.float32), np.where(np.arange(n) % 2, 0, 1)


@pytest.mark.parametrize("shape", [(20,), (1, 4, 5)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_network_falls_above_its_distance_and_never_below(norm, shape):
    network = Linear()
    x, labels = network.at_distance_one(30, norm, shape)
    options = {"queries": 2000, "norm": norm, "bounds": (-100.0, 100.0), "sigma": 0.0005}
    found = nes(network, x, labels, keyed(30), epsilon=1.15, **options)
    assert found.fell.all(), found.margin.min()
    assert (network(found.best).argmax(axis=1) != labels).all()
    network.asked = 0
    found = nes(network, x, labels, keyed(30), epsilon=0.999, **options)
    assert not found.fell.any()
    assert network.asked == found.queries.sum() == 30 * (2000 // 51) * 51
    change = (found.best - x).reshape(30, -1)
    size = np.abs(change).max(axis=1) if norm == "linf" else np.linalg.norm(change, axis=1)
    assert (size <= 0.999 * (1 + 1e-5)).all()
    np.testing.assert_array_equal(found.margin, wrong_score_margin(network(found.best), labels))


def test_the_estimate_is_the_gradient_on_average():
    """Of a linear loss E[g] is the gradient, whatever σ; a coordinate's variance is (‖w‖² + w_j²) / pairs."""
    weight, pairs, estimates = np.array([2.0, -1.0, 0.5]), 8, 4000
    current = np.zeros((estimates, 3), dtype=np.float32)
    gradient = module._estimate(lambda points: points @ weight, current, keyed(estimates), pairs, 0.1, (-9.0, 9.0))
    error = np.sqrt((weight @ weight + weight**2) / pairs / estimates)
    assert (np.abs(gradient.mean(axis=0) - weight) < 4 * error).all()
    np.testing.assert_allclose(gradient.std(axis=0), error * np.sqrt(estimates), rtol=0.06)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_sample_does_not_depend_on_the_others_and_stops_when_it_fell(norm, monkeypatch):
    network = Linear()
    x = np.random.default_rng(2).random((25, 1, 4, 5)).astype(np.float32)
    labels = network(x).argmax(axis=1)
    options = {"epsilon": {"linf": 0.1, "l2": 0.35}[norm], "queries": 400, "pairs": 10, "norm": norm}
    network.asked = 0
    whole = nes(network, x, labels, keyed(25), **options)
    assert network.asked == whole.queries.sum()
    assert 0 < whole.fell.sum() < 25
    assert whole.queries[whole.fell].min() < whole.queries[~whole.fell].min() == 19 * 21
    assert whole.best.min() >= 0
    assert whole.best.max() <= 1
    monkeypatch.setattr(module, "ASKED_AT_ONCE", 60)
    for order in (np.random.default_rng(0).permutation(25)[:11], [4]):
        generators = keyed(25)
        part = nes(network, x[order], labels[order], [generators[i] for i in order], **options)
        for one, other in zip(part, whole, strict=True):
            np.testing.assert_array_equal(one, other[order])


def test_log_odds_are_those_of_probabilities():
    z = np.array([[1.0, -2.0, 0.5], [30.0, -30.0, 0.0]])
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    expected = np.log((p[:, 1] + p[:, 2]) / p[:, 0])
    np.testing.assert_allclose(score_log_odds(z, np.zeros(2, int)), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "change", [{"epsilon": 0.0}, {"queries": 50}, {"pairs": 0}, {"sigma": 0.0}, {"generators": []}]
)
def test_what_it_cannot_do_it_says(change):
    given = {"generators": keyed(2), "epsilon": 0.1, "queries": 100, **change}
    generators = given.pop("generators")
    with pytest.raises(ValueError, match=r"must be above 0|give one each"):
        nes(Linear(3), np.zeros((2, 3), dtype=np.float32), np.zeros(2, int), generators, **given)
