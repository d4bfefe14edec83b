"""Gap: closed forms, reasons, upper limits, and coverage by simulation."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bench.stats.change import change, independent_change
from bench.stats.gap import gap, gap_on
from bench.stats.proportions import clopper_pearson
from bench.stats.resampling import Resamples
from bench.stats.yardstick import scale_of
from tests.stats.trials import trials

Judge = Callable[[int, int, float], bool]


@pytest.fixture
def yardsticks() -> NDArray[np.float64]:
    """Four yardsticks of mean distance near 1."""
    return np.random.default_rng(8).gamma(2, 0.5, (4, 300))


@pytest.mark.parametrize("power", [1, 2])
def test_a_copy_of_every_yardstick_has_gap_one(power: int, resamples: Resamples) -> None:
    row = np.random.default_rng(0).gamma(2, 0.5, 300)
    found = gap(row, np.tile(row, (4, 1)), resamples, power=power)  # type: ignore[arg-type]
    assert found.gap == pytest.approx(1)
    assert found.interval[:2] == pytest.approx((1, 1))


def test_interval_is_the_formula(yardsticks: NDArray[np.float64], resamples: Resamples) -> None:
    variant = np.random.default_rng(1).gamma(1, 0.1, 300)
    found = gap(variant, yardsticks, resamples, power=2)
    logs = np.log(yardsticks.mean(axis=1))
    ratio = log(variant.mean()) - logs.mean()
    draws = np.log(resamples.means(variant)) - np.log(resamples.means(yardsticks)).mean(axis=0)
    half = stats.t.ppf(0.975, 3) * sqrt(draws.std() ** 2 + logs.var(ddof=1) / 4) / 2
    assert found.gap == pytest.approx(exp(ratio / 2))
    assert found.interval[:2] == pytest.approx((exp(ratio / 2 - half), exp(ratio / 2 + half)))
    assert found.interval.method == "t"
    assert found.reason == ""
    assert found.deviations is not None
    assert found.deviations == pytest.approx(draws - ratio)


def test_the_same_whether_the_scale_was_made_before(yardsticks: NDArray[np.float64], resamples: Resamples) -> None:
    variant = np.random.default_rng(1).gamma(1, 0.1, 300)
    again = gap_on(scale_of(yardsticks, resamples), variant, resamples, 2)
    assert again.interval == gap(variant, yardsticks, resamples, power=2).interval


def test_pairing_narrows_the_gap(yardsticks: NDArray[np.float64], resamples: Resamples) -> None:
    """A variant that is far where the yardsticks are far is known better than one that is far elsewhere."""
    typical = np.exp(np.log(yardsticks).mean(axis=0))
    paired = gap(typical, yardsticks, resamples, power=1)
    unpaired = gap(np.roll(typical, 100), yardsticks, resamples, power=1)
    assert paired.error < 0.8 * unpaired.error


def test_no_yardstick_or_a_weak_one_gives_no_gap(resamples: Resamples) -> None:
    found = gap(np.ones(300), np.zeros((0, 300)), resamples, power=1)
    assert (found.gap, found.interval.method, found.reason) == (None, "none", "there are no yardsticks")
    counts = np.zeros((4, 300))
    counts[:, :3] = 1
    assert gap(counts[0], counts, resamples, power=1, count=True).gap == pytest.approx(1)  # twelve altogether
    counts[2] = 0
    assert "in 9 samples altogether; a scale needs 10" in gap(counts[0], counts, resamples, power=1, count=True).reason
    counts[0, :4] = 1
    assert (
        "yardstick 3 differs from the reference in no" in gap(counts[0], counts, resamples, power=1, count=True).reason
    )


def test_below_four_yardsticks_the_point_alone(yardsticks: NDArray[np.float64], resamples: Resamples) -> None:
    for k in (1, 2, 3):
        found = gap(yardsticks[3], yardsticks[:k], resamples, power=1)
        wanted = yardsticks[3].mean() / exp(np.log(yardsticks[:k].mean(axis=1)).mean())
        assert found.gap == pytest.approx(wanted)
        assert found.interval == (None, None, "none")
        assert "an interval needs 4" in found.reason
    silent = gap(np.zeros(300), yardsticks[:3], resamples, power=1)
    assert silent.gap is None
    assert silent.interval.method == "none"


def test_no_event_gives_an_upper_limit_only(resamples: Resamples) -> None:
    flips = (np.random.default_rng(2).random((4, 300)) < 0.1).astype(float)
    found = gap(np.zeros(300), flips, resamples, power=1, count=True)
    assert found.gap is None
    assert found.interval.low is None
    limit = clopper_pearson(0, 300).high
    assert limit is not None
    mean = exp(np.log(flips.mean(axis=1)).mean())
    assert limit / mean < found.interval.high < 2.5 * limit / mean  # type: ignore[operator]
    assert "upper limit only" in found.reason
    assert found.deviations is None


def test_below_the_floor_an_upper_limit_only(yardsticks: NDArray[np.float64], resamples: Resamples) -> None:
    noise = np.random.default_rng(3).gamma(1, 1e-9, 300)
    found = gap(noise, yardsticks, resamples, power=1, floor=1e-7)
    assert found.gap is None
    assert found.interval.low is None
    assert 1e-7 < found.interval.high < 2e-7  # type: ignore[operator]
    resolved = gap(noise, yardsticks, resamples, power=1, floor=1e-10)
    assert resolved.interval.low == pytest.approx(1e-9, rel=0.5)
    assert gap(np.zeros(300), yardsticks, resamples, power=1).interval[:2] == (None, 0.0)


@pytest.mark.parametrize("flips", [1, 2, 5, 9])
def test_few_events_take_the_exact_limits(flips: int, resamples: Resamples) -> None:
    yardsticks = (np.random.default_rng(4).random((4, 300)) < 0.3).astype(float)
    variant = np.zeros(300)
    variant[:flips] = 1
    found = gap(variant, yardsticks, resamples, power=1, count=True)
    low, high, _ = clopper_pearson(flips, 300)
    mean = exp(np.log(yardsticks.mean(axis=1)).mean())
    assert found.interval.low < low / mean  # type: ignore[operator]
    assert found.interval.high > high / mean  # type: ignore[operator]
    assert found.interval.low > 0  # type: ignore[operator]
    assert found.deviations is not None
    assert np.isfinite(found.deviations).all()


def test_resampled_means_at_or_below_zero_are_survived(resamples: Resamples) -> None:
    """Independent draws: contributions of both signs, whose resampled mean may be negative."""
    random = np.random.default_rng(5)
    variant = random.normal(0.12, 1, 300)
    variant += 0.15 - variant.mean()  # lower limit just above 0
    yardsticks = random.normal(1, 1, (4, 300))
    assert resamples.means(variant).min() < 0
    found = gap(variant, yardsticks, resamples, power=2)
    assert found.gap == pytest.approx(sqrt(0.15 / exp(np.log(yardsticks.mean(axis=1)).mean())))
    assert np.isfinite(found.interval[:2]).all()  # type: ignore[arg-type]
    assert 0 < found.interval.low < found.gap < found.interval.high < 3  # type: ignore[operator]


def _networks(random: np.random.Generator, k: int, spread: float, shared: float, own: float) -> NDArray[np.float64]:
    """Distances (k + 1, 300): the variant first, at the population's geometric mean, then k yardsticks."""
    logs = np.r_[0.0, random.normal(0, spread, k)]
    difficulty = random.normal(0, shared, 300)
    return np.exp(logs[:, None] + difficulty + random.normal(0, own, (k + 1, 300)))


@pytest.mark.parametrize(
    ("k", "spread", "shared", "own"), [(4, 0.3, 0.7, 0.5), (4, 0.05, 0.5, 0.7), (6, 0.5, 0.7, 0.3), (8, 0.1, 0.3, 0.7)]
)
def test_gap_intervals_cover_95_percent(
    k: int, spread: float, shared: float, own: float, resamples: Resamples, at_least: Judge
) -> None:
    random = np.random.default_rng(round(100 * (spread + own)) + k)
    count, hits = trials(800, 400), 0
    for _ in range(count):
        table = _networks(random, k, spread, shared, own)
        low, high, _ = gap(table[0], table[1:], Resamples(300, 400), power=2).interval
        hits += low <= 1 <= high  # type: ignore[operator]
    assert at_least(hits, count, 0.95)


@pytest.mark.parametrize("rate", [0.004, 0.015, 0.06])
def test_gap_of_counts_covers_95_percent(rate: float, resamples: Resamples, at_least: Judge) -> None:
    """From mostly zero events over a handful to many; an upper limit alone counts as a lower limit of 0."""
    random = np.random.default_rng(round(1000 * rate))
    count, hits = trials(1000, 400), 0
    for _ in range(count):
        yardsticks = random.random((5, 300)) < 0.2 * np.exp(random.normal(0, 0.2, (5, 1)))
        found = gap(random.random(300) < rate, yardsticks, Resamples(300, 500), power=1, count=True)
        assert found.interval.high is not None
        hits += (found.interval.low or 0.0) <= rate / 0.2 <= found.interval.high
    assert at_least(hits, count, 0.95)


def test_gap_of_independent_draws_covers_95_percent(resamples: Resamples, at_least: Judge) -> None:
    """Random classes: p(f) = 0.2, variant 0.5, yardsticks around 0.5; Hamming distance has change (p - q)^2."""
    random = np.random.default_rng(12)
    count, hits = 500, 0
    for _ in range(count):
        base = random.random((2, 300)) < 0.2
        rows = []
        for shift in np.r_[0.0, random.normal(0, 0.1, 5)]:
            draws = random.random((2, 300)) < 0.2 + 0.3 * exp(shift)
            rows.append(independent_change(base[0] != draws[1], base[0] != base[1], draws[0] != draws[1]))
        found = gap(rows[0], np.array(rows[1:]), Resamples(300, 500), power=2)
        hits += (found.interval.low or 0.0) <= 1 <= (found.interval.high or np.inf)
    assert at_least(hits, count, 0.95)


def test_gap_needs_no_more_than_a_few_resamples_to_be_repeatable() -> None:
    random = np.random.default_rng(13)
    table = _networks(random, 4, 0.3, 0.7, 0.5)
    first, second = (gap(table[0], table[1:], Resamples(300, 10_000, seed), power=1) for seed in (0, 1))
    assert first.gap == second.gap
    assert first.interval[:2] == pytest.approx(second.interval[:2], rel=0.01)


@pytest.mark.parametrize(("k", "spread", "noise"), [(4, 0.3, 0.05), (4, 0.1, 0.5), (6, 0.4, 0.3)])
def test_a_further_retrained_network_is_beyond_its_like_in_at_most_2_5_percent(
    k: int, spread: float, noise: float, resamples: Resamples, at_least: Judge
) -> None:
    """Averaged over sets of yardsticks; beside their mean it would be more, which the second count sees."""
    random = np.random.default_rng(100 * k + round(100 * spread))
    count, kept, plain = trials(2000, 600), 0, 0
    for _ in range(count):
        difficulty = random.normal(0, 0.5, 300)
        networks = random.normal(0, spread, (k + 1, 1))
        table = np.exp(networks + noise * (difficulty + random.normal(size=(k + 1, 300))))
        found = gap(table[0], table[1:], Resamples(300, 200), power=1)
        assert found.further is not None
        assert found.further < found.interval.low  # type: ignore[operator]
        kept += found.further <= 1
        plain += found.interval.low <= 1  # type: ignore[operator]
    assert at_least(kept, count, 0.975)
    if spread >= 0.3:
        assert not at_least(plain, count, 0.975)


@pytest.mark.parametrize("expected", [5, 8, 12, 20, 40])
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_a_scale_of_counts_is_not_chosen_by_what_it_shows(
    expected: int, spread: float, resamples: Resamples, at_least: Judge
) -> None:
    """Given that a scale is shown, held-out networks have gap 1 on average, and intervals cover."""
    random = np.random.default_rng(1000 + expected)
    logs, hits, shown, count = [], 0, 0, trials(1500, 700)
    for _ in range(count):
        rates = expected / 300 * np.exp(random.normal(0, spread, 5))
        table = (random.random((5, 300)) < rates[:, None]).astype(float)
        found = gap(table[0], table[1:], Resamples(300, 100), power=1, count=True)
        if found.interval.high is None:
            continue
        shown += 1
        if found.gap is not None:
            logs.append(np.log(found.gap))
        hits += (found.interval.low or 0.0) <= rates[0] / (expected / 300) <= found.interval.high
    assert shown > 0.9 * count
    assert 0.95 <= exp(np.mean(logs)) <= 1.05
    assert at_least(hits, shown, 0.95)


def test_flips_among_samples_of_which_the_reference_was_sure() -> None:
    """The same code on a subset with its own n: what happens elsewhere has no say, and ten events make a scale."""
    random = np.random.default_rng(12)
    mask = np.arange(360) < 250
    table = (random.random((5, 360)) < 0.3) & ~mask  # unsure samples flip often
    for row, flips in zip(table, (8, 4, 3, 2, 1), strict=True):
        row[random.choice(250, flips, replace=False)] = True
    among = table[:, mask].astype(float)
    own = Resamples(250, 500)
    assert change(among[0], own, count=True) == (8 / 250, clopper_pearson(8, 250))
    found = gap(among[0], among[1:], own, power=1, count=True)
    assert found.gap == pytest.approx(8 / (4 * 3 * 2 * 1) ** 0.25)
    among[1, np.flatnonzero(among[1])[0]] = 0
    assert "in 9 samples altogether; a scale needs 10" in gap(among[0], among[1:], own, power=1, count=True).reason
