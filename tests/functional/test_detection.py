"""Detection figures against scikit-learn, their influence functions against the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from bench.functional.detection import (
    auroc,
    auroc_influence,
    average_precision,
    average_precision_influence,
    false_positive_rate,
    false_positive_rate_draws,
    overlapping,
)
from bench.stats.resampling import Resamples

BOTH = [(auroc, auroc_influence), (average_precision, average_precision_influence)]


def scores(digits=None, n=150, m=110, seed=0):
    random = np.random.default_rng(seed)
    both = random.normal(size=n), random.normal(1.2, 1.3, m)
    return both if digits is None else tuple(part.round(digits) for part in both)


@pytest.mark.parametrize("digits", [None, 1, 0, -1], ids=["none", "some", "many", "nearly all"])
def test_figures_are_those_of_scikit_learn_with_ties(digits) -> None:
    first, second = scores(digits)
    truth, score = np.r_[np.zeros(len(first)), np.ones(len(second))], np.r_[first, second]
    assert auroc(first, second) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert average_precision(first, second) == pytest.approx(average_precision_score(truth, score), abs=1e-12)
    false, true, _ = roc_curve(truth, score, drop_intermediate=False)
    assert false_positive_rate(first, second) == false[np.argmax(true >= 0.95)]


def test_ends_and_chance() -> None:
    low, high = np.arange(20.0), np.arange(20.0) + 20
    assert (auroc(low, high), average_precision(low, high), false_positive_rate(low, high)) == (1, 1, 0)
    assert auroc(high, low) == 0
    assert (auroc(np.ones(8), np.ones(2)), average_precision(np.ones(8), np.ones(2))) == (0.5, 0.2)
    assert false_positive_rate(np.ones(8), np.ones(2)) == 1
    assert overlapping(low, high) == 0
    assert auroc(np.array([0.0]), np.array([1.0])) == 1


@pytest.mark.parametrize("m", [1, 19, 20, 21, 100])
def test_the_first_threshold_that_finds_95_percent(m) -> None:
    """In whole numbers: .95 times 20 is 19 and not a little more."""
    positives = np.arange(float(m))
    assert false_positive_rate(np.array([m - np.ceil(19 * m / 20)]), positives) == 1
    assert false_positive_rate(np.array([m - np.ceil(19 * m / 20) - 0.5]), positives) == 0


@pytest.mark.parametrize("digits", [None, 0])
@pytest.mark.parametrize(("figure", "influence"), BOTH)
def test_standard_errors_are_those_of_the_bootstrap(figure, influence, digits) -> None:
    """1,500 draws: an error of 1.8 % of its own."""
    first, second = scores(digits)
    negatives, positives = influence(first, second)
    error = np.sqrt(negatives.var() / len(first) + positives.var() / len(second))
    random, draws = np.random.default_rng(1), []
    for _ in range(1500):
        draws.append(figure(random.choice(first, len(first)), random.choice(second, len(second))))
    assert error == pytest.approx(np.std(draws), rel=0.06)


def test_influence_on_an_area_is_the_share_of_pairs_that_are_right() -> None:
    first, second = scores(1, n=40, m=30)
    right = (second > first[:, None]) + 0.5 * (second == first[:, None])
    negatives, positives = auroc_influence(first, second)
    np.testing.assert_allclose(negatives, right.mean(axis=1) - right.mean(), atol=1e-12)
    np.testing.assert_allclose(positives, right.mean(axis=0) - right.mean(), atol=1e-12)


@pytest.mark.parametrize(("figure", "influence"), BOTH)
def test_influence_is_the_derivative_by_a_samples_weight(figure, influence) -> None:
    """A sample counted twice among 20 copies of all the others moves the figure by its influence over n, nearly."""
    first, second = scores(1, n=40, m=30)
    negatives, positives = influence(first, second)
    again = [np.tile(part, 20) for part in (first, second)]
    for index in (0, 7, 21):
        moved = figure(np.r_[again[0], first[index]], again[1]) - figure(first, second)
        assert moved == pytest.approx(negatives[index] / (len(again[0]) + 1), abs=3e-4)
        moved = figure(again[0], np.r_[again[1], second[index]]) - figure(first, second)
        if figure is auroc:  # a precision counts both sets, so that one more positive is another prevalence too
            assert moved == pytest.approx(positives[index] / (len(again[1]) + 1), abs=3e-4)


def test_draws_of_a_rate_are_those_of_resampled_sets() -> None:
    first, second = scores(1, n=40, m=30)
    rows = [np.concatenate(list(Resamples(size, 60).blocks())) for size in (40, 30)]
    wanted = [
        false_positive_rate(np.repeat(first, own), np.repeat(second, other))
        for own, other in zip(rows[0], rows[1][::-1], strict=True)
    ]
    np.testing.assert_allclose(false_positive_rate_draws(first, second, 60), wanted, atol=1e-12)
