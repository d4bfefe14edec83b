"""Certified radii of real networks: never beyond an input that has another class."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.engine.in_memory import answers
from bench.functional.lipschitz.certified_radii import contradicted
from bench.metrics.lipschitz.margin import Margin
from tests.metrics.ensemble import Ensemble

METRIC = Margin(epsilon=0.02)


def test_of_a_linear_network_the_radius_is_the_distance_to_the_border(linear, rows) -> None:
    random = np.random.default_rng(0)
    weight, x = random.normal(size=(3, 6)).astype(np.float32), random.random((40, 6)).astype(np.float32)
    shown = answers(METRIC, linear(weight), rows(x))
    z = x @ weight.T
    top = z.argmax(axis=1)
    exact = [
        min((z[i, top[i]] - z[i, j]) / np.linalg.norm(weight[top[i]] - weight[j]) for j in range(3) if j != top[i])
        for i in range(40)
    ]
    np.testing.assert_allclose(shown["certified_radius"], exact, rtol=1e-4)
    assert (shown["certified_radius"] <= np.array(exact) * (1 + 1e-5)).all()


@pytest.mark.parametrize("name", ["reference", "onnx"])
def test_no_attack_within_the_radius_succeeds(predictors, samples, name) -> None:
    """Gradient steps of the margin, in l2, from every sample to just inside its radius."""
    few = samples.take(slice(0, 60))
    predictor = predictors[name]
    shown = answers(METRIC, predictor, few)
    radius = torch.from_numpy(shown["certified_radius"]).float().reshape(-1, 1, 1, 1)
    assert (radius > 0).all()
    module, x = predictor.differentiable(), torch.from_numpy(few.x)
    top = predictor.logits(x)[0].argmax(dim=1)
    for length, expected in ((0.999, False), (200.0, True)):
        moved = x.clone()
        for _ in range(20):
            moved = moved.detach().requires_grad_()
            z = module(moved)
            other = z.scatter(1, top[:, None], -torch.inf).amax(dim=1)
            (gradient,) = torch.autograd.grad((other - z.gather(1, top[:, None])[:, 0]).sum(), moved)
            unit = gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-12).reshape(-1, 1, 1, 1)
            moved = moved + radius * length * unit / 10
            away = moved - x
            size = away.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
            moved = x + away * (radius * length / size.clamp(min=1e-12)).clamp(max=1)
        assert bool((predictor.logits(moved.detach())[0].argmax(dim=1) != top).any()) == expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("attack", ["DDNAttack", "L2FMNAttack", "L2DeepFoolAttack", "L2CarliniWagnerAttack"])
def test_nearest_inputs_of_strong_attacks_lie_beyond_the_radius(predictors, samples, attack) -> None:
    """foolbox's minimum-norm attacks, judged on the network itself, as is whatever they find."""
    import foolbox

    few, predictor = samples.take(slice(0, 40)), predictors["reference"]
    shown = answers(METRIC, predictor, few)
    x = torch.from_numpy(few.x)
    top = predictor.logits(x)[0].argmax(dim=1)
    network = foolbox.PyTorchModel(predictor.differentiable(), bounds=(0, 1))
    options = {"steps": 200} if attack != "L2DeepFoolAttack" else {}
    _, found, _ = getattr(foolbox.attacks, attack)(**options)(network, x, top, epsilons=None)
    other = predictor.logits(found)[0].argmax(dim=1) != top
    distances = torch.where(other, (found - x).flatten(1).norm(dim=1), torch.inf).double().numpy()
    assert np.isfinite(distances).mean() > 0.9
    radii = shown["certified_radius"]
    assert contradicted(radii, distances).size == 0
    assert contradicted(radii * np.median(distances / radii), distances).size > 10  # radii that are too large are seen


def test_certified_accuracy_is_below_accuracy_and_falls_with_the_radius(predictors, samples) -> None:
    shown = answers(METRIC, predictors["reference"], samples)
    details = METRIC.details(shown)
    curve = details["certified_accuracy_curve"]["accuracy"]
    assert curve[0] == pytest.approx(shown["correct"].mean())
    assert 0 < shown["certified"].mean() < curve[0]
    assert (np.diff(curve) <= 0).all()
    assert details["largest_pair_constant"] > 0


@pytest.mark.parametrize(("name", "said"), [("ptq4", "no finite Lipschitz constant"), ("both", "several members")])
def test_what_has_no_constant_has_no_radius(predictors, samples, name, said) -> None:
    asked = Ensemble(*2 * [predictors["reference"]]) if name == "both" else predictors[name]
    shown = answers(METRIC, asked, samples)
    assert said in shown.refusal("certified_radius")
    assert METRIC.details(shown) == {}
