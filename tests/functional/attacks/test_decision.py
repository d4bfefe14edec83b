"""Attacks that see the class alone, on linear networks of known distances, and their books."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from bench.functional.attacks.decision import decision_attack
from bench.functional.attacks.decision_starts import coarse_noise

BOUNDS = (-4.0, 4.0)  # wide: the nearest input lies within


def keyed(n):
    return [np.random.default_rng([7, i]) for i in range(n)]


class Linear:
    """A linear network, that notes in which thread it is asked, under which modes, and how much."""

    def __init__(self, classes=2, features=16):
        self.weight = np.random.default_rng(0).normal(size=(classes, features))
        self.asked = 0

    def __call__(self, x):
        self.asked += len(x)
        assert threading.current_thread() is threading.main_thread()
        assert x.dtype == np.float32
        return np.einsum("kd,nd->nk", self.weight, x.reshape(len(x), -1).astype(np.float64))

    def samples(self, n, shape, norm):
        """Samples (n, ...), their classes, and their exact distances to the nearest other class."""
        x = np.random.default_rng(1).normal(size=(n, *shape)).astype(np.float32) / 2
        z = self(x)
        labels = z.argmax(axis=1)
        rows = self.weight[labels][:, None] - self.weight
        dual = np.abs(rows).sum(axis=2) if norm == "linf" else np.linalg.norm(rows, axis=2)
        away = (z[np.arange(n), labels, None] - z) / np.where(dual > 0, dual, 1.0)
        return x, labels, np.where(dual > 0, away, np.inf).min(axis=1)


@pytest.mark.parametrize(("norm", "shape"), [("linf", (1, 4, 4)), ("l2", (16,))])
def test_hop_skip_jump_comes_within_a_tenth_of_the_exact_distance(norm, shape):
    network = Linear()
    x, labels, exact = network.samples(32, shape, norm)
    found = decision_attack(network, x, labels, keyed(32), "hopskipjump", norm=norm, queries=2500, bounds=BOUNDS)
    assert (found.distance >= exact * (1 - 1e-5)).all()
    assert (found.distance <= 1.1 * exact).all(), (found.distance / exact).max()
    assert (network(found.nearest).argmax(axis=1) != labels).all()
    change = (found.nearest.astype(np.float64) - x).reshape(32, -1)
    size = np.abs(change).max(axis=1) if norm == "linf" else np.linalg.norm(change, axis=1)
    np.testing.assert_allclose(found.distance, size, rtol=1e-12)


def test_of_several_classes_it_may_stay_at_another_than_the_nearest():
    network = Linear(classes=4)
    x, labels, exact = network.samples(32, (16,), "l2")
    found = decision_attack(network, x, labels, keyed(32), "hopskipjump", norm="l2", queries=2500, bounds=BOUNDS)
    near = found.distance <= 1.1 * exact
    assert near.mean() > 0.6
    assert (found.distance <= 3 * exact).all()


def test_the_boundary_attack_comes_within_twice_the_exact_distance():
    network = Linear(features=5)
    x, labels, exact = network.samples(4, (5,), "l2")
    found = decision_attack(network, x, labels, keyed(4), "boundary", norm="l2", queries=600, bounds=BOUNDS)
    start = decision_attack(network, x, labels, keyed(4), "boundary", norm="l2", queries=100, bounds=BOUNDS)
    assert (found.distance >= exact * (1 - 1e-5)).all()
    assert (found.distance <= 2 * exact).all(), found.distance / exact
    assert np.median(found.distance / start.distance) < 1


@pytest.mark.parametrize(("method", "norm", "queries"), [("hopskipjump", "linf", 700), ("boundary", "l2", 150)])
def test_a_sample_does_not_depend_on_the_others_nor_on_global_generators(method, norm, queries):
    network = Linear()
    x, labels, _ = network.samples(6, (1, 4, 4), norm)
    options = {"norm": norm, "queries": queries, "bounds": BOUNDS}
    torch.manual_seed(3)
    np.random.seed(3)
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    network.asked = 0
    whole = decision_attack(network, x, labels, keyed(6), method, **options)
    assert network.asked == whole.queries.sum()
    assert (whole.queries == queries).all()
    assert torch.equal(states[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])
    torch.manual_seed(4)
    order = [4, 1]
    generators = keyed(6)
    part = decision_attack(network, x[order], labels[order], [generators[i] for i in order], method, **options)
    for one, other in zip(part, whole, strict=True):
        np.testing.assert_array_equal(one, other[order])


def test_it_stops_where_it_is_near_enough():
    network = Linear()
    x, labels, exact = network.samples(20, (16,), "l2")
    found = decision_attack(
        network, x, labels, keyed(20), "hopskipjump", norm="l2", queries=2000, epsilon=1.2, bounds=BOUNDS
    )  # fmt: skip
    assert (found.distance <= 1.2).tolist() == (exact < 1.2).tolist()
    assert np.median(found.queries[exact < 1.2]) < 300
    assert (found.queries[exact > 1.2] == 2000).all()


def test_without_another_class_nothing_is_found_and_a_start_can_be_given():
    def scores(x):  # class 1 only in a corner that noise does not meet
        return np.stack([np.zeros(len(x)), (x > 0.9).all(axis=1) - 0.5], axis=1)

    x, labels = np.full((1, 12), 0.5, dtype=np.float32), np.zeros(1, int)
    options = {"norm": "linf", "queries": 400}
    lost = decision_attack(scores, x, labels, [np.random.default_rng(5)], "hopskipjump", **options)
    found = decision_attack(scores, x, labels, keyed(1), "hopskipjump", starts=np.ones_like(x), **options)
    assert lost.distance.tolist() == [np.inf] or lost.distance[0] > 0.4
    assert found.distance[0] == pytest.approx(0.4, abs=0.05)
    never = decision_attack(lambda x: np.zeros((len(x), 2)), x, labels, keyed(1), "boundary", norm="l2", queries=400)
    assert never.distance.tolist() == [np.inf]
    assert never.queries.tolist() == [101]
    np.testing.assert_array_equal(never.nearest, x)


def test_a_sample_that_is_wrong_already_is_at_no_distance():
    network = Linear()
    x, labels, _ = network.samples(3, (16,), "l2")
    found = decision_attack(network, x, 1 - labels, keyed(3), "boundary", norm="l2", queries=50, bounds=BOUNDS)
    assert found.distance.tolist() == [0.0] * 3
    assert found.queries.tolist() == [1] * 3


@pytest.mark.parametrize("shape", [(7,), (3, 5, 9), (1, 1, 4)])
def test_noise_becomes_coarser_turn_by_turn_up_to_one_colour(shape):
    own, several = np.random.default_rng(0), []
    for turn in range(5):
        noise = coarse_noise(own, shape, turn)
        assert noise.shape == shape
        several.append(len(np.unique(noise)) / np.prod(shape[:-2]))
    assert several[0] == np.prod(shape[-2:])
    assert min(several) == 1


def test_what_it_cannot_do_it_says():
    x, labels = np.zeros((2, 3), dtype=np.float32), np.zeros(2, int)
    with pytest.raises(ValueError, match="boundary knows no changes in linf: l2"):
        decision_attack(Linear(), x, labels, keyed(2), "boundary", norm="linf", queries=5)
    with pytest.raises(ValueError, match="give one generator"):
        decision_attack(Linear(), x, labels, keyed(1), "boundary", norm="l2", queries=5)
    with pytest.raises(ValueError, match="at least one query"):
        decision_attack(Linear(), x, labels, keyed(2), "boundary", norm="l2", queries=0)
