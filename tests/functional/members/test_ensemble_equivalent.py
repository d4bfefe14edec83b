"""The deep-ensemble equivalent: ensembles drawn apart are worth their size; beyond the pool it is censored."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from bench.errors import NotApplicable
from bench.functional.divergences import log_mean_probabilities
from bench.functional.members.ensemble_curve import ensemble_curve, subsets_of_size
from bench.functional.members.ensemble_equivalent import EnsembleEquivalent, ensemble_equivalent, smallest_size
from bench.functional.temperature import cross_fitted
from tests.functional.members.synthetic_pool import ids_of, labels_of, networks
from tests.stats.trials import LONG, trials

N = 600
LABELS, IDS = labels_of(N, 5, 0), ids_of(N)


@pytest.fixture(scope="module")
def curve():
    return ensemble_curve(networks(LABELS, 10, seed=1), LABELS, IDS)


def test_a_curve_is_that_of_its_subsets():
    pool = networks(LABELS, 4, seed=2)
    curve = ensemble_curve(pool, LABELS, IDS)
    subsets = [subset for size in (1, 2, 3, 4) for subset in combinations(range(4), size)]
    assert curve.sizes.tolist() == [len(subset) for subset in subsets]
    for subset, found in zip(subsets, curve.log_likelihoods, strict=True):
        log_p = log_mean_probabilities(pool[list(subset)])
        wanted = cross_fitted(log_p, LABELS, IDS).log_probabilities[np.arange(N), LABELS]
        assert found == pytest.approx(wanted, abs=1e-9)
    pairs = curve.log_likelihoods[4:10].mean()
    assert curve.means()[1] == pytest.approx(pairs)
    assert curve.pool == 4


def test_subsets_are_different_and_seeded():
    for pool, size in ((24, 1), (24, 2), (24, 12), (24, 23), (24, 24), (10, 3), (10, 5)):
        drawn = subsets_of_size(pool, size, 50, seed=1)
        assert len(set(drawn)) == len(drawn) == min(50, comb(pool, size))
        assert all(len(set(subset)) == size and max(subset) < pool for subset in drawn)
        assert drawn == subsets_of_size(pool, size, 50, seed=1)
        assert (drawn != subsets_of_size(pool, size, 50, seed=2)) is (comb(pool, size) > 50)
    used = np.bincount(np.ravel([subsets_of_size(12, 5, 50, seed) for seed in range(100)]), minlength=12)
    assert used == pytest.approx(100 * 50 * 5 / 12, rel=0.1)


def test_an_equivalent_by_hand():
    """The least-squares rising curve of 0, 3, 2, 4 is 0, 2.5, 2.5, 4."""
    curve = np.array([0.0, 3.0, 2.0, 4.0])
    worth = [0.0, 1.25, 2.5, 3.25, 4.0]
    assert [smallest_size(curve, x) for x in worth] == pytest.approx([1, 1.5, 2, 3.5, 4])
    assert smallest_size(curve, -1e-9) == -np.inf
    assert smallest_size(curve, 4 + 1e-9) == np.inf


def test_ensembles_drawn_apart_are_worth_their_size():
    """Long form, 60 pools of 24 networks on 2000 samples: of nominal 95 %, 57 of 60 on average."""
    runs, n, pool = trials(60, 6), 2000 if LONG else 400, 24 if LONG else 14
    contained, estimates = 0, []
    for seed in range(runs):
        labels, ids = labels_of(n, 5, seed), ids_of(n)
        curve = ensemble_curve(networks(labels, pool, seed), labels, ids, subsets=50 if LONG else 20, seed=seed)
        apart = log_mean_probabilities(networks(labels, 5, 1000 + seed))
        found = ensemble_equivalent(curve, apart, draws=1000 if LONG else 400)
        contained += found.low <= 5 <= found.high
        estimates.append(found.estimate)
    assert contained >= (53 if LONG else runs - 1)  # fewer than 53 of 60 at 95 %: one time in 100
    assert np.median(estimates) == pytest.approx(5, abs=0.7 if LONG else 1.5)


def test_a_single_network_is_worth_about_one(curve):
    """Of networks that are equally good; luck makes some worth two."""
    for single in networks(LABELS, 6, seed=3):
        found = ensemble_equivalent(curve, single, draws=300)
        assert found.low == 1.0
        assert found.estimate < 2.5
    equal = ensemble_curve(networks(LABELS, 6, seed=1, luck=0.0), LABELS, IDS)
    typical = [ensemble_equivalent(equal, one, draws=50).estimate for one in networks(LABELS, 9, seed=4, luck=0.0)]
    assert 1 <= np.median(typical) < 1.3


def test_what_is_beyond_the_pool_is_censored(curve):
    best = ensemble_equivalent(curve, log_mean_probabilities(networks(LABELS, 80, seed=5)), draws=300)
    assert best == EnsembleEquivalent(10, 10, 10, "above", "above", "above")
    assert str(best) == "> 10 [> 10, > 10]"
    worst = ensemble_equivalent(curve, networks(LABELS, 1, seed=6, own=3.0)[0], draws=300)
    assert str(worst) == "< 1 [< 1, < 1]"
    middle = ensemble_equivalent(curve, log_mean_probabilities(networks(LABELS, 9, seed=7)), draws=300)
    assert middle.high_censored == "above"
    assert middle.low_censored == ""
    assert str(middle).endswith("> 10]")


def test_a_temperature_changes_no_equivalent(curve):
    method = log_mean_probabilities(networks(LABELS, 3, seed=8))
    assert ensemble_equivalent(curve, 3 * method, draws=100).estimate == pytest.approx(
        ensemble_equivalent(curve, method, draws=100).estimate, abs=1e-5
    )


def test_the_luck_of_training_widens_intervals(curve, monkeypatch):
    """Without it an interval tells of one trained network alone, and misses what another training would be worth."""
    method = log_mean_probabilities(networks(LABELS, 3, seed=9))
    whole = ensemble_equivalent(curve, method, draws=500)
    target = "bench.functional.members.ensemble_equivalent._luck"
    monkeypatch.setattr(target, lambda *given: np.zeros(given[1].shape[1]))
    alone = ensemble_equivalent(curve, method, draws=500)
    assert whole.estimate == alone.estimate
    assert whole.low < alone.low < alone.high < whole.high


def test_an_equivalent_is_the_same_again_and_by_seed(curve):
    method = log_mean_probabilities(networks(LABELS, 3, seed=10))
    first = ensemble_equivalent(curve, method, draws=200)
    assert first == ensemble_equivalent(curve, method, draws=200)
    other = ensemble_equivalent(curve, method, draws=200, seed=1)
    assert other.estimate == first.estimate
    assert other.low != first.low


def test_bad_input(curve):
    pool = networks(LABELS, 2, seed=11)
    with pytest.raises(ValueError, match="at least two networks"):
        ensemble_curve(pool[:1], LABELS, IDS)
    with pytest.raises(ValueError, match="log-probabilities of shape"):
        ensemble_curve(pool[:, :50], LABELS, IDS)
    with pytest.raises(ValueError, match="log-probabilities of shape"):
        ensemble_equivalent(curve, pool[0, :50])
    with pytest.raises(NotApplicable, match="every answer is right"):
        ensemble_equivalent(curve, np.eye(5)[LABELS])
    with pytest.raises(ValueError, match="none to draw"):
        subsets_of_size(3, 4, 50)
