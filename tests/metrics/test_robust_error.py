"""A declared set of attacks and the nearest wrong input, where something is missing, wrong or rounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bench.engine.in_memory import answers
from bench.errors import NotApplicable, UserError
from bench.metrics.adversarial.minimum_norm import MinimumNormDistance
from bench.metrics.adversarial.robust_error import RobustError
from bench.networks.network import InputSpec, TorchNetwork
from bench.probes.logits import log_probabilities
from bench.runtimes.opening import open_predictor
from tests.zoo import TARGETS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
QUICK = ("apgd-ce[steps=8]", "apgd-t[steps=8,targets=1]")


def test_the_curve_of_distances_is_the_robust_error_at_each_epsilon(predictors, samples) -> None:
    few = samples.take(np.arange(60))
    found = answers(MinimumNormDistance(), predictors["reference"], few)
    for epsilon in (0.02, 0.05, 0.1):
        strong = RobustError(epsilon=epsilon, attacks=("apgd-ce[steps=25]", "apgd-t[steps=25]"))
        error = 1 - answers(strong, predictors["reference"], few)["robust_correct"].mean()
        assert abs(float((found["distance"] <= epsilon).mean()) - error) <= 2 / 60
    assert found["missed"].sum() <= 1
    assert found["reached"].all()


def test_of_a_linear_network_the_distances_are_exact(linear, rows) -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(5, 20)).astype(np.float32) / 5
    x = random.uniform(0.4, 0.6, size=(50, 20)).astype(np.float32)
    z = x.astype(np.float64) @ weight.T
    labels = z.argmax(axis=1)
    labels[:3] = (labels[:3] + 1) % 5  # mistakes
    gaps = z[np.arange(50), labels][:, None] - z
    size = np.abs(weight[labels][:, None] - weight[None]).sum(axis=2)
    exact = np.where(size > 0, gaps / np.maximum(size, 1e-9), np.inf).min(axis=1)
    exact[:3] = 0.0
    metric = MinimumNormDistance()
    found = answers(metric, linear(weight, bounds=(-1.0, 2.0)), rows(x, labels))
    clear = exact > 0.005
    np.testing.assert_allclose(found["distance"][clear], exact[clear], rtol=2e-3)
    assert (found["distance"][:3] == 0).all()
    np.testing.assert_allclose(np.exp(found["log_distance"][:3]), 3.0 / 510)  # half an 8-bit step of a span of 3
    assert metric.details(found)["clean_error"] == pytest.approx(3 / 50)


@pytest.mark.parametrize(
    "metric", [RobustError(epsilon=0.1, attacks=QUICK), MinimumNormDistance(attacks=("fmn[steps=5]",))]
)
def test_without_labels_the_reference_is_what_is_attacked(metric, predictors, samples) -> None:
    few = samples.take(np.arange(30))
    classes = log_probabilities(predictors["reference"], few.x).argmax(axis=1)
    blind = answers(metric, predictors["ptq4"], replace(few, y=None), predictors["reference"])
    told = answers(metric, predictors["ptq4"], replace(few, y=classes), predictors["reference"])
    for name in ("clean_correct", *(("robust_correct",) if "robust_correct" in told else ("distance",))):
        np.testing.assert_array_equal(blind[name], told[name])
    ((_, answer),) = blind.answers
    assert answer.notes["attacked"] == "the reference's classes"


def test_pixels_outside_the_bounds_are_refused(predictors, samples) -> None:
    bright = replace(samples.take(np.arange(3)), x=samples.x[:3] + 1)
    with pytest.raises(UserError, match="pixels lie outside the declared bounds; values from 0 to 1"):
        answers(RobustError(epsilon=0.1, attacks=QUICK), predictors["reference"], bright)


def test_what_cannot_be_declared_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        RobustError(epsilon=0.0)
    with pytest.raises(ValidationError, match="ddn knows no changes in linf"):
        RobustError(epsilon=0.1, attacks=("ddn",))
    with pytest.raises(ValidationError, match="pgd does not look for the nearest input; take fmn or deepfool"):
        MinimumNormDistance(attacks=("pgd",))


class Integers(torch.nn.Module):
    """Answers through whole numbers, so that no gradient exists at all."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, x):
        with torch.no_grad():
            return self.layer(x.flatten(1)).clone()


def test_a_network_without_gradients_is_skipped_by_a_set_that_follows_them(rows) -> None:
    torch.manual_seed(0)
    network = TorchNetwork(Integers().eval(), InputSpec((1, 1, 4), ("a", "b", "c")))
    predictor = open_predictor(network, TARGETS["torch"])
    x = np.random.default_rng(0).uniform(size=(20, 4))
    samples = rows(x)
    samples = replace(samples, y=log_probabilities(predictor, samples.x).argmax(axis=1))
    with pytest.raises(NotApplicable, match=r"gradients are zero on 100\.0% of 20 samples"):
        answers(RobustError(epsilon=0.3, attacks=QUICK), predictor, samples)
    found = answers(RobustError(epsilon=0.9, attacks=("square[queries=200]",)), predictor, samples)
    assert found["robust_correct"].mean() < 1
    assert found["queries"].max() <= 200


class Broken(torch.nn.Module):
    """A network whose gradient is not a number where the first pixel is above a half, though its values are."""

    def forward(self, x):
        flat = x.flatten(1)
        root = torch.where(flat[:, 0] > 0.5, (flat[:, 0] * 0).sqrt(), flat[:, 0] * 0)
        gap = flat[:, 1] - 0.5 + root
        return torch.stack([gap, -gap], dim=1)


def test_a_gradient_that_is_not_a_number_is_no_success(rows) -> None:
    predictor = open_predictor(TorchNetwork(Broken().eval(), InputSpec((1, 1, 2), ("0", "1"))), TARGETS["torch"])
    x = np.stack([np.r_[0.9, np.full(39, 0.2)], np.full(40, 0.9)], axis=1)
    samples = rows(x, np.zeros(40, dtype=np.int64))
    metric = RobustError(epsilon=0.05, attacks=("apgd-ce[steps=5]", "pgd[steps=3]", "fmn[steps=5]"))
    assert answers(metric, predictor, samples)["robust_correct"].all()
    distance = answers(MinimumNormDistance(attacks=("fmn[steps=10]",)), predictor, samples)["distance"]
    np.testing.assert_allclose(distance, 0.4, rtol=1e-2)


def test_found_inputs_can_be_eight_bit_pixels(predictors, samples) -> None:
    from bench.attacks.declared import declared_attacks
    from bench.probes.attack_cascade import run_cascade
    from bench.probes.attack_options import asked_of
    from bench.probes.base import Context
    from bench.probes.gradient_view import gradient_view

    predictor = predictors["reference"]
    grid = replace(samples, x=(np.round(samples.x * 255) / 255).astype(np.float32)).take(np.arange(40))
    with gradient_view(predictor) as view:
        asked = asked_of(predictor, grid, grid.y, Context(0), norm="linf", epsilon=0.1, view=view)
        found = run_cascade(asked, declared_attacks(QUICK, "linf"), pixel_grid=True)
        with pytest.raises(NotApplicable, match="pixel_grid needs samples of 8-bit pixels"):
            run_cascade(replace(asked, x=asked.x * 0.999), declared_attacks(QUICK, "linf"), pixel_grid=True)
    levels = found.inputs.astype(np.float64) * 255
    assert np.abs(levels - levels.round()).max() < 1e-3
    assert np.abs(found.inputs - grid.x).max() <= 0.1 + 1e-6
    fallen = found.clean & ~found.robust
    assert fallen.sum() > 10
    assert (log_probabilities(predictor, found.inputs).argmax(axis=1) != grid.y)[fallen].all()


def test_an_int8_session_is_attacked_through_its_twin_and_judged_itself(predictors, samples) -> None:
    few = samples.take(np.arange(40))
    metric = RobustError(epsilon=0.1, attacks=(*QUICK, "square[queries=50]"))
    found = answers(metric, predictors["onnx8"], few)
    told = metric.details(found)
    assert told["fell_to"]["apgd-ce[steps=8]"] > 5
    assert 0 < found["robust_correct"].mean() < found["clean_correct"].mean()


def test_a_named_set_stands_in_full_in_the_parameters() -> None:
    slow = RobustError(epsilon=0.1, attacks=("slow",))
    assert slow.attacks == (*RobustError(epsilon=0.1).attacks[:-1], "square[queries=5000]")
    assert slow == RobustError(epsilon=0.1, attacks=slow.attacks)
