"""Two variants beside each other: by hand, what pairing gives, and coverage by simulation."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, sqrt

import numpy as np
import pytest

from bench.stats.change import change
from bench.stats.gap import gap
from bench.stats.mean import student_quantiles
from bench.stats.proportions import clopper_pearson
from bench.stats.ratio import _ratio_score, count_ratio, paired_ratio
from bench.stats.resampling import Resamples


def test_it_is_the_ratio_of_the_gaps(resamples: Resamples) -> None:
    random = np.random.default_rng(0)
    yardsticks, first, second = random.gamma(2, 1, (4, 300)), random.gamma(2, 1, 300), random.gamma(2, 3, 300)
    found = paired_ratio(first, second, resamples, power=2)
    gaps = [gap(row, yardsticks, resamples, power=2).gap for row in (first, second)]
    assert found.estimate == pytest.approx(gaps[0] / gaps[1])  # type: ignore[operator]
    assert found.estimate == pytest.approx(sqrt(first.mean() / second.mean()))
    turned = paired_ratio(second, first, resamples, power=2)
    assert turned.estimate == pytest.approx(1 / found.estimate)  # type: ignore[operator]
    assert turned.interval.low == pytest.approx(1 / found.interval.high)  # type: ignore[operator]


def test_intervals_of_gaps_overlap_where_the_ratio_is_sure(resamples: Resamples) -> None:
    """Two variants that are far on the same samples: their difference is known far better than either gap."""
    random = np.random.default_rng(1)
    difficulty = np.exp(random.normal(0, 1, 300))
    yardsticks = difficulty * np.exp(random.normal(0, 0.3, (4, 1)) + random.normal(0, 0.3, (4, 300)))
    nearer = difficulty * np.exp(random.normal(0, 0.1, 300))
    further = 1.2 * difficulty * np.exp(random.normal(0, 0.1, 300))
    first, second = (gap(row, yardsticks, resamples, power=1).interval for row in (nearer, further))
    assert first.high > second.low  # type: ignore[operator]
    assert paired_ratio(nearer, further, resamples, power=1).interval.high < 1  # type: ignore[operator]


def test_reasons(resamples: Resamples) -> None:
    some = np.random.default_rng(2).gamma(2, 1, 300)
    assert "second variant does not differ" in paired_ratio(some, np.zeros(300), resamples, power=1).reason
    assert "first variant does not differ" in paired_ratio(1e-9 * some, some, resamples, power=1, floor=1e-6).reason
    few = np.r_[np.ones(9), np.zeros(291)]
    found = paired_ratio(few * some, some, resamples, power=1)
    assert found.estimate == pytest.approx((few * some).sum() / some.sum())
    assert found.interval.method == "none"
    assert "in 9 samples; an interval needs 10" in found.reason
    with pytest.raises(ValueError, match="not paired"):
        paired_ratio(some, some[:10], resamples, power=1)


def test_near_the_floor_there_is_one_limit_alone(resamples: Resamples) -> None:
    """A change that arithmetic explains is at most its upper limit, whatever the other's is at least."""
    random = np.random.default_rng(7)
    some, noise = random.gamma(2, 1, 300), 1e-6 * random.gamma(2, 1, 300)
    known = [change(row, resamples).interval for row in (noise, some)]
    above = paired_ratio(noise, some, resamples, power=2, floor=1e-5)
    assert above.estimate is None
    assert above.interval.low is None
    assert above.interval.high == pytest.approx(sqrt(1e-5 / known[1].low))  # type: ignore[operator]
    assert "first variant does not differ" in above.reason
    assert "an upper limit only" in above.reason
    below = paired_ratio(some, noise, resamples, power=2, floor=2e-6)
    assert below.interval.high is None
    assert below.interval.low == pytest.approx(sqrt(known[1].low / known[0].high))  # type: ignore[operator]
    assert "a lower limit only" in below.reason
    neither = paired_ratio(noise, noise, resamples, power=2, floor=1e-5)
    assert (neither.estimate, neither.interval.method) == (None, "none")
    assert neither.reason.startswith("neither variant differs from the reference")
    still = paired_ratio(some, np.zeros(300), resamples, power=2)
    assert still.interval.method == "none"
    assert "second variant does not differ" in still.reason
    assert "in any sample" in still.reason


def test_few_that_differ_take_fiellers_limits(resamples: Resamples) -> None:
    """The limits are where d_1 - theta d_2 has the studentised mean of the quantiles; they swap with the sides."""
    random = np.random.default_rng(11)
    first, second = (random.exponential(1, 300) * (random.random(300) < share) for share in (0.1, 0.2))
    found = paired_ratio(first, second, resamples, power=1)
    under, over = student_quantiles(first - found.estimate * second, resamples)  # type: ignore[operator]
    for theta, t in zip(found.interval[:2], (over, under), strict=True):
        apart = first - theta * second
        assert apart.mean() / apart.std() == pytest.approx(t)
    root = paired_ratio(first, second, resamples, power=2)
    assert root.interval[:2] == pytest.approx(tuple(np.sqrt(np.array(found.interval[:2], dtype=float))))
    turned = paired_ratio(second, first, resamples, power=1)
    assert turned.interval.low == pytest.approx(1 / found.interval.high)  # type: ignore[operator]
    assert paired_ratio(first, first, resamples, power=1).interval[:2] == (1, 1)


def test_counts_without_an_event_have_one_limit(resamples: Resamples) -> None:
    some, none = np.r_[np.ones(12), np.zeros(288)], np.zeros(300)
    above, below = (paired_ratio(*pair, resamples, power=1, count=True) for pair in ((none, some), (some, none)))
    assert (above.estimate, above.interval.low, below.interval.high) == (None, None, None)
    assert above.interval.high == pytest.approx(1 / below.interval.low)  # type: ignore[operator]
    assert above.interval.high == pytest.approx(count_ratio(none, some).high)
    assert paired_ratio(none, none, resamples, power=1, count=True).interval.method == "none"
    floored = paired_ratio(np.r_[1.0, none[1:]], some, resamples, power=1, count=True, floor=0.01)
    assert floored.interval.low is None
    limits = clopper_pearson(1, 300).high, clopper_pearson(12, 300).low
    assert floored.interval.high == pytest.approx(limits[0] / limits[1])  # type: ignore[operator]


def _score(x: int, y: int, both: int, n: int, theta: float) -> float:
    """The score by brute force: the likelihood of four cells, maximised on a grid under p_1 = theta p_2."""
    a, b, c, d = both, x - both, y - both, n - x - y + both
    q = np.linspace(0, 0.5, 2001)[1:-1]
    first, second = np.meshgrid(q, q, indexing="ij")  # of an event in the first alone, in the second alone
    shared = (first - theta * second) / (theta - 1)
    rest = 1 - shared - first - second
    inside = (shared > 0) & (rest > 0)
    logs = [k * np.log(np.where(inside, p, 1)) for k, p in ((a, shared), (b, first), (c, second), (d, rest))]
    best = np.unravel_index(np.argmax(np.where(inside, sum(logs), -np.inf)), first.shape)
    return float((x - theta * y) / sqrt(n * theta * (first[best] + second[best])))


@pytest.mark.parametrize(("x", "y", "both", "n"), [(15, 9, 5, 100), (4, 10, 1, 60)])
@pytest.mark.parametrize("theta", [0.5, 2.0])
def test_score_of_a_ratio_maximises_the_likelihood(x: int, y: int, both: int, n: int, theta: float) -> None:
    assert _ratio_score(x, y, both, n, theta) == pytest.approx(_score(x, y, both, n, theta), rel=2e-3)


def test_count_ratio_swaps_and_holds_the_ratio_and_pairs() -> None:
    one, two = np.r_[np.ones(20), np.zeros(180)], np.r_[np.zeros(5), np.ones(30), np.zeros(165)]
    low, high, _ = count_ratio(one, two)
    assert low < 20 / 30 < high  # type: ignore[operator]
    back = count_ratio(two, one)
    assert (back.low, back.high) == pytest.approx((1 / high, 1 / low))  # type: ignore[operator]
    apart = count_ratio(one, np.r_[np.zeros(100), np.ones(30), np.zeros(70)])
    assert apart.low < low < high < apart.high  # type: ignore[operator]
    same = count_ratio(one, one)
    assert same.low < 1 < same.high
    assert same.low == pytest.approx(1 / same.high)


@pytest.mark.parametrize(("first", "second", "shared"), [(0.01, 0.02, 0.5), (0.02, 0.02, 0.9), (0.003, 0.05, 0.5)])
def test_count_ratio_covers_95_percent(first: float, second: float, shared: float) -> None:
    """Few events too: 4, 7 and 1 expected of the first, of 360; long runs are in docs/design/statistics.md."""
    random, both, hits, known = np.random.default_rng(8), shared * min(first, second), [], {}
    shares = [both, first - both, second - both, 1 - first - second + both]
    for a, b, c, d in random.multinomial(360, shares, 2000):
        if (a, b, c) not in known:
            known[a, b, c] = count_ratio(
                np.repeat([1.0, 1, 0, 0], [a, b, c, d]), np.repeat([1.0, 0, 1, 0], [a, b, c, d])
            )
        low, high, method = known[a, b, c]
        if method == "score":
            hits.append((low or 0) <= first / second <= (np.inf if high is None else high))
    assert np.mean(hits) >= 0.94


@pytest.mark.parametrize(
    ("law", "n", "power"),
    [("gamma", 300, 1), ("gamma", 100, 2), ("rare", 900, 2), ("zeros", 360, 1), ("flips", 900, 1)],
)
def test_intervals_cover_95_percent(law: str, n: int, power: int, at_least: Callable[[int, int, float], bool]) -> None:
    """Two variants that share what is difficult; the true ratio of the means is known."""
    random = np.random.default_rng(n + power)
    resamples, trials, hits = Resamples(n, 500), 1000, 0
    for _ in range(trials):
        if law == "flips":
            shared, own = random.random(n) < 0.04, random.random((2, n)) < [[0.01], [0.05]]
            first, second = (np.where(shared, 1.0, row) for row in own)
            truth = (0.04 + 0.96 * 0.01) / (0.04 + 0.96 * 0.05)
        else:
            shape = 0.1 if law == "rare" else 0.7
            shared = random.gamma(shape, 1, n)
            rows = np.stack([shared, random.gamma(shape, 0.5, n), random.gamma(shape, 1.5, n)])
            if law == "zeros":
                rows *= random.random((3, n)) < 0.06
            first, second = rows[0] + rows[1], rows[0] + rows[2]
            truth = 1.5 / 2.5
        low, high, _ = paired_ratio(first, second, resamples, power=power, count=law == "flips").interval  # type: ignore[arg-type]
        hits += (low or 0) <= exp(np.log(truth) / power) <= (np.inf if high is None else high)
    assert at_least(hits, trials, 0.94)
