"""What a step adds to a distance: signed, paired, covered."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.stats.change import added_change, change
from bench.stats.resampling import Resamples

N = 200


@pytest.fixture(scope="module")
def resamples():
    return Resamples(N, 1000)


def covered(draw, truth, resamples, trials=300):
    """How often the interval holds the truth."""
    found = (added_change(*draw(), resamples).interval for _ in range(trials))
    return sum(low <= truth <= high for low, high, _ in found) / trials


def test_parts_sum_to_the_whole(resamples):
    random = np.random.default_rng(0)
    stages = [np.zeros(N), *(random.exponential(size=N) for _ in range(4))]
    parts = [added_change(a, b, resamples).estimate for a, b in itertools.pairwise(stages)]
    assert min(parts[1:]) < 0  # some lead back
    assert sum(parts) == pytest.approx(change(stages[-1], resamples).estimate, rel=1e-14)


def test_pairing_narrows_the_interval(resamples):
    random = np.random.default_rng(1)
    first = random.exponential(10.0, size=N)
    second = first + random.exponential(0.1, size=N)
    low, high, _ = added_change(first, second, resamples).interval
    assert 0 < low < 0.1 < high < 0.2
    assert high - low < 0.05 * (change(second, resamples).interval.high - change(second, resamples).interval.low)


@pytest.mark.parametrize(("up", "down"), [(4, 0), (12, 6), (30, 3)])
def test_few_samples_that_moved_are_covered(resamples, up, down):
    random = np.random.default_rng(2)

    def draw():
        first, which = random.exponential(size=N), random.random(N)
        steps = random.exponential(size=N) * ((which < up / N) * 1.0 - (which > 1 - down / N))
        return first, first + steps

    assert covered(draw, (up - down) / N, resamples) >= 0.92


def test_dense_differences_are_covered(resamples):
    random = np.random.default_rng(3)

    def draw():
        one, other = random.standard_normal((2, N))
        return one**2, 1.2 * (0.9 * one + np.sqrt(0.19) * other) ** 2

    assert 0.91 <= covered(draw, 0.2, resamples) <= 0.99


def test_counts_that_did_not_move_leave_room(resamples):
    still = np.r_[np.ones(7), np.zeros(N - 7)]
    estimate, (low, high, method) = added_change(still, still, resamples, count=True)
    assert (estimate, method) == (0.0, "score")
    assert low < 0 < high


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [([0.0, 1.0], [0.0], "not paired"), ([0.0, np.nan], [0.0, 1.0], "not finite"), ([], [], "one number a sample")],
)
def test_what_is_no_pair_of_distances_is_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        added_change(np.array(first), np.array(second), Resamples.of(np.ones((3, 2))))


def test_a_count_is_0_or_1(resamples):
    with pytest.raises(ValueError, match="0 or 1"):
        added_change(np.zeros(N), np.full(N, 0.5), resamples, count=True)


@pytest.mark.parametrize("sign", [1, -1])
def test_no_limit_lies_beyond_what_two_distances_can_differ_by(sign):
    far, near = np.array([0.001, 0.6862, 0.0099, 0.0027, 0.6823]), np.zeros(5)
    pair = (near, far) if sign > 0 else (far, near)
    resamples, largest = Resamples(5), float(np.log(2))
    low, high, _ = added_change(*pair, resamples).interval
    assert max(-low, high) > 1
    low, high, _ = added_change(*pair, resamples, largest=largest).interval
    assert -largest <= low <= 0 <= high <= largest
