"""Rank correlation beside scipy's, and its interval over replicates."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from bench.stats.rank_correlation import over_replicates, rank_correlation


@pytest.mark.parametrize("seed", range(20))
def test_it_is_scipys_with_ties(seed):
    random = np.random.default_rng(seed)
    first, second = random.integers(0, 6, (2, 9)).tolist()
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-11)


def test_a_constant_has_none():
    assert rank_correlation([1, 2, 3], [5, 5, 5]) is None
    found = over_replicates([1, 2, 3], [[5, 5, 5]] * 5)
    assert (found.mean, found.interval.low) == (None, None)
    assert found.reason == "in a replicate the figure is the same at every strength"


def test_five_alike_have_no_interval():
    """A spread of 0 over five replicates is no proof that a sixth is the same."""
    found = over_replicates([1, 2, 3, 4], [[1, 2, 3, 4]] * 5)
    assert found.mean == 1.0
    assert found.interval.low is None
    assert "same in all 5 replicates" in found.reason


def test_fewer_than_five_have_a_mean_alone():
    found = over_replicates([1, 2, 3], [[1, 2, 3], [3, 2, 1]])
    assert (found.mean, found.interval.low) == (0.0, None)
    assert "five replicates" in found.reason


def test_the_interval_covers():
    """Five replicates of a relation with noise: the mean of many lies in the interval about as often as it says."""
    random = np.random.default_rng(3)
    strength = np.arange(5.0)

    def drawn(count):
        return strength + 2.0 * random.normal(size=(count, 5))

    truth = np.mean([rank_correlation(strength, row) for row in drawn(4000)])
    inside = known = 0
    for _ in range(400):
        found = over_replicates(strength, drawn(5).tolist())
        if found.interval.low is not None:
            known += 1
            inside += found.interval.low <= truth <= found.interval.high
    assert known > 380
    assert 0.9 < inside / known <= 1.0, inside / known
