"""Further calibration errors: constructed cases, parts that sum, independent references, coverage of intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.calibration import calibration_curve

from bench.functional.calibration import debiased_squared_calibration_error
from bench.functional.calibration_errors import (
    brier_decomposition,
    classwise_calibration_error,
    equal_mass_calibration_error,
    reliability_diagram,
    resolution,
    smooth_calibration_error,
)
from bench.stats.figure import recentred
from bench.stats.harm import harm
from bench.stats.resampling import Resamples

TOP_LABEL = (equal_mass_calibration_error, smooth_calibration_error, resolution)


def once(function, *of, **more):
    return float(function(*of, np.ones((1, len(of[1]))), **more)[0])


def drawn(n: int, seed: int, accurate: bool = False, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Top confidences that are too high by ``shift``, and whether the answer is right."""
    random = np.random.default_rng(seed)
    chance = 0.4 + 0.5 * random.beta(24, 1.3, n) if accurate else 0.3 + 0.6 * random.beta(3, 1.3, n)
    return chance + shift, (random.random(n) < chance).astype(np.uint8)


def test_equal_mass_agrees_with_sklearn() -> None:
    """``calibration_curve`` by quantiles has the same bins where their sizes divide."""
    confidence, correct = drawn(1500, 0)
    right, sure = calibration_curve(correct, confidence, n_bins=15, strategy="quantile")
    assert once(equal_mass_calibration_error, confidence, correct) == pytest.approx(np.abs(right - sure).mean())
    diagram = reliability_diagram(confidence, correct)
    np.testing.assert_allclose(diagram.accuracy, right)
    np.testing.assert_allclose(diagram.confidence, sure)
    assert diagram.samples == [100] * 15


def test_classwise_is_each_class_in_bins_of_equal_width() -> None:
    random = np.random.default_rng(1)
    log_p, labels = log_softmax(2 * random.normal(size=(700, 4)), axis=1), random.integers(0, 4, 700)
    expected = []
    for c in range(4):
        p, y = np.exp(log_p[:, c]), labels == c
        bins = [(p > low) & (p <= low + 1 / 15) for low in np.arange(15) / 15]
        expected.append(sum(np.abs(p[b].sum() - y[b].sum()) for b in bins) / 700)
    assert once(classwise_calibration_error, log_p, labels) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("n", [1, 2, 7, 14, 40, 900])
@pytest.mark.parametrize("levels", [0, 3])
def test_parts_sum_to_the_brier_score_of_the_top_class(n, levels) -> None:
    """With fewer samples than bins, ties, or one sample alone."""
    confidence, correct = drawn(n, n)
    confidence = np.round(confidence * levels) / levels if levels else confidence
    parts = brier_decomposition(confidence, correct)
    whole = parts.reliability - parts.resolution + parts.uncertainty + parts.within_bins
    assert whole == pytest.approx(((confidence - correct) ** 2).mean(), abs=1e-12)
    assert parts.reliability == pytest.approx(once(debiased_squared_calibration_error, confidence, correct))
    assert parts.resolution == pytest.approx(once(resolution, confidence, correct))


def test_resolution_is_without_bias() -> None:
    """Of confidences that tell nothing it is 0 on average; the plug-in variance of 15 accuracies is not."""
    random, found = np.random.default_rng(2), []
    for _ in range(2000):
        found.append(once(resolution, random.random(150), random.random(150) < 0.7))
    error = np.std(found) / len(found) ** 0.5
    assert abs(np.mean(found)) < 4 * error
    assert 20 * error < 0.7 * 0.3 * 14 / 150


@pytest.mark.parametrize("shift", [0.05, 0.2])
def test_the_smooth_error_of_a_constant_shift_is_the_shift(shift) -> None:
    confidence = np.linspace(0.5, 0.7, 4001)
    assert once(smooth_calibration_error, confidence, confidence - shift) == pytest.approx(shift, abs=1e-3)


def test_the_smooth_error_solves_its_equation() -> None:
    """The integral by a sum over images of the normal density, at the width that was found; gaps of both signs."""
    confidence, correct = drawn(300, 3)
    width = once(smooth_calibration_error, confidence, correct)
    t = (np.arange(4000) + 0.5) / 4000
    density = sum(
        np.exp(-0.5 * ((t[:, None] - 2 * k - sign * confidence) / width) ** 2) for k in range(-3, 4) for sign in (-1, 1)
    ) / (width * np.sqrt(2 * np.pi))
    assert np.abs(density @ (correct - confidence)).mean() / 300 == pytest.approx(width, rel=1e-4)


@pytest.mark.parametrize("function", TOP_LABEL)
def test_weights_are_repetitions(function) -> None:
    """In the bins of the unweighted data; the smooth error has none."""
    confidence, correct = drawn(40, 4)
    weights = np.random.default_rng(0).multinomial(40, np.full(40, 1 / 40), size=5).astype(np.float64)
    together = function(confidence, correct, weights)
    for row, found in zip(weights, together, strict=True):
        assert function(confidence, correct, row[None])[0] == pytest.approx(found)
    if function is smooth_calibration_error:
        again = [np.repeat(each, weights[0].astype(int)) for each in (confidence, correct)]
        assert once(function, *again) == pytest.approx(together[0], abs=1e-9)


@pytest.mark.parametrize("function", TOP_LABEL)
@pytest.mark.parametrize("correct", [np.ones(20), np.zeros(20), np.arange(20) % 2])
@pytest.mark.parametrize("confidence", [np.zeros(20), np.ones(20), np.linspace(0, 1, 20), np.full(20, 0.5)])
def test_all_right_all_wrong_and_probabilities_of_0_and_1_are_finite(function, confidence, correct) -> None:
    assert np.isfinite(once(function, confidence, correct))
    if function is not resolution:
        assert 0 <= once(function, confidence, correct) <= 1


def test_one_class_and_impossible_classes_have_a_classwise_error() -> None:
    assert once(classwise_calibration_error, np.zeros((5, 1)), np.zeros(5, dtype=int)) == 0
    with np.errstate(divide="ignore"):
        never = np.log(np.array([[1.0, 0.0]] * 4))
    assert once(classwise_calibration_error, never, np.zeros(4, dtype=int)) == 0
    assert once(classwise_calibration_error, never, np.ones(4, dtype=int)) == 1


def covered(function, n: int, sets: int, pairs, truth: float, centre: bool) -> float:
    """How often the interval of the harm holds the truth."""
    resamples, held = Resamples(n, 300), 0
    for seed in range(sets):
        both = [drawn(n, 2 * seed + k, *pair) for k, pair in enumerate(pairs)]
        figures = [once(function, *each) for each in both]
        draws = [resamples.statistic(function, *each) for each in both]
        draws = [recentred(d, figure) for d, figure in zip(draws, figures, strict=True)] if centre else draws
        interval = harm(*figures, *draws, better="lower", samples=n).interval
        held += interval.low <= truth <= interval.high
    return held / sets


def test_the_interval_of_the_harm_of_resolution_covers() -> None:
    """500 sets each: 96 to 100 % of 360 samples, 96 to 100 % of 2,000; variance of accuracies in 15 bins: .0141."""
    assert covered(resolution, 360, 100, [(False, 0.0), (False, 0.1)], 0.0, centre=True) >= 0.9


def test_the_interval_of_the_plug_in_harm_does_not_cover() -> None:
    """So none is offered: the reference's figure is bias, of which the variant has less."""
    assert covered(equal_mass_calibration_error, 360, 60, [(False, 0.0), (False, 0.1)], 0.1, centre=False) < 0.4
