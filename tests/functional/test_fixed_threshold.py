"""Thresholds on confidence: ranks, ties, and risks."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import NotApplicable
from bench.functional.fixed_threshold import (
    accepted_errors,
    confidence_threshold,
    reaches,
    selective_risk,
)


@pytest.mark.parametrize("coverage", [0.05, 0.1, 0.5, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("n", [1, 7, 10, 128])
def test_the_highest_threshold_with_that_coverage(n, coverage) -> None:
    confidence = np.random.default_rng(n).random(n)
    threshold = confidence_threshold(confidence, coverage)
    assert reaches(confidence, threshold).mean() >= coverage
    assert reaches(confidence, np.nextafter(threshold, 2)).mean() < coverage


def test_all_that_tie_are_accepted() -> None:
    confidence = np.array([0.9] * 3 + [0.5] * 6 + [0.1])
    threshold = confidence_threshold(confidence, 0.4)
    assert threshold == 0.5
    assert reaches(confidence, threshold).sum() == 9


def test_no_sample_gives_no_threshold() -> None:
    with pytest.raises(NotApplicable, match="there are none"):
        confidence_threshold(np.empty(0), 0.8)


def test_risk_is_the_ratio_of_weighted_shares() -> None:
    random = np.random.default_rng(0)
    accepted, right = random.integers(0, 2, 50), random.integers(0, 2, 50)
    errors = accepted_errors(accepted, right)
    weights = random.multinomial(50, np.full(50, 0.02), size=20)
    expected = [(w * errors).sum() / (w * accepted).sum() for w in weights]
    np.testing.assert_allclose(selective_risk(accepted, errors, weights), expected)
    assert selective_risk(accepted, errors, np.ones((1, 50)))[0] == pytest.approx(1 - right[accepted == 1].mean())


def test_no_risk_where_nothing_is_accepted() -> None:
    with pytest.raises(NotApplicable, match="none of 3 samples reaches the threshold"):
        selective_risk(np.zeros(3), np.zeros(3), np.ones((1, 3)))
    assert np.isnan(selective_risk(np.array([1, 0]), np.zeros(2), np.array([[0, 2]]))).all()
