"""Every attack keeps the contract; on linear networks they find the distances that are known exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.attacks.base import Asked, Attack, Found, attacks
from bench.attacks.declared import declared_attack, declared_attacks
from bench.engine.in_memory import answers
from bench.errors import UserError
from bench.functional.attacks.allowed import lengths
from bench.metrics.adversarial.robust_error import RobustError
from bench.probes.attack_cascade import run_cascade
from bench.probes.gradient_view import gradient_view
from bench.probes.logits import log_probabilities
from bench.registry import parameters
from bench.runtimes.opening import open_predictor
from tests.zoo import TARGETS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

QUICK = {  # every registered attack, with parameters that keep it short
    "apgd-ce": "apgd-ce[steps=8]",
    "apgd-t": "apgd-t[steps=5]",
    "boundary": "boundary[queries=70]",
    "carlini-wagner": "carlini-wagner[steps=10,binary_search_steps=2]",
    "ddn": "ddn[steps=10]",
    "deepfool": "deepfool[steps=5]",
    "fgsm": "fgsm",
    "fmn": "fmn[steps=10]",
    "hopskipjump": "hopskipjump[queries=300]",
    "nes": "nes[queries=200,pairs=10]",
    "pgd": "pgd[steps=4,restarts=2]",
    "square": "square[queries=60]",
}
CASES = [(name, norm) for name in attacks.names() for norm in attacks.get(name).norms]


def asked_of(predictor, view, x, labels, *, norm="linf", epsilon=None, ids=None, seed=0) -> Asked:
    names = tuple(f"sample/{i}" for i in range(len(x))) if ids is None else ids
    bounds = predictor.spec.input.bounds
    classes = len(predictor.spec.input.classes)

    def scores(x):
        return log_probabilities(predictor, x)

    return Asked(x, labels, names, seed, norm, epsilon, bounds, classes, scores, view)


@pytest.fixture(scope="module")
def network(predictors, samples):
    """A trained network with its view, on samples that it gets right."""
    predictor = predictors["reference"]
    right = log_probabilities(predictor, samples.x).argmax(axis=1) == samples.y
    with gradient_view(predictor) as view:
        yield predictor, view, samples.take(np.flatnonzero(right)[:20])


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_what_a_sample_is_told_does_not_hang_on_the_others(name, norm, network) -> None:
    predictor, view, samples = network
    whole = asked_of(predictor, view, samples.x, samples.y, norm=norm, epsilon=0.2 if norm == "linf" else 1.0)
    whole = replace(whole, ids=samples.ids)
    attack = declared_attack(QUICK[name], norm)
    together, again = attack.run(whole), attack.run(whole)
    rows = np.array([17, 3, 8])
    apart = attack.run(whole.take(rows))
    assert together.candidates
    for one, other, few in zip(together.candidates, again.candidates, apart.candidates, strict=True):
        assert one.shape == samples.x.shape
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one[rows], few)
    for flag, values in together.flags.items():
        np.testing.assert_array_equal(values[rows], apart.flags[flag])
    if together.queries is not None:
        np.testing.assert_array_equal(together.queries[rows], apart.queries)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_the_global_generators_are_left_alone(name, norm, network) -> None:
    import torch

    predictor, view, samples = network
    few = samples.take(np.arange(4))
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    declared_attack(QUICK[name], norm).run(asked_of(predictor, view, few.x, few.y, norm=norm, epsilon=0.2))
    assert torch.equal(torch.random.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_most_samples_fall_within_half_the_range(name, norm, network) -> None:
    predictor, view, samples = network
    epsilon = 0.5 if norm == "linf" else 4.0
    asked = asked_of(predictor, view, samples.x, samples.y, norm=norm, epsilon=epsilon)
    text = {"carlini-wagner": "carlini-wagner[steps=60,binary_search_steps=3,initial_const=1.0]"}.get(name, QUICK[name])
    found = run_cascade(asked, (declared_attack(text, norm),))
    assert found.robust.mean() < 0.35
    change = lengths(found.inputs.astype(np.float64) - samples.x, norm)
    assert (change <= epsilon * (1 + 1e-6)).all()
    fallen = ~found.robust
    assert (log_probabilities(predictor, found.inputs).argmax(axis=1) != samples.y)[fallen].all()
    np.testing.assert_array_equal(found.inputs[found.robust], samples.x[found.robust])


def linear_pair(linear, rows, classes, pixels=30, n=64, seed=0):
    """A linear network, samples far from the bounds, and their exact distances by norm."""
    random = np.random.default_rng(seed)
    weight = random.normal(size=(classes, pixels)).astype(np.float32) / np.sqrt(pixels)
    x = random.uniform(0.45, 0.55, size=(n, pixels)).astype(np.float32)
    scores = x.astype(np.float64) @ weight.T
    labels = scores.argmax(axis=1)
    gaps = scores[np.arange(n), labels][:, None] - scores
    between = weight[labels][:, None] - weight[None]
    distances = {}
    for norm, dual in (("linf", 1), ("l2", 2)):
        size = np.linalg.norm(between, ord=dual, axis=2)
        far = np.where(size > 0, gaps / np.maximum(size, 1e-30), np.inf)
        distances[norm] = far.min(axis=1)
    return linear(weight, bounds=(-1.0, 2.0)), rows(x, labels), distances


@pytest.mark.parametrize(
    ("text", "norm", "classes", "above"),
    [
        ("fmn", "linf", 2, 0.01),
        ("fmn", "l2", 2, 0.01),
        ("fmn", "linf", 6, 0.01),
        ("fmn", "l2", 6, 0.01),
        *(("ddn", "l2", classes, 0.01) for classes in (2, 4, 10)),
        ("deepfool", "linf", 2, 0.03),  # .02 of it its overshoot
        ("deepfool", "l2", 2, 0.03),
        ("deepfool", "linf", 6, 0.03),
        ("deepfool", "l2", 6, 0.03),
        *(("carlini-wagner[steps=80,binary_search_steps=6]", "l2", classes, 0.05) for classes in (2, 4, 10)),
    ],
)
def test_the_nearest_input_of_a_linear_network_is_as_far_as_it_must_be(
    linear, rows, text, norm, classes, above
) -> None:
    predictor, samples, distances = linear_pair(linear, rows, classes)
    clear = distances[norm] > 0.012  # nearer ones drown in float32
    with gradient_view(predictor) as view:
        asked = asked_of(predictor, view, samples.x, samples.y, norm=norm)
        (found,) = declared_attack(text, norm).run(asked).candidates
    assert (log_probabilities(predictor, found).argmax(axis=1) != samples.y)[clear].all()
    constant = 1.1e-4 if text == "deepfool" else 0.0  # DeepFool adds 1e-4 to each step
    ratio = (lengths(found.astype(np.float64) - samples.x, norm)[clear] - constant) / distances[norm][clear]
    assert clear.sum() > 30
    assert ratio.min() > 1 - 1e-3 - constant / distances[norm][clear].min()
    assert ratio.max() < 1 + above


def distances_of(text, predictor, x, labels):
    """How far the inputs are in l2 that one round of an attack finds."""
    with gradient_view(predictor) as view:
        (found,) = declared_attack(text, "l2").run(asked_of(predictor, view, x, labels, norm="l2")).candidates
    return lengths(found.astype(np.float64) - x, "l2")


def test_aimed_at_no_class_ddn_stays_away_from_the_boundary(linear, rows) -> None:
    """The cross-entropy mixes wrong classes; its direction is not the nearest one's, and its first radius is 1."""
    predictor, samples, distances = linear_pair(linear, rows, 6)
    far = distances["l2"] > 0.05
    mixed = distances_of("ddn[targets=0]", predictor, samples.x, samples.y)
    assert np.median((mixed / distances["l2"])[far]) > 1.1


def test_a_sure_network_does_not_hide_its_boundary_from_ddn(linear, rows) -> None:
    """At logits × 300 the softmax of most samples is 0 or 1 in float32: distances are as far as before."""
    random = np.random.default_rng(1)
    weight = random.normal(size=(4, 30)).astype(np.float32)
    x = random.uniform(0.4, 0.6, size=(20, 30)).astype(np.float32)
    samples = rows(x, (x.astype(np.float64) @ weight.T).argmax(axis=1))
    networks = [linear(weight * scale, bounds=(-1.0, 2.0)) for scale in (1, 300)]
    found = [distances_of("ddn[steps=30]", each, samples.x, samples.y) for each in networks]
    assert found[0].min() > 0
    np.testing.assert_allclose(found[1], found[0], rtol=0.01)


def test_a_second_target_is_another_class(network) -> None:
    """Each round aims at its own class, as ``rounds`` says."""
    predictor, view, samples = network
    attack = declared_attack("ddn[steps=40,targets=2]", "l2")
    assert attack.rounds == 2
    asked = asked_of(predictor, view, samples.x, samples.y, norm="l2")
    first, second = (
        log_probabilities(predictor, attack.run(replace(asked, round=turn)).candidates[0]).argmax(axis=1)
        for turn in range(2)
    )
    other = (first != samples.y) & (second != samples.y)
    assert other.mean() > 0.8
    assert (first != second)[other].mean() > 0.5


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classes", [2, 4, 10])
def test_the_declared_set_reaches_every_sample_beyond_its_distance_and_none_before(linear, rows, norm, classes) -> None:
    predictor, samples, distances = linear_pair(linear, rows, classes)
    chosen = declared_attacks(["apgd-ce[steps=30]", "apgd-t[steps=30]", "fmn[steps=30]", "square[queries=10]"], norm)
    exact = distances[norm]
    with gradient_view(predictor) as view:
        asked = asked_of(predictor, view, samples.x, samples.y, norm=norm)
        beyond = run_cascade(replace(asked, epsilon=float(exact.max() * 1.001)), chosen)
        before = run_cascade(replace(asked, epsilon=float(exact[exact > 1e-3].min() * 0.999)), chosen)
        middle = run_cascade(replace(asked, epsilon=float(np.median(exact))), chosen)
    assert not beyond.robust.any()
    assert before.robust[exact > 1e-3].all()
    clear = np.abs(exact / np.median(exact) - 1) > 1e-3
    np.testing.assert_array_equal(middle.robust[clear], (exact > np.median(exact))[clear])


@parameters
class Far(Attack):
    """Looks far away, in each direction alike."""

    nearest = True

    def run(self, asked):
        return Found((asked.x + np.float32(0.25), asked.x + np.float32(0.3)))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_point_is_judged_once_however_many_candidates_come_back_to_it(linear, rows, norm) -> None:
    predictor, samples, _ = linear_pair(linear, rows, 4)
    counted = []

    def scores(x):
        counted.append(len(x))
        return log_probabilities(predictor, x)

    asked = replace(asked_of(predictor, None, samples.x, samples.y, norm=norm), scores=scores)
    for epsilon, distinct in ((0.01, 1), (100.0, 10)):
        counted.clear()
        run_cascade(replace(asked, epsilon=epsilon), (Far(),))
        assert sum(counted) == (1 + distinct) * len(samples.x)


def test_a_set_that_cannot_be_run_is_refused_in_words() -> None:
    with pytest.raises(UserError, match=r"attacks\[1\]: unknown attack 'fnm'; did you mean 'fmn'"):
        declared_attacks(["fgsm", "fnm"], "linf")
    with pytest.raises(UserError, match="ddn knows no changes in linf; choose another attack, or norm l2"):
        declared_attacks(["ddn"], "linf")
    with pytest.raises(UserError, match="pgd has no parameter 'stesp'; did you mean 'steps'"):
        declared_attacks(["pgd[stesp=3]"], "linf")
    with pytest.raises(UserError, match=r"pgd\[steps\]: Input should be greater than or equal to 1"):
        declared_attacks(["pgd[steps=0]"], "linf")
    with pytest.raises(UserError, match="it is empty"):
        declared_attacks([], "linf")
    with pytest.raises(UserError, match="cannot be read"):
        declared_attacks(["pgd[steps=3"], "linf")


def test_a_network_whose_classes_nobody_declared_is_aimed_at_all_the_same(predictors, samples) -> None:
    named = predictors["reference"]
    unnamed = open_predictor(replace(named.network, input=replace(named.network.input, classes=())), TARGETS["torch"])
    few, metric = samples.take(slice(0, 20)), RobustError(epsilon=0.15, attacks=("apgd-t[steps=10]",))
    found = [answers(metric, predictor, few)["robust_correct"] for predictor in (named, unnamed)]
    np.testing.assert_array_equal(*found)
    assert found[0].mean() < 0.8
