"""Conformal thresholds and sets against their closed forms."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import betabinom, kstest

from bench.errors import NotApplicable
from bench.functional.conformal import (
    adaptive_scores,
    conformal_rank,
    conformal_threshold,
    covered,
    least_ambiguous_scores,
    prediction_sets,
    sample_uniforms,
    set_size,
    sets_differ,
)

SPLITS, CALIBRATION, JUDGED = 200, 29, 300


def world(n, classes=5, seed=0):
    """Log-probabilities of a network that is too sure, and labels."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(n, classes)) * 2
    labels = (z + random.gumbel(size=z.shape)).argmax(axis=1)
    z *= 1.7
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True)), labels


def uniforms(n):
    return sample_uniforms(np.array([f"row/{index}" for index in range(n)]))


SCORES = {
    "lac": lambda log_p: least_ambiguous_scores(log_p),
    "aps": lambda log_p: adaptive_scores(log_p, uniforms(len(log_p))),
}


@pytest.mark.parametrize("score", SCORES)
def test_coverage_over_resplits_is_beta_binomial(score) -> None:
    """Of scores without ties the covered of m further samples are BetaBinomial(m; k, n + 1 - k), whatever the pool."""
    log_p, labels = world(CALIBRATION + JUDGED)
    scores, random = SCORES[score](log_p), np.random.default_rng(1)
    law = betabinom(JUDGED, (k := conformal_rank(CALIBRATION, 0.1)), CALIBRATION + 1 - k)
    hits = []
    for _ in range(SPLITS):
        order = random.permutation(len(scores))
        own, other = order[:CALIBRATION], order[CALIBRATION:]
        threshold = conformal_threshold(scores[own], labels[own], 0.1)
        hits.append(int(covered(prediction_sets(scores[other], threshold), labels[other]).sum()))
    below = law.cdf(np.array(hits) - 1)
    spread = below + random.random(SPLITS) * law.pmf(hits)  # uniform where the law is the right one
    assert kstest(spread, "uniform").pvalue > 0.01
    assert abs(np.mean(hits) - law.mean()) < 3 * law.std() / np.sqrt(SPLITS)


def test_ties_cover_more_and_never_less() -> None:
    log_p, labels = world(CALIBRATION + JUDGED)
    scores, random = np.round(least_ambiguous_scores(log_p)), np.random.default_rng(1)
    hits = []
    for _ in range(SPLITS):
        order = random.permutation(len(scores))
        own, other = order[:CALIBRATION], order[CALIBRATION:]
        threshold = conformal_threshold(scores[own], labels[own], 0.1)
        hits.append(covered(prediction_sets(scores[other], threshold), labels[other]).mean())
    assert np.mean(hits) > 0.92


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.29, 0.3, 0.7, 0.9])
def test_the_rank_is_that_of_the_decimal_number(alpha) -> None:
    """In floating point ⌈(n + 1)(1 − α)⌉ is one too many at α = .7 and n = 9."""
    for n in range(1, 300):
        exact = (n + 1) * (1 - Fraction(str(alpha)))
        assert conformal_rank(n, alpha) == -(-exact.numerator // exact.denominator)


@pytest.mark.parametrize(("n", "alpha", "least"), [(8, 0.1, 9), (0, 0.1, 9), (1, 0.01, 99), (2, 0.3, 3)])
def test_too_few_calibration_samples_are_said(n, alpha, least) -> None:
    with pytest.raises(NotApplicable, match=rf"^{n} calibration samples?: too few .* at least {least} are needed"):
        conformal_threshold(np.zeros((n, 2)), np.zeros(n, dtype=int), alpha)
    conformal_threshold(np.zeros((least, 2)), np.zeros(least, dtype=int), alpha)


def test_least_ambiguous_sets_are_those_of_one_less_p() -> None:
    log_p, labels = world(400)
    p = np.exp(log_p)
    k = conformal_rank(100, 0.2)
    plain = np.sort(1 - p[np.arange(100), labels[:100]])[k - 1]
    scores = least_ambiguous_scores(log_p)
    found = prediction_sets(scores[100:], conformal_threshold(scores[:100], labels[:100], 0.2))
    np.testing.assert_array_equal(found, 1 - p[100:] <= plain + 1e-12)


def test_adaptive_sets_at_the_ends_of_u() -> None:
    """u = 1 adds classes while their sum stays at or below the threshold, u = 0 the one more that crosses it."""
    log_p = np.log([[0.5, 0.3, 0.2]])
    with_own, without = adaptive_scores(log_p, np.ones(1)), adaptive_scores(log_p, np.zeros(1))
    np.testing.assert_allclose(with_own, [[0.5, 0.8, 1.0]])
    np.testing.assert_allclose(without, [[0.0, 0.5, 0.8]], atol=1e-15)
    assert prediction_sets(with_own, 0.6).tolist() == [[True, False, False]]
    assert prediction_sets(without, 0.6).tolist() == [[True, True, False]]


def test_a_class_comes_in_with_the_share_that_its_probability_leaves() -> None:
    """P(score of class 2 <= .6) = (.6 - .5) / .3, over u."""
    log_p = np.repeat(np.log([[0.5, 0.3, 0.2]]), 4000, axis=0)
    share = (adaptive_scores(log_p, uniforms(4000))[:, 1] <= 0.6).mean()
    assert abs(share - 1 / 3) < 3 * np.sqrt(2 / 9 / 4000)


def test_uniforms_are_those_of_the_ids_and_uniform() -> None:
    drawn = uniforms(2000)
    assert kstest(drawn, "uniform").pvalue > 0.01
    np.testing.assert_array_equal(drawn[:5], uniforms(5))


def test_sets_differ_where_any_class_does() -> None:
    a = prediction_sets(np.array([[0.1, 0.9], [0.2, 0.3], [0.8, 0.9]]), 0.5)
    assert set_size(a).tolist() == [1, 2, 0]
    assert not sets_differ(a, a).any()
    assert sets_differ(a, a[:, ::-1]).tolist() == [1, 0, 0]
