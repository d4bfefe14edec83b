"""Risk and coverage: closed forms, every order of ties, standard errors, and coverage of intervals."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from bench.functional.selective import (
    area_under_generalised_risk_coverage,
    area_under_risk_coverage,
    augrc_influence,
    aurc_influence,
    excess_area_under_risk_coverage,
    excess_aurc_influence,
    risk_at_coverage,
    risk_coverage_curve,
)
from bench.stats.harm import harm
from bench.stats.resampling import Resamples

AREAS = (area_under_risk_coverage, area_under_generalised_risk_coverage, excess_area_under_risk_coverage)


def once(function, confidence, correct):
    return float(function(confidence, correct, np.ones((1, len(confidence))))[0])


def drawn(n: int, seed: int, levels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    confidence = random.beta(6, 1.5, size=n)
    correct = (random.random(n) < confidence).astype(np.uint8)
    return (np.round(confidence * levels) / levels if levels else confidence), correct


@pytest.mark.parametrize("errors", [1, 20, 199])
def test_all_tied_is_the_error_rate_and_half_of_it(errors) -> None:
    correct = np.r_[np.zeros(errors), np.ones(200 - errors)]
    e = errors / 200
    assert once(area_under_risk_coverage, np.full(200, 0.7), correct) == pytest.approx(e)
    assert once(area_under_generalised_risk_coverage, np.full(200, 0.7), correct) == pytest.approx(e / 2)
    assert once(partial(risk_at_coverage, coverage=0.8), np.full(200, 0.7), correct) == pytest.approx(e)


def test_errors_last_is_the_best_order() -> None:
    """e + (1 - e) ln(1 - e) and O(1/n); e² / 2; no excess."""
    n, e = 20_000, 0.2
    correct = np.r_[np.ones(int(n * (1 - e))), np.zeros(int(n * e))]
    confidence = np.linspace(1, 0, n)
    assert once(area_under_risk_coverage, confidence, correct) == pytest.approx(e + (1 - e) * np.log(1 - e), abs=2 / n)
    assert once(area_under_generalised_risk_coverage, confidence, correct) == pytest.approx(e**2 / 2)
    assert once(excess_area_under_risk_coverage, confidence, correct) == pytest.approx(0, abs=1e-12)
    assert once(partial(risk_at_coverage, coverage=0.8), confidence, correct) == 0


def test_a_random_order_has_half_the_error_rate() -> None:
    random = np.random.default_rng(0)
    correct = (random.random(200) > 0.3).astype(np.uint8)
    found = [once(area_under_generalised_risk_coverage, random.random(200), correct) for _ in range(400)]
    spread = np.std(found) / 20
    assert abs(np.mean(found) - (1 - correct.mean()) / 2) < 4 * spread


def test_ties_are_taken_in_every_order() -> None:
    confidence, correct = np.array([0.9, 0.9, 0.9, 0.5, 0.5, 0.2]), np.array([1, 0, 1, 0, 1, 1])
    random = np.random.default_rng(0)
    found = []
    for _ in range(20_000):
        order = np.lexsort((random.random(6), -confidence))
        wrong = np.cumsum(1 - correct[order])
        found.append([(wrong / np.arange(1, 7)).mean(), wrong[2] / 3, wrong[4] / 5])
    area, half, most = np.mean(found, axis=0)
    assert once(area_under_risk_coverage, confidence, correct) == pytest.approx(area, abs=0.003)
    assert once(partial(risk_at_coverage, coverage=0.5), confidence, correct) == pytest.approx(half, abs=0.005)
    assert once(partial(risk_at_coverage, coverage=5 / 6), confidence, correct) == pytest.approx(most, abs=0.005)


@pytest.mark.parametrize("function", [*AREAS, partial(risk_at_coverage, coverage=0.8)])
def test_weights_are_repetitions(function) -> None:
    """A sample of weight two is two samples of one confidence."""
    confidence, correct = drawn(40, 1, levels=30)
    weights = np.random.default_rng(0).multinomial(40, np.full(40, 1 / 40), size=7).astype(np.float64)
    for row in weights:
        again = once(function, np.repeat(confidence, row.astype(int)), np.repeat(correct, row.astype(int)))
        assert function(confidence, correct, row[None])[0] == pytest.approx(again)


def test_weights_that_are_no_whole_numbers_interpolate() -> None:
    confidence, correct = drawn(40, 1)
    whole = np.ones((1, 40))
    nearly = whole + 1e-6 * np.r_[1.0, -1.0, np.zeros(38)]
    found = [area_under_risk_coverage(confidence, correct, weights)[0] for weights in (whole, nearly)]
    assert found[1] == pytest.approx(found[0], abs=1e-6)
    assert found[1] != found[0]


@pytest.mark.parametrize("levels", [0, 64])
@pytest.mark.parametrize(
    ("function", "influence"),
    [
        (area_under_risk_coverage, aurc_influence),
        (excess_area_under_risk_coverage, excess_aurc_influence),
        (area_under_generalised_risk_coverage, augrc_influence),
    ],
)
def test_influence_functions_agree_with_ten_thousand_draws(function, influence, levels) -> None:
    confidence, correct = drawn(900, 2, levels)
    draws = Resamples(900).statistic(function, confidence, correct)
    error = influence(confidence, correct).std() / 900**0.5
    assert error == pytest.approx(draws.std(), rel=0.05)


def coverage(function, sets: int, n: int, draws: int) -> float:
    """How often the interval of a paired harm holds the harm of the population of two sizes of one temperature."""
    population = 400_000
    random = np.random.default_rng(0)

    def networks(size):
        ease = random.normal(1.2, 1.5, size=size)
        first, second = ease + random.normal(0, 0.5, size), 0.8 * ease + random.normal(0, 0.7, size)
        right = [random.random(size) < 1 / (1 + np.exp(-ease)) for _ in range(2)]
        right[1] = np.where(random.random(size) < 0.9, right[0], right[1])
        sure = [1 / (1 + np.exp(-np.abs(each))) for each in (first, second)]
        return list(zip(sure, right, strict=True))

    truth = [once(function, *network) for network in networks(population)]
    resamples, held = Resamples(n, draws), 0
    for _ in range(sets):
        both = networks(n)
        figures = [once(function, *network) for network in both]
        resampled = [resamples.statistic(function, *network) for network in both]
        interval = harm(*figures, *resampled, better="lower", samples=n).interval
        held += interval.low <= truth[1] - truth[0] <= interval.high
    return held / sets


@pytest.mark.parametrize("function", [*AREAS, partial(risk_at_coverage, coverage=0.8)])
def test_intervals_of_harms_cover(function) -> None:
    """The short form: 100 sets of 300 samples; of 1,000 sets of 200 each AURC and AUGRC covered 94.7 and 95.0 %."""
    assert 0.89 <= coverage(function, 100, 300, 500) <= 1


def test_the_curve_ends_at_the_error_rate() -> None:
    confidence, correct = drawn(300, 3)
    curve = risk_coverage_curve(confidence, correct)
    assert curve["coverage"][-1] == 1
    assert curve["risk"][-1] == pytest.approx(1 - correct.mean())
    assert len(curve["risk"]) == 20


def test_without_ties_both_areas_are_what_they_are_defined_as() -> None:
    """Without ties: the mean of running error rates, in one line."""
    confidence, correct = drawn(500, 4)
    wrong = 1 - correct[np.argsort(-confidence)]
    running = np.cumsum(wrong) / np.arange(1, 501)
    assert once(area_under_risk_coverage, confidence, correct) == pytest.approx(running.mean())
    share = np.r_[0, np.cumsum(wrong)] / 500
    assert once(area_under_generalised_risk_coverage, confidence, correct) == pytest.approx(np.trapezoid(share) / 500)
