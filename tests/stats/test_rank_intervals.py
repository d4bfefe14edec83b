"""Rank intervals: by hand, ties and near ties, whatever the order; and what they hold by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from bench.stats.all_pairs import all_pairs_quantile, skewness_removed, student_critical
from bench.stats.paired_order import counts_less, draws_less, means_less
from bench.stats.rank_intervals import beyond_arithmetic, rank_intervals
from bench.stats.resampling import Resamples
from tests.stats.rank_laws import KINDS, LAWS, admissible, coverage, lognormal, normal
from tests.stats.trials import trials

APART = 3.0


def _three(n: int = 200, seed: int = 0) -> np.ndarray:
    """Two that are tied, and one that is surely more than both."""
    random = np.random.default_rng(seed)
    return random.normal(size=n) + 0.3 * random.normal(size=(3, n)) + np.array([[0.0], [0.0], [APART]])


def test_intervals_by_hand() -> None:
    less = np.zeros((4, 4), dtype=bool)
    less[0, 2] = less[0, 3] = less[1, 3] = True  # 0 before 2 and 3, 1 before 3
    assert rank_intervals(less) == [(1, 2), (1, 3), (2, 4), (3, 4)]
    assert rank_intervals(np.zeros((3, 3), dtype=bool)) == [(1, 3)] * 3
    assert rank_intervals(np.triu(np.ones((3, 3), dtype=bool), 1)) == [(1, 1), (2, 2), (3, 3)]
    assert rank_intervals(np.zeros((0, 0), dtype=bool)) == []
    with pytest.raises(ValueError, match="each less"):
        rank_intervals(np.ones((2, 2), dtype=bool))
    with pytest.raises(ValueError, match="every figure"):
        rank_intervals(np.zeros((2, 3), dtype=bool))


def test_admissible_ranks_of_ties() -> None:
    assert admissible(np.array([0.0, 1.0, 1.0, 2.0])) == [(1, 1), (2, 3), (2, 3), (4, 4)]


@pytest.mark.parametrize("m", [0, 1])
def test_none_and_one_alone(m: int) -> None:
    rows = np.zeros((m, 30))
    for less in (means_less(rows), counts_less(rows), draws_less(np.zeros(m), np.zeros((m, 50)), 30)):
        assert rank_intervals(less) == [(1, 1)] * m


def test_means_that_are_apart_and_tied() -> None:
    table = _three()
    assert rank_intervals(means_less(table)) == [(1, 2), (1, 2), (3, 3)]
    means = Resamples(200, 2000).means(table)
    assert rank_intervals(draws_less(table.mean(axis=1), means, 200)) == [(1, 2), (1, 2), (3, 3)]


def test_shared_errors_cancel() -> None:
    """Apart by much less than either is known: unpaired, nothing would be sure."""
    random = np.random.default_rng(1)
    table = 9 * random.normal(size=300) + 0.1 * random.normal(size=(2, 300)) + np.array([[0.0], [0.1]])
    assert abs(np.diff(table.mean(axis=1))[0]) < 0.2 * 9 / np.sqrt(300)
    assert means_less(table).tolist() == [[False, True], [False, False]]


def test_one_pair_is_students_paired_test() -> None:
    random, agreed = np.random.default_rng(2), 0
    for _ in range(200):
        first, second = random.normal(size=(2, 40)) + np.array([[0.0], [0.45]])
        p_value = stats.ttest_rel(first, second).pvalue
        sure = bool(means_less(np.stack([first, second])).any())
        assert not (sure and p_value > 0.055)  # what skewness takes away, and the error of simulation
        agreed += sure == (p_value < 0.05)
    assert agreed >= 180


@pytest.mark.parametrize("m", [3, 9, 40])
def test_the_quantile_is_that_of_the_studentised_range(m: int) -> None:
    wanted = stats.studentized_range.ppf(0.95, m, 10_000) / np.sqrt(2)
    assert all_pairs_quantile(np.eye(m), draws=20_000) == pytest.approx(wanted, abs=0.05)
    shared = np.eye(m) + 7.0  # an error common to all is no error of a difference
    assert all_pairs_quantile(shared, draws=20_000) == pytest.approx(wanted, abs=0.05)


def test_the_quantile_of_duplicates_and_its_bound() -> None:
    two = np.kron(np.eye(2), np.full((5, 5), 1.0)) + 1e-13 * np.eye(10)
    assert all_pairs_quantile(two) <= stats.norm.ppf(1 - 0.025 / 45)
    assert all_pairs_quantile(np.diag([1.0, 0.0])) == pytest.approx(1.96, abs=0.08)  # one that never varies
    with pytest.raises(ValueError, match="square"):
        all_pairs_quantile(np.ones((2, 3)))
    assert student_critical(1.96, 10**7) == pytest.approx(1.96, abs=1e-3)


def test_skewness_makes_t_symmetric() -> None:
    """Student's t of 60 exponential numbers: the tail below 0 is far too heavy, the corrected one is not."""
    random = np.random.default_rng(3)
    table = random.exponential(size=(40_000, 60)) - 1
    spread = table.std(axis=1)
    t = table.mean(axis=1) * np.sqrt(59) / spread
    skewness = ((table - table.mean(axis=1, keepdims=True)) ** 3).mean(axis=1) / spread**3
    critical = stats.t.ppf(0.995, 59)
    assert (t < -critical).mean() > 0.015  # of .005
    assert (skewness_removed(t, skewness, 60) < -critical).mean() < 0.009


def test_equal_rows_and_equal_differences_are_ties() -> None:
    row = np.random.default_rng(4).normal(size=100)
    assert not means_less(np.stack([row, row])).any()
    assert not means_less(np.stack([row, row + 1])).any()  # no spread tells how far a sample may differ
    assert not counts_less(np.ones((3, 50))).any()
    assert not draws_less(np.zeros(2), np.stack([row, row]), 100).any()


def test_nothing_is_sure_of_few_samples() -> None:
    random = np.random.default_rng(5)
    assert not means_less(random.normal(size=(2, 9)) + np.array([[0.0], [50.0]])).any()
    few = np.zeros((2, 400))
    few[1, :9] = 1 + 0.01 * random.normal(size=9)
    assert not means_less(few).any()  # nine samples alone differ
    few[1, :30] = 1 + 0.01 * random.normal(size=30)
    assert means_less(few).any()


def test_a_few_large_ones_against_many_small_ones() -> None:
    """Most differences are positive, and the four that are not may as well have been ten: nothing is sure."""
    difference = np.full(200, 1.0) + 0.1 * np.random.default_rng(6).normal(size=200)
    difference[:4] = -10.0  # + .78 a sample, Student's t above 6
    table = np.stack([difference, np.zeros(200)])
    assert stats.ttest_1samp(difference, 0).statistic > 6
    assert not means_less(table).any()
    difference[:4] = -0.1
    assert means_less(np.stack([difference, np.zeros(200)])).tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize(
    ("favour", "against", "m"), [(6, 0, 2), (5, 0, 2), (12, 3, 2), (11, 3, 2), (9, 0, 4), (8, 0, 4)]
)
def test_counts_are_the_exact_sign_test(favour: int, against: int, m: int) -> None:
    table = np.zeros((m, 60))
    table[1, :favour] = 1
    table[0, favour : favour + against] = 1
    wanted = stats.binomtest(favour, favour + against).pvalue * m * (m - 1) / 2 <= 0.05
    assert counts_less(table)[0, 1] == wanted
    assert not counts_less(table)[1, 0]


def test_differences_of_two_count_twice_against_and_once_for() -> None:
    table = np.zeros((2, 60))
    table[1, :6] = 2
    assert counts_less(table)[0, 1]  # as six
    table[1, :12] = 1
    table[1, 12:14] = -1
    assert counts_less(table)[0, 1]  # twelve against two: .013
    table[1, 12:14] = -2
    assert not counts_less(table)[0, 1]  # against four: .077
    with pytest.raises(ValueError, match="whole"):
        counts_less(table / 4)


@pytest.mark.parametrize("order", [means_less, counts_less])
def test_neither_order_nor_scale_matters(order: Callable[..., np.ndarray]) -> None:
    random = np.random.default_rng(7)
    table = LAWS["events, .3"].draw(random, np.linspace(0, 1, 7), 400)
    table = table if order is counts_less else table + normal(random, np.zeros(7), 400)
    less = order(table)
    assert less.any()
    shuffled = random.permutation(7)
    assert (order(table[shuffled]) == less[np.ix_(shuffled, shuffled)]).all()
    assert (order(table[:, random.permutation(400)]) == less).all()
    assert (order(-table) == less.T).all()
    if order is means_less:
        assert (order(table * 2.0**-40) == less).all()


def test_copies_and_order_leave_the_simultaneous_level_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "bench.stats.paired_order.all_pairs_quantile", lambda covariance, level: seen.append(covariance) or 3.0
    )
    table = normal(np.random.default_rng(11), np.zeros(4), 60)
    for rows in (table, table[::-1], table[[2, 0, 0, 3, 1, 1]]):
        means_less(rows)
        draws_less(np.zeros(len(rows)), rows, 60)
    assert all(np.array_equal(covariance, seen[0]) for covariance in seen)
    assert (len(seen), seen[0].shape) == (6, (4, 4))


def test_what_is_sure_goes_with_the_estimates() -> None:
    random = np.random.default_rng(8)
    for law in LAWS.values():
        table = law.draw(random, 0.3 * np.arange(6.0), 150)
        less, means = law.order(table), table.mean(axis=1)
        assert all(means[i] < means[j] for i, j in np.argwhere(less))
        ranks = stats.rankdata(means, method="min")
        assert all(low <= rank <= high for rank, (low, high) in zip(ranks, rank_intervals(less), strict=True))


def test_draws_that_are_not_finite_are_left_out() -> None:
    table = _three()
    draws = Resamples(200, 1000).means(table)
    draws[0, ::50] = np.nan
    draws[2, 1::70] = -np.inf
    assert rank_intervals(draws_less(table.mean(axis=1), draws, 200)) == [(1, 2), (1, 2), (3, 3)]
    with pytest.raises(ValueError, match="estimates of shape"):
        draws_less(np.zeros(2), draws, 200)
    with pytest.raises(ValueError, match="finite numbers"):
        means_less(np.full((2, 40), np.nan))


def test_arithmetic_alone_is_no_difference() -> None:
    apart = beyond_arithmetic(np.array([1.0, 1.0 + 1e-7, 1.1]), np.array([0.0, 0.02, 0.06]))
    assert apart.tolist() == [[False, False, False], [False, False, False], [False, False, False]]
    assert beyond_arithmetic(np.array([1.0, 1.1]), np.array([0.0, 0.04])).tolist() == [[False, True], [True, False]]
    assert beyond_arithmetic(np.array([-0.04, 0.04]), np.zeros(2), 2)[0, 1]  # roots keep the sign


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LAWS)
def test_they_hold_all_admissible_ranks(name: str, kind: str, at_least: Callable[[int, int, float], bool]) -> None:
    """Of five networks; the long form of more of them, with the width, stands in docs/design/statistics.md."""
    found = coverage(LAWS[name], kind, 5, 100, trials(1000, 60))
    assert at_least(found.hits, found.trials, 0.95)


def test_single_intervals_would_not_hold_together(at_least: Callable[[int, int, float], bool]) -> None:
    """The reason for the simultaneous level: nine tied networks, each pair at 95 %."""
    random, count, held = np.random.default_rng(9), trials(400, 100), 0
    for _ in range(count):
        table = normal(random, np.zeros(9), 100)
        pairs = [stats.ttest_rel(table[i], table[j]).pvalue for i in range(9) for j in range(i)]
        held += min(pairs) > 0.05
    assert not at_least(held, count, 0.95)


def test_more_samples_and_fewer_networks_narrow_them() -> None:
    law = LAWS["log-normal, skewness 6.2"]
    widths = [
        coverage(law._replace(step=0.3 * max(1.0, np.sqrt(n / 400))), "apart", 5, n, 40).width for n in (100, 1600)
    ]
    assert widths[1] < widths[0]
    random = np.random.default_rng(10)
    table = lognormal(1.0)(random, 0.12 * np.arange(9.0), 400)
    assert not (means_less(table)[:2, :2] & ~means_less(table[:2])).any()
