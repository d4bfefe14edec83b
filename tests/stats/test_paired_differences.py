"""Paired differences of two figures: what they refuse, and how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from bench.stats.paired_differences import count_difference, drawn_difference
from bench.stats.resampling import Resamples


def test_what_is_no_pair_of_events_is_refused():
    with pytest.raises(ValueError, match="shapes"):
        count_difference(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="no events"):
        count_difference(np.full(3, 2.0), np.zeros(3))
    with pytest.raises(ValueError, match="not paired"):
        drawn_difference(np.zeros(3), np.zeros(4), 3)


def test_an_interval_turns_round_with_the_pair():
    random = np.random.default_rng(0)
    one, other = (random.random((2, 200)) < [[0.3], [0.2]]).astype(float)
    low, high, _ = count_difference(one, other)
    assert count_difference(other, one)[:2] == pytest.approx((-high, -low))


def test_harms_beside_one_reference_leave_the_reference_out():
    """Shared errors of the reference are in both harms, and cancel: three sets of intervals, 400 sets each."""
    random = np.random.default_rng(1)
    n, held, wide = 200, [0, 0], 0
    for _ in range(400):
        reference = random.random(n) < 0.2
        one, other = (np.where(random.random(n) < 0.1, random.random(n) < 0.5, reference) for _ in range(2))
        low, high, _ = count_difference(one - reference.astype(float), other - reference.astype(float))
        held[0] += low <= 0 <= high
        hard = random.gamma(1.0, 1.0, n)
        losses = hard + random.normal(0, 0.2, (2, n))
        draws = Resamples(n, 400).means(losses)
        low, high, _ = drawn_difference(*draws, n)
        held[1] += low <= 0 <= high
        wide += high - low
    assert min(held) >= 0.93 * 400, held
    assert wide / 400 < 0.1  # the losses themselves have intervals of .28
