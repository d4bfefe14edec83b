from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from bench.engine.in_memory import answers
from bench.errors import UserError
from bench.metrics.adversarial.pgd import ProjectedGradientDescent
from bench.probes.pgd import starts
from tests.metrics.asking import distance, figure

CHANGE, QUALITY = ProjectedGradientDescent.values


def robust(metric: ProjectedGradientDescent, predictor, samples) -> np.ndarray:
    return answers(metric, predictor, samples)["robust_correct"].astype(bool)


def test_a_linear_network_falls_exactly_beyond_its_distance(linear, rows) -> None:
    random = np.random.default_rng(0)
    weight, x = random.normal(size=(2, 5)).astype(np.float32), random.normal(size=(60, 5)).astype(np.float32)
    margin = x @ (weight[0] - weight[1])
    distance = np.abs(margin) / np.abs(weight[0] - weight[1]).sum()
    samples = rows(x, margin < 0)
    for epsilon in (0.1, 0.4):
        clear = np.abs(distance - epsilon) > 1e-3 * epsilon
        found = robust(ProjectedGradientDescent(epsilon=epsilon), linear(weight), samples)
        np.testing.assert_array_equal(found[clear], (distance > epsilon)[clear])
        assert 0 < found.mean() < 1


def test_preprocessing_does_not_change_the_units_of_epsilon(linear, rows) -> None:
    # the boundary is at x = 0.5 pixels whatever std is
    for std in (0.1, 10.0):
        predictor = linear(np.array([[1.0], [-1.0]]), mean=0.5, std=std, bounds=(0.0, 1.0))
        samples = rows([[0.7], [0.9]], [0, 0])
        assert robust(ProjectedGradientDescent(epsilon=0.3), predictor, samples).tolist() == [False, True]


def test_the_attack_stays_in_the_bounds(linear, rows) -> None:
    # only a pixel below 0 would fool the network, and there is none
    predictor = linear(np.array([[1.0], [-1.0]]), bias=np.array([0.01, 0.0]), bounds=(0.0, 1.0))
    assert robust(ProjectedGradientDescent(epsilon=0.5), predictor, rows([[0.2]], [0])).all()


def test_a_saturated_network_does_not_pass_for_a_robust_one(predictors, samples) -> None:
    metric = ProjectedGradientDescent(epsilon=0.1)
    plain = answers(metric, predictors["reference"], samples)
    saturated = answers(metric, predictors["saturated"], samples)
    assert not saturated["zero_gradient"].any()
    assert plain["clean_correct"].mean() > plain["robust_correct"].mean() + 0.3
    assert abs(saturated["robust_correct"].mean() - plain["robust_correct"].mean()) < 0.15


def test_clean_mistakes_are_errors_and_more_epsilon_hurts(predictors, samples) -> None:
    wrong = replace(samples, y=(samples.y + 1) % 10)
    shown = answers(ProjectedGradientDescent(epsilon=1e-6), predictors["reference"], wrong)
    assert figure(QUALITY, shown)[0] > 0.9
    errors = []
    for epsilon in (1e-6, 0.05, 0.15, 0.5):
        shown = answers(ProjectedGradientDescent(epsilon=epsilon), predictors["reference"], samples)
        assert (shown["robust_correct"] <= shown["clean_correct"]).all()
        errors.append(figure(QUALITY, shown)[0])
    assert errors == sorted(errors)
    assert errors[0] < 0.15
    assert errors[-1] > 0.95


def test_more_restarts_only_add_successes(predictors, samples) -> None:
    weak = {"epsilon": 0.1, "steps": 1, "relative_stepsize": 0.3}
    once = robust(ProjectedGradientDescent(**weak), predictors["reference"], samples)
    often = robust(ProjectedGradientDescent(**weak, restarts=5), predictors["reference"], samples)
    assert (often <= once).all()
    assert often.sum() < once.sum()


def test_a_sample_falls_alike_whoever_else_is_attacked(predictors, samples) -> None:
    # survivors of a restart are attacked again in other company
    metric = ProjectedGradientDescent(epsilon=0.08, steps=2, restarts=3)
    whole = robust(metric, predictors["reference"], samples)
    alone = [robust(metric, predictors["reference"], samples.take(slice(i, i + 1)))[0] for i in range(25)]
    assert whole[:25].tolist() == alone
    assert 0 < whole[:25].sum() < 25


def test_starts_belong_to_the_sample_the_seed_and_the_restart() -> None:
    first = starts(0, ("a", "b", "c"), 0, (1, 4, 4))
    assert np.array_equal(starts(0, ("c", "a"), 0, (1, 4, 4)), first[[2, 0]])
    for other in ((1, ("a",), 0), (0, ("a",), 1)):
        assert not np.array_equal(starts(*other, (1, 4, 4)), first[:1])
    many = starts(0, tuple(map(str, range(200))), 0, (5, 5))
    assert np.abs(many).max() <= 1
    assert abs(many.mean()) < 0.05
    assert abs(many.var() - 1 / 3) < 0.02


def test_a_verdict_flips_where_only_one_of_two_networks_holds(predictors, samples) -> None:
    metric = ProjectedGradientDescent(epsilon=0.1)
    a, b = (answers(metric, predictors[name], samples) for name in ("reference", "retrained"))
    assert distance(CHANGE, a, b).sum() == (a["robust_correct"] != b["robust_correct"]).sum() > 0


def test_masked_gradients_are_told(predictors, samples) -> None:
    metric = ProjectedGradientDescent(epsilon=0.1, steps=1)
    flags = {"clean_correct": [1, 1, 1, 1, 0], "robust_correct": [1, 1, 0, 0, 0], "zero_gradient": [1, 0, 0, 0, 0]}
    details = metric.details({name: np.array(found) for name, found in flags.items()})
    assert details["zero_gradient_share"] == 0.25
    assert answers(metric, predictors["ptq4"], samples).notes["gradient"] == "straight_through"


def test_pixels_out_of_bounds_are_the_users_error(predictors, samples) -> None:
    with pytest.raises(UserError, match="outside the declared bounds"):
        answers(ProjectedGradientDescent(epsilon=0.1), predictors["reference"], replace(samples, x=samples.x + 0.5))


@pytest.mark.parametrize("wrong", [{}, {"epsilon": 0}, {"epsilon": 0.1, "steps": 0}, {"epsilon": 0.1, "restart": 2}])
def test_wrong_parameters_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        ProjectedGradientDescent(**wrong)


def test_the_protocol_states_the_step() -> None:
    assert ProjectedGradientDescent(epsilon=0.1, steps=10).protocol()["relative_stepsize"] == 0.25
    assert ProjectedGradientDescent(epsilon=0.1, relative_stepsize=0.1).protocol()["relative_stepsize"] == 0.1


def test_targeted_reaches_what_the_geometry_hides_from_the_untargeted(linear, rows) -> None:
    # four classes, epsilon a thousandth beyond each sample's exact distance: untargeted steps follow the mean of the
    # wrong classes, and miss some
    random = np.random.default_rng(1)
    weight, x = random.normal(size=(4, 20)).astype(np.float32), random.normal(size=(200, 20)).astype(np.float32)
    z = x @ weight.T
    labels = z.argmax(axis=1)
    gaps = z[np.arange(200), labels][:, None] - z
    size = np.abs(weight[labels][:, None] - weight[None]).sum(axis=2)
    exact = np.where(size > 0, gaps / np.maximum(size, 1e-9), np.inf).min(axis=1)
    epsilon = float(exact.max() * 1.001)
    samples = rows(x, labels)
    untargeted = robust(ProjectedGradientDescent(epsilon=epsilon, restarts=3), linear(weight), samples)
    targeted = robust(ProjectedGradientDescent(epsilon=epsilon, restarts=3, targeted=True), linear(weight), samples)
    assert untargeted.any()
    assert not targeted.any()
    assert "targeted" not in ProjectedGradientDescent(epsilon=0.1).parameters()
    assert ProjectedGradientDescent(epsilon=0.1, targeted=True).attack.parameters()["targeted"] is True
