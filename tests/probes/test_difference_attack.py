"""What the attack on the difference judges, step by step, against the same worked out by hand on linear networks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax

from bench.engine.in_memory import answers
from bench.errors import NotApplicable
from bench.metrics.adversarial.difference import DifferenceOfNetworks
from bench.probes import joint_outcomes
from bench.probes.base import Background, Context
from bench.probes.difference_attack import DifferenceAttackOptions, follow
from bench.probes.difference_views import PairViews, pair_views
from bench.probes.joint_outcomes import JointJudge, Judged, outcomes
from bench.stats.streams import generator

PIXELS, CLASSES, ROWS = 12, 4, 9
FIRST, SECOND = 0.2 * np.random.default_rng(5).normal(size=(2, CLASSES, PIXELS))


@pytest.fixture
def pair(linear):
    return linear(FIRST.astype(np.float32), bounds=(0.0, 1.0)), linear(SECOND.astype(np.float32), bounds=(0.0, 1.0))


@pytest.fixture
def alike(rows):
    """Samples to which both networks give one class, which is their label."""
    x = np.random.default_rng(6).uniform(0.02, 0.98, (200, PIXELS)).astype(np.float32)
    first, second = ((x @ weight.T).argmax(axis=1) for weight in (FIRST, SECOND))
    same = np.flatnonzero(first == second)[:ROWS]
    assert len(same) == ROWS
    return rows(x[same], first[same])


@pytest.fixture
def judged(monkeypatch):
    """Every array of points that both networks are asked about."""
    points = []
    own = JointJudge.of

    def of(self, x, labels):
        points.append(x.copy())
        return own(self, x, labels)

    monkeypatch.setattr(JointJudge, "of", of)
    return points


def gradient(method, x, labels, targets, c, form):
    """Of the objective with respect to x (n, pixels), by hand: the Jacobian of a softmax."""
    n, rows = len(x), np.arange(len(x))
    p, q = softmax(x @ FIRST.T, axis=1), softmax(x @ SECOND.T, axis=1)
    one = np.eye(CLASSES)

    def held(r):  # of r[y], or of its logit, with respect to the logits
        down = r[rows, labels][:, None] * (one[labels] - r)
        own = r[rows, labels]
        return down if form == "probability" else down / (own * (1 - own))[:, None]

    def towards(t):  # of log q[t]
        return one[t] - q

    if method == "pgd":
        return -towards(labels) @ SECOND if targets is None else towards(targets) @ SECOND
    slope = held(p) @ FIRST - c * held(q) @ SECOND
    assert slope.shape == (n, PIXELS)
    return slope if targets is None else slope + 100 * towards(targets) @ SECOND


def nearest(x, labels):
    """The wrong class nearest in l_inf by the second network, which is linear."""
    z = x @ SECOND.T
    size = np.abs(SECOND[labels][:, None] - SECOND[None]).sum(axis=2)
    far = (z[np.arange(len(x)), labels][:, None] - z) / np.where(size > 0, size, 1)
    return np.where(size > 0, far, np.inf).argmin(axis=1)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("method", "c", "form"), [
    ("diva", 1.0, "probability"), ("diva", 2.5, "probability"), ("diva", 0.4, "logit"), ("pgd", 1.0, "probability"),
])  # fmt: skip
def test_every_point_that_is_judged_is_the_step_by_hand(pair, alike, judged, method, c, form, targeted) -> None:
    metric = DifferenceOfNetworks(
        epsilon=0.1, step=0.04, steps=5, methods=(method,), c=c, objective=form, targeted=targeted
    )
    shown = answers(metric, pair[1], alike, pair[0])
    assert shown["started"].all()
    assert len(judged) == 2 + 5  # the samples, the steps, what was found
    x = alike.x[:, 0, 0].astype(np.float64)
    targets = nearest(x, alike.y) if targeted else None
    point = x
    for step in judged[1:-1]:
        slope = gradient(method, point, alike.y, targets, c, form)
        clear = np.abs(slope) > 1e-4 * np.abs(slope).max()  # the sign of others hangs on float32
        point = np.clip(x + np.clip(point + 0.04 * np.sign(slope) - x, -0.1, 0.1), 0, 1)
        own = step[: len(x), 0, 0]
        np.testing.assert_allclose(own[clear], point[clear], atol=1e-6)
        point = own.astype(np.float64)
    last = [softmax(each, axis=1)[np.arange(len(x)), alike.y] for each in (point @ FIRST.T, point @ SECOND.T)]
    before = [softmax(each, axis=1)[np.arange(len(x)), alike.y] for each in (x @ FIRST.T, x @ SECOND.T)]
    change = np.stack(last, axis=1) - np.stack(before, axis=1)
    np.testing.assert_allclose(shown["confidence_change"][:, 0], change, atol=1e-5)
    told = metric.details(shown)[method]
    np.testing.assert_allclose(
        [told["confidence_change"][name] for name in ("reference", "variant")], change.mean(axis=0), atol=1e-5
    )
    assert np.abs(change).max() > 0.01


def test_noise_is_each_samples_own_and_has_as_many_points_as_there_are_steps(pair, alike, judged) -> None:
    metric = DifferenceOfNetworks(epsilon=0.01, steps=3, methods=("noise",))
    shown = answers(metric, pair[1], alike, pair[0], seed=7)
    assert len(judged) == 2 + 3
    assert not shown["zero_gradient"].any()
    for row, name in enumerate(alike.ids):
        own = generator("adversarial.difference", 7, name)
        for points in judged[1:-1]:
            away = own.uniform(-0.01, 0.01, (1, 1, PIXELS))
            np.testing.assert_allclose(points[row], (alike.x[row] + away).clip(0, 1), atol=1e-6)


class Told:
    """A judge with answers of its own: classes (n, 2) by step."""

    def __init__(self, *classes):
        self.classes = iter(np.array(classes))

    def of(self, points, labels):
        own = next(self.classes)
        return Judged(outcomes(own, labels), own, np.full((len(labels), 2), 0.5))


def test_the_first_success_is_kept_and_the_last_iterate_told() -> None:
    labels, targets = np.array([0, 0, 0, 0]), np.array([1, 1, 1, 1])
    steps = (  # reference, variant: never; in step 1 and 3; in step 2 only, to another class; in step 3, by both wrong
        [[0, 0], [0, 1], [0, 0], [0, 0]],
        [[0, 0], [0, 0], [0, 2], [1, 1]],
        [[0, 0], [0, 1], [0, 0], [1, 2]],
    )
    points = [np.full((4, 1), number, dtype=np.float32) for number in (1, 2, 3)]
    zero = [np.array([number == 1, False, number > 1, True]) for number in (1, 2, 3)]

    def followed(aim):
        return follow(Told(*steps), zip(points, zero, strict=True), labels, aim)

    free, aimed = followed(None), followed(targets)
    assert free.first.tolist() == [0, 1, 2, 0]
    assert aimed.first.tolist() == [0, 1, 0, 0]
    assert free.inputs[:, 0].tolist() == [3, 1, 2, 3]
    assert aimed.inputs[:, 0].tolist() == [3, 1, 3, 3]
    for each in (free, aimed):
        assert each.joint_last.tolist() == [False, True, False, False]
        assert each.outcome.tolist() == [0, 1, 0, 3]
        assert each.zero_gradient.tolist() == [True, False, False, True]


def test_a_step_is_an_eighth_of_epsilon_unless_it_is_given() -> None:
    assert DifferenceAttackOptions(epsilon=0.8).stepsize == pytest.approx(0.1)
    assert DifferenceAttackOptions(epsilon=0.8, step=0.03).stepsize == 0.03


@pytest.mark.parametrize("role", ["reference", "variant"])
def test_a_network_that_gives_nan_is_not_judged(pair, alike, role, monkeypatch) -> None:
    broken = alike.x.copy()
    broken[3] = np.nan
    steady = dict(zip(("reference", "variant"), pair, strict=True))
    own = joint_outcomes.log_probabilities

    def scores(predictor, x):
        told = own(predictor, np.nan_to_num(x)).copy()
        if predictor is steady[role]:
            told[np.isnan(x).reshape(len(x), -1).any(axis=1)] = np.nan
        return told

    monkeypatch.setattr(joint_outcomes, "log_probabilities", scores)
    judge = JointJudge(*pair)
    assert judge.of(alike.x, alike.y).outcome.tolist() == [0] * ROWS
    with pytest.raises(NotApplicable, match=rf"the {role} gives NaN on 1 of {ROWS} inputs: no class to judge"):
        judge.of(broken, alike.y)


def test_as_many_rows_go_together_as_both_views_take() -> None:
    views = {"reference": SimpleNamespace(size=5), "variant": SimpleNamespace(size=3)}
    assert {len(batch.rows) for batch in PairViews(None, None, views).batches(20)} == {3}


def test_a_surrogate_is_trained_to_the_references_answers_in_the_order_of_the_seed(pair, alike) -> None:
    background = Background(
        np.random.default_rng(1).uniform(size=(150, 1, 1, PIXELS)).astype(np.float32), "calibration"
    )
    learnt = {}
    for name, seed, reference in (("one", 1, pair[0]), ("again", 1, pair[0]), ("two", 2, pair[0]), ("own", 1, pair[1])):
        context = Context(seed, 0, False, ROWS, alike.x, {}, None, background)
        with pair_views(reference, pair[1], context, surrogate=True) as views:
            learnt[name] = np.concatenate([each.numpy().ravel() for each in views.first.weights.values()])
    np.testing.assert_array_equal(learnt["one"], learnt["again"])
    assert not np.array_equal(learnt["one"], learnt["two"])
    np.testing.assert_allclose(learnt["one"], learnt["two"], atol=0.02)
    start = np.concatenate([each.detach().numpy().ravel() for each in pair[1].differentiable().parameters()])
    away = {name: np.abs(learnt[name] - start).max() for name in ("one", "own")}
    assert away["own"] < 0.1 * away["one"]
