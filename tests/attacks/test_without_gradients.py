"""Attacks without gradients on an 8-bit network as ONNX Runtime runs it, and HopSkipJump from several starts."""

from __future__ import annotations

import numpy as np
import pytest

from bench.attacks.base import Asked
from bench.attacks.declared import declared_attack
from bench.errors import UserError
from bench.functional.attacks.allowed import lengths
from bench.probes.attack_cascade import run_cascade
from bench.probes.logits import log_probabilities


class Scores:
    """A predictor's log-probabilities, with the number of inputs that it was asked."""

    def __init__(self, predictor):
        self.predictor = predictor
        self.asked = 0

    def __call__(self, x):
        self.asked += len(x)
        return log_probabilities(self.predictor, x)


@pytest.fixture(scope="module")
def edge(predictors, samples):
    """An 8-bit network of ONNX Runtime, and samples that it gets right."""
    predictor = predictors["onnx8"]
    assert predictor.network.kind.startswith("onnx")
    right = log_probabilities(predictor, samples.x).argmax(axis=1) == samples.y
    return predictor, samples.take(np.flatnonzero(right)[:60])


def asked_of(scores, samples, norm, epsilon):
    bounds = scores.predictor.spec.input.bounds
    return Asked(samples.x, samples.y, samples.ids, 0, norm, epsilon, bounds, 10, scores)


@pytest.mark.parametrize(
    ("text", "norm", "epsilon"),
    [
        ("square[queries=150]", "linf", 0.12),
        ("square[queries=150]", "l2", 0.8),
        ("nes[queries=150,pairs=12]", "linf", 0.12),
        ("hopskipjump[queries=300]", "l2", 0.8),
    ],
)
def test_an_eight_bit_network_falls_as_it_runs(text, norm, epsilon, edge) -> None:
    predictor, samples = edge
    scores = Scores(predictor)
    asked = asked_of(scores, samples, norm, epsilon)
    found = run_cascade(asked, (declared_attack(text, norm),))
    assert found.clean.all()
    judging = scores.asked - found.queries.sum()  # once before, and what was found
    assert judging == 2 * len(samples.x) or ("hopskipjump" in text and 0 < judging <= 10 * len(samples.x))
    change = lengths(found.inputs.astype(np.float64) - samples.x, norm)
    assert (change <= epsilon * (1 + 1e-6)).all()
    wrong = log_probabilities(predictor, found.inputs).argmax(axis=1) != samples.y
    np.testing.assert_array_equal(wrong, ~found.robust)
    assert np.median(found.queries[wrong]) < np.median(found.queries[~wrong])
    random = np.random.default_rng(0)  # one random input of the ball's edge for each query of Square
    by_noise = np.zeros(len(samples.x), dtype=bool)
    for _ in range(150):
        noise = random.choice([-1.0, 1.0], samples.x.shape)
        noise *= epsilon / (1.0 if norm == "linf" else np.sqrt(noise[0].size))
        by_noise |= log_probabilities(
            predictor, np.clip(samples.x + noise, 0, 1).astype(np.float32)
        ).argmax(axis=1) != samples.y  # fmt: skip
    assert wrong.mean() > by_noise.mean() + 0.1
    few = asked.take(np.array([7, 2]))
    again = run_cascade(few, (declared_attack(text, norm),))
    np.testing.assert_array_equal(again.inputs, found.inputs[[7, 2]])
    np.testing.assert_array_equal(again.queries, found.queries[[7, 2]])


def test_more_starts_of_hop_skip_jump_find_nearer_classes(linear, rows) -> None:
    """Among four classes one start may end at another than the nearest: with three, few samples are left so."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(4, 12)).astype(np.float32)
    x = random.uniform(0.3, 0.7, size=(24, 12)).astype(np.float32)
    z = x.astype(np.float64) @ weight.T
    samples = rows(x, z.argmax(axis=1))
    between = np.linalg.norm(weight[samples.y][:, None] - weight, axis=2)
    gaps = (z.max(axis=1)[:, None] - z) / np.where(between > 0, between, 1)
    exact = np.where(between > 0, gaps, np.inf).min(axis=1)
    scores = Scores(linear(weight, bounds=(-1.0, 2.0)))
    attack, found = declared_attack("hopskipjump[queries=800,restarts=3]", "l2"), []
    for turn in range(attack.rounds):
        asked = Asked(samples.x, samples.y, samples.ids, 0, "l2", None, (-1.0, 2.0), 4, scores, round=turn)
        (candidate,) = attack.run(asked).candidates
        assert (scores(candidate).argmax(axis=1) != samples.y).all()
        found.append(lengths(candidate.astype(np.float64) - samples.x, "l2"))
    assert (np.min(found, axis=0) > exact * 0.999).all()
    assert (np.min(found, axis=0) < exact * 1.1).mean() > 0.8
    assert (np.min(found, axis=0) < exact * 1.1).sum() > (found[0] < exact * 1.1).sum()


def test_queries_that_do_not_suffice_for_one_estimate_are_refused() -> None:
    with pytest.raises(UserError, match="20 queries are not enough for one step"):
        declared_attack("nes[queries=20]", "linf")
