from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.engine.in_memory import answers
from bench.errors import NotApplicable, UserError
from bench.functional.integrated_gradients import completeness_error, completeness_missed
from bench.metrics.attribution.ig import IntegratedGradients
from bench.probes.base import Context, Observation
from bench.probes.integrated_gradients import IntegratedGradients as Probe
from tests.metrics.asking import distance

COSINE, _, SPEARMAN, *_ = IntegratedGradients.values


@pytest.fixture
def weight() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)


def of_classes(classes, steps=3) -> Context:
    """A context in which the reference gives these classes, and needs so many nodes."""
    needed = {"logits": {"log_probabilities": np.eye(3)[classes]}}
    needed["integrated-gradients-steps"] = {"steps": np.full(len(classes), steps)}
    return Context(0, reference={name: Observation(arrays) for name, arrays in needed.items()})


@pytest.mark.parametrize("baseline", [None, 0.5])
def test_a_linear_network_is_attributed_exactly(linear, rows, weight, baseline) -> None:
    x = np.random.default_rng(1).random((8, 6)).astype(np.float32)
    explained = np.arange(8) % 3
    predictor = linear(weight, bounds=(-1.0, 2.0), mean=0.2, std=0.5)
    shown = Probe(steps=3, baseline=baseline).ask(predictor, rows(x), of_classes(explained)).arrays
    centred = (weight - weight.mean(axis=0)) / 0.5
    expected = centred[explained] * (x - (-1.0 if baseline is None else baseline))
    np.testing.assert_allclose(shown["attribution"][:, 0, 0], expected, rtol=1e-5, atol=1e-6)
    assert completeness_error(shown["attribution"], shown["logit_change"]).max() < 1e-6
    assert (shown["steps"] == 3).all()


def test_the_reference_names_the_class(linear, rows, weight) -> None:
    x = rows(np.ones((3, 6)))
    maps = [Probe(steps=2).ask(linear(weight), x, of_classes(np.full(3, c))).arrays["attribution"] for c in (0, 1)]
    assert not np.allclose(maps[0], maps[1])
    first = linear(weight[::-1].copy())
    own = answers(IntegratedGradients(steps=2), linear(weight), x)["attribution"]
    others = answers(IntegratedGradients(steps=2), linear(weight), x, first)["attribution"]
    assert not np.allclose(own, others)


def test_distances_grow_with_the_change(predictors, samples) -> None:
    metric = IntegratedGradients(steps=10)
    shown = {
        name: answers(metric, predictors[name], samples, predictors["reference"])
        for name in ("reference", "ptq4", "retrained")
    }
    for value in (COSINE, SPEARMAN):
        small, large = (distance(value, shown["reference"], shown[name]).mean() for name in ("ptq4", "retrained"))
        assert 0 < small < large < 1


def test_it_tells_how_well_the_maps_add_up(predictors, samples) -> None:
    medians = []
    for steps in (2, 50):
        metric = IntegratedGradients(steps=steps, most_steps=steps)
        shown = answers(metric, predictors["reference"], samples)
        details = metric.details(shown)
        medians.append(details["completeness_error_quantiles"]["0.5"])
        assert shown.notes["gradient"] == "exact"
    assert medians[1] < 0.02 < medians[0]


def test_nodes_are_added_until_the_reference_is_complete_and_others_take_the_same(predictors, samples) -> None:
    metric = IntegratedGradients(steps=4)
    reference = predictors["reference"]
    shown = answers(metric, reference, samples)
    missed = completeness_missed(shown["attribution"], shown["logit_change"], 0.01)
    assert len(np.unique(shown["steps"])) > 2
    assert (shown["steps"][missed] == 512).all()
    assert missed.mean() < 0.05
    other = answers(metric, predictors["retrained"], samples, reference)
    np.testing.assert_array_equal(other["steps"], shown["steps"])
    again = answers(metric, reference, samples.take(slice(0, 9)))
    np.testing.assert_array_equal(again["steps"], shown["steps"][:9])
    rounded = answers(metric, predictors["ptq4"], samples)
    assert rounded.notes["gradient"] == "straight_through"
    assert (rounded["steps"] == 4).all()


def test_images_that_equal_the_baseline_have_constant_maps_and_nothing_is_compared(predictors, samples) -> None:
    black = replace(samples, x=np.zeros_like(samples.x))
    with pytest.raises(NotApplicable, match=rf"its maps are constant on 100.0% of {len(samples)} samples"):
        answers(IntegratedGradients(steps=2), predictors["reference"], black)
    few = samples.x.copy()
    few[0] = 0.0
    shown = answers(metric := IntegratedGradients(steps=2), predictors["reference"], replace(samples, x=few))
    assert metric.details(shown)["zero_maps"] == 1
    assert not distance(COSINE, shown, shown).any()


def test_each_network_may_explain_its_own_class(linear, rows, weight) -> None:
    x = rows(np.random.default_rng(1).random((20, 6)))
    first, second = linear(weight), linear(-weight)
    same = answers(IntegratedGradients(steps=2), second, x, first)["attribution"]
    own = answers(metric := IntegratedGradients(steps=2, explained="own"), second, x, first)["attribution"]
    np.testing.assert_array_equal(own, answers(metric, second, x)["attribution"])
    assert not np.allclose(own, same)
    assert metric.protocol()["explained"] == "centred logit of each network's own class"


def test_a_baseline_out_of_bounds_is_the_users_error(predictors, samples) -> None:
    with pytest.raises(UserError, match="is out of bounds"):
        answers(IntegratedGradients(baseline=-0.5), predictors["reference"], samples)
