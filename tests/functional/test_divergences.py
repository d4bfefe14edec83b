from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import distance
from scipy.special import log_softmax

from bench.functional.divergences import (
    centred,
    flips,
    jensen_shannon,
    log_mean_probabilities,
    relative_difference,
    sure,
)


def predictions(seed: int, n: int = 50, classes: int = 7, scale: float = 3.0) -> np.ndarray:
    return log_softmax(np.random.default_rng(seed).normal(scale=scale, size=(n, classes)), axis=1)


def test_jensen_shannon_agrees_with_scipy() -> None:
    p, q = predictions(0), predictions(1)
    expected = [distance.jensenshannon(np.exp(a), np.exp(b)) ** 2 for a, b in zip(p, q, strict=True)]
    np.testing.assert_allclose(jensen_shannon(p, q), expected, rtol=1e-10)


def test_jensen_shannon_is_exactly_symmetric_and_zero_for_equal_rows() -> None:
    p, q = predictions(0), predictions(1)
    assert np.array_equal(jensen_shannon(p, q), jensen_shannon(q, p))
    assert np.array_equal(jensen_shannon(p, p), np.zeros(len(p)))


def test_jensen_shannon_keeps_its_precision_for_nearly_equal_rows() -> None:
    # to second order it is Σ (p − q)² / (8 p)
    p = np.array([[0.3, 0.7]])
    q = p + 1e-9 * np.array([[1.0, -1.0]])
    expected = (1e-18 / (8 * p)).sum()
    np.testing.assert_allclose(jensen_shannon(np.log(p), np.log(q)), expected, rtol=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e30])
def test_saturated_logits_stay_finite(size: float) -> None:
    p = log_mean_probabilities(np.array([[[size, 0.0, -size]]]))
    q = log_mean_probabilities(np.array([[[-size, 0.0, size]]]))
    found = jensen_shannon(p, q)
    assert np.isfinite(p).all()
    assert 0 < found[0] <= np.log(2) + 1e-15
    if size > 100:
        np.testing.assert_allclose(found, np.log(2), rtol=1e-12)


def test_members_are_combined_by_their_mean_probability() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 5, 4))
    expected = np.exp(log_softmax(logits, axis=2)).mean(axis=0)
    np.testing.assert_allclose(np.exp(log_mean_probabilities(logits)), expected, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_told(bad: float) -> None:
    logits = np.zeros((1, 3, 2))
    logits[0, 1, 0] = bad
    with pytest.raises(FloatingPointError, match="1 of 3 samples"):
        log_mean_probabilities(logits)


def test_a_shift_common_to_all_classes_changes_nothing() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 4))
    shifted = logits + np.arange(5)[:, None]
    np.testing.assert_allclose(relative_difference(centred(logits), centred(shifted)), 0, atol=1e-14)


def test_relative_difference_by_hand_and_its_degenerate_cases() -> None:
    a = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 0.0], [1e-300, 0.0], [1e300, 0.0]])
    b = np.array([[3.0, 0.0], [0.0, 0.0], [0.0, 2.0], [3e-300, 0.0], [3e300, 0.0]])
    np.testing.assert_allclose(relative_difference(a, b), [4 / 4, 0, 2, 1, 1])
    assert np.array_equal(relative_difference(a, b), relative_difference(b, a))


def test_flips_count_the_arg_max_alone() -> None:
    a, b = predictions(0), predictions(1)
    np.testing.assert_array_equal(flips(a, b), (a.argmax(1) != b.argmax(1)).astype(float))
    assert 0 < flips(a, b).mean() < 1


def test_sure_samples_are_those_whose_first_class_has_the_probability() -> None:
    log_p = predictions(3, n=400)
    for least in (0.5, 0.9, 0.99):
        wanted = np.exp(log_p).max(axis=1) >= least
        assert 0 < wanted.sum() < 400
        assert np.array_equal(sure(log_p, least), wanted)
    assert sure(np.zeros((2, 1)), 1.0).all()
