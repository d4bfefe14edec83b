"""Expected gradients: closed forms, common draws, and how many of them it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.data.base import Samples
from bench.engine.in_memory import answers
from bench.functional.expected_gradients import draw_paths, expected_gradients
from bench.functional.similarity import cosine_distance
from bench.metrics.attribution.expected_gradients import ExpectedGradients
from bench.probes.base import Background, Context, Observation
from bench.probes.expected_gradients import ExpectedGradients as Probe
from bench.probes.expected_gradients import ExpectedGradientsDraws
from bench.stats.streams import generator


def test_a_linear_network_with_each_baseline_once_is_exact() -> None:
    """w (x - mean of the baselines), whatever the places."""
    random = np.random.default_rng(0)
    linear = nn.Linear(6, 3).double()
    x, background = (torch.from_numpy(random.random((n, 6))) for n in (5, 8))
    drawn = [draw_paths(8, 8, random) for _ in x]
    index, alpha = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
    target = torch.tensor([0, 1, 2, 0, 1])
    shown = expected_gradients(linear, x, target, background, index, alpha)
    weight = linear.weight - linear.weight.mean(dim=0)
    torch.testing.assert_close(shown.maps, (weight[target] * (x - background.mean(dim=0))).detach())
    torch.testing.assert_close(shown.maps.sum(dim=1), shown.logit_change)


def test_it_tends_to_integrated_gradients_over_all_baselines() -> None:
    """Of x A x with symmetric A: the mean over baselines of (x - x') A (x + x')."""

    class Quadratic(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            value = (x @ matrix * x).sum(dim=1)
            return torch.stack([value, -value], dim=1)

    random = np.random.default_rng(1)
    half = torch.from_numpy(random.normal(size=(4, 4)))
    matrix = half + half.T
    x, background = (torch.from_numpy(random.random((n, 4))) for n in (3, 5))
    exact = torch.stack([((x - b) * ((x + b) @ matrix)) for b in background]).mean(dim=0)
    drawn = [draw_paths(5, 4_000, random) for _ in x]
    index, alpha = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
    shown = expected_gradients(Quadratic(), x, torch.zeros(3, dtype=torch.int64), background, index, alpha)
    torch.testing.assert_close(shown.maps, exact, atol=0.03, rtol=0.02)


def test_places_are_stratified_and_no_baseline_returns_before_all_were_drawn() -> None:
    drawn = draw_paths(10, 37, np.random.default_rng(0))
    assert sorted((drawn.alpha * 37).astype(int)) == list(range(37))
    for start in (0, 10, 20):
        assert sorted(drawn.baselines[start : start + 10]) == list(range(10))
    places = np.concatenate([draw_paths(4, 4, np.random.default_rng(seed)).alpha[:1] for seed in range(4000)])
    assert abs(places.mean() - 0.5) < 0.02  # of the first draw alone: strata are in no order


@pytest.fixture
def behind(samples) -> Background:
    return Background(samples.x[-100:], "calibration")


@pytest.fixture
def shown(samples) -> Samples:
    return samples.take(slice(0, 30))


def ask(probe, predictor, samples, behind, draws=0, seed=7):
    needed = {"logits": {"log_probabilities": np.eye(10)[np.arange(len(samples)) % 10]}}
    reference = {name: Observation(arrays) for name, arrays in needed.items()}
    if draws:
        notes = {"draws": draws, "rerun_ceiling": 1.0}
        reference["expected-gradients-draws"] = Observation({"draws": np.full(len(samples), draws)}, notes)
    return probe.ask(predictor, samples, Context(seed, trial=samples.x, reference=reference, background=behind))


def test_draws_are_doubled_until_two_runs_agree(predictors, shown, behind) -> None:
    found = {}
    for ceiling in (0.9, 0.99):
        probe = ExpectedGradientsDraws(draws=5, most_draws=320, ceiling=ceiling)
        answer = ask(probe, predictors["reference"], shown, behind)
        found[ceiling] = answer.notes
        assert answer.arrays["draws"].tolist() == [answer.notes["draws"]] * len(shown)
        assert answer.notes["rerun_ceiling"] >= ceiling
    assert 5 < found[0.9]["draws"] < found[0.99]["draws"] < 320
    capped = ask(ExpectedGradientsDraws(draws=5, most_draws=7, ceiling=1.0), predictors["reference"], shown, behind)
    assert capped.notes["draws"] == 7
    assert capped.notes["rerun_ceiling"] < 1


def test_two_networks_have_the_same_draws_and_another_seed_has_others(predictors, shown, behind) -> None:
    """Common draws see a change that is far below the noise of drawing anew."""
    reference, changed = predictors["reference"], predictors["ptq4"]
    first = ask(Probe(), reference, shown, behind, draws=20).arrays["attribution"]
    common = ask(Probe(), changed, shown, behind, draws=20).arrays["attribution"]
    anew = ask(Probe(), reference, shown, behind, draws=20, seed=8).arrays["attribution"]
    assert cosine_distance(first, common).mean() < 0.5 * cosine_distance(first, anew).mean()
    part = shown.take(slice(3, 4))
    alone = ask(Probe(), reference, part, behind, draws=20)
    assert alone.notes["background"] == {"split": "calibration", "samples": 100}


def test_the_draws_of_a_sample_are_its_own(linear, rows, behind) -> None:
    assert draw_paths(5, 9, generator("a", "digits/1")).baselines.tolist() == (
        draw_paths(5, 9, generator("a", "digits/1")).baselines.tolist()
    )
    assert draw_paths(50, 9, generator("a", "digits/1")).baselines.tolist() != (
        draw_paths(50, 9, generator("a", "digits/2")).baselines.tolist()
    )


def test_without_a_calibration_split_the_first_evaluated_samples_are_the_background(predictors, shown) -> None:
    arrays = answers(metric := ExpectedGradients(draws=10, most_draws=10), predictors["reference"], shown)
    assert arrays.notes["background"] == {"split": "evaluation", "samples": 30}
    assert arrays.notes["draws"] == 10
    assert metric.details(arrays)["completeness_error_quantiles"]["0.5"] < 0.2
    assert Background.of(np.zeros((0, 1, 8, 8), np.float32), shown.x).split == "evaluation"
    assert Background.of(shown.x, shown.x).split == "calibration"
