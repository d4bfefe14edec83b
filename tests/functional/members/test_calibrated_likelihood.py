"""Calibrated log-likelihoods of many predictions are those of the function that is used elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import NotApplicable
from bench.functional.members.calibrated_likelihood import CalibratedLikelihood
from bench.functional.temperature import at_temperature, cross_fitted
from tests.functional.members.synthetic_pool import ids_of, labels_of, networks

LABELS, IDS = labels_of(300, 5, 0), ids_of(300)


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0, 4.0, 30.0])
def test_it_is_the_cross_fitted_one(scale):
    likelihood = CalibratedLikelihood(LABELS, IDS)
    for logits in networks(LABELS, 5, seed=1, own=0.8):
        wanted = cross_fitted(scale * logits, LABELS, IDS).log_probabilities[np.arange(300), LABELS]
        assert likelihood(scale * logits) == pytest.approx(wanted, abs=1e-9)
        assert likelihood(scale * logits - 3000) == pytest.approx(wanted, abs=1e-9)


def test_probabilities_of_zero_are_those_of_the_cross_fitted_one():
    log_p = at_temperature(networks(LABELS, 1, seed=2)[0], 1.0)
    log_p[:200, 2][LABELS[:200] != 2] = -np.inf
    wanted = cross_fitted(log_p, LABELS, IDS).log_probabilities[np.arange(300), LABELS]
    assert CalibratedLikelihood(LABELS, IDS)(log_p) == pytest.approx(wanted, rel=1e-9)


def test_what_was_asked_before_does_not_matter():
    first, second = networks(LABELS, 2, seed=3)
    fresh = CalibratedLikelihood(LABELS, IDS)(second)
    used = CalibratedLikelihood(LABELS, IDS)
    used(30 * first)
    assert (used(second) == fresh).all()


def test_a_network_without_a_temperature_is_refused():
    sure = 9.0 * np.eye(5)[LABELS]
    with pytest.raises(NotApplicable, match="every answer is right"):
        CalibratedLikelihood(LABELS, IDS)(sure)
    with pytest.raises(NotApplicable, match="a uniform guess is better"):
        CalibratedLikelihood(LABELS, IDS)(-sure)
    assert CalibratedLikelihood(LABELS, IDS)(0 * sure) == pytest.approx(-np.log(5))


def test_bad_input():
    with pytest.raises(ValueError, match="one of each a sample"):
        CalibratedLikelihood(LABELS, IDS[:-1])
    for wrong in (np.zeros((299, 5)), np.full((300, 5), np.nan), np.full((300, 5), np.inf)):
        with pytest.raises(ValueError, match="log-probabilities of shape"):
            CalibratedLikelihood(LABELS, IDS)(wrong)
