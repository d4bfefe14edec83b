"""Change points: planted steps are found, flat series seldom show one, and the split is that of ruptures."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import ruptures

from bench.stats.change_points import LEAST, change_points

SERIES = 200


def noise(seed, n=20):
    return np.random.default_rng(seed).normal(size=n)


def stepped(seed, n=20, height=3.0):
    """A series with one step of so many standard deviations, and the place of its first point."""
    place = int(np.random.default_rng((seed, 1)).integers(4, n - 3))
    return noise(seed, n) + height * (np.arange(n) >= place), place


def test_a_planted_step_is_found_within_one_run():
    found = [stepped(seed) for seed in range(SERIES)]
    hits = sum(any(abs(change.index - place) <= 1 for change in change_points(x)) for x, place in found)
    assert hits >= 0.9 * SERIES


@pytest.mark.parametrize("n", [LEAST, 20])
def test_flat_series_seldom_show_one(n):
    """At most 5 %: a tenth would be more than three standard errors above."""
    alarms = sum(bool(change_points(noise((seed, n), n))) for seed in range(500))
    assert alarms <= 500 * 0.05 + 3 * np.sqrt(500 * 0.05 * 0.95)


def test_steps_of_two_levels_are_told_apart_with_their_means():
    x = np.repeat([1.0, 5.0, 2.0], 12) + 0.1 * noise(0, 36)
    first, second = change_points(x)
    assert (first.index, second.index) == (12, 24)
    assert (first.before, first.after) == pytest.approx((x[:12].mean(), x[12:24].mean()))
    assert (second.before, second.after) == pytest.approx((x[12:24].mean(), x[24:].mean()))
    assert max(first.p_value, second.p_value) <= 0.05


@pytest.mark.parametrize("seed", range(20))
def test_the_split_is_that_of_ruptures(seed):
    x, _ = stepped(seed)
    best = ruptures.Dynp(model="l2", min_size=2, jump=1).fit(x).predict(n_bkps=1)[0]
    found = [change.index for change in change_points(x)]
    assert best in found
    assert len(found) < 3


def test_scale_and_origin_change_nothing():
    x, _ = stepped(3)
    indices = [change.index for change in change_points(x)]
    assert indices
    for scale, origin in ((1e-9, 0.0), (1e9, 0.0), (1.0, 1e6)):
        assert [change.index for change in change_points(scale * x + origin)] == indices


@pytest.mark.parametrize("x", [[], [1.0] * 7, [1.0] * 30, [1.0, 2.0, 3.0], [1.0, 9.0] * 3 + [1.0]])
def test_few_points_and_constants_show_none(x):
    assert change_points(x) == ()
    assert change_points(x, alpha=1.0) == ()  # not even looked for


def test_one_point_that_is_off_is_no_level():
    x = np.r_[np.full(59, 1.0), 9.0] + 0.01 * noise(1, 60)
    assert all(change.index < 59 for change in change_points(x))


def test_the_p_value_is_that_of_all_permutations():
    x = noise(4, 8) + 1.5 * (np.arange(8) >= 5)

    def least(rows):
        """The smallest sum of squares within both sides of a split, at least two points on either."""
        sides = [(rows[:, :k], rows[:, k:]) for k in range(2, 7)]
        within = [sum(side.var(axis=1) * side.shape[1] for side in both) for both in sides]
        return np.min(within, axis=0)

    every = least(np.array(list(permutations(x))))
    exact = (every <= least(x[None]) * (1 + 1e-9)).mean()
    (change,) = change_points(x, alpha=1.0)
    assert 0.05 < exact < 0.5
    assert change.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 999) + 0.001)


def test_levels_without_noise_are_steps():
    (change,) = change_points([0.9] * 6 + [0.8] * 6)
    assert (change.index, change.before, change.after) == (6, pytest.approx(0.9), pytest.approx(0.8))


@pytest.mark.parametrize("x", [[[1.0, 2.0]], [1.0, np.nan], [np.inf]])
def test_what_is_no_series_is_refused(x):
    with pytest.raises(ValueError, match="a series of shape"):
        change_points(x)
