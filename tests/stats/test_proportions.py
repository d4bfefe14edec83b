"""Exact and score intervals: against scipy, by full enumeration, and at 0 and n events."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from bench.stats.proportions import (
    PairedTable,
    binomial_tail,
    clopper_pearson,
    paired_difference,
    paired_score,
)


def test_no_event_of_360() -> None:
    low, high, method = clopper_pearson(0, 360)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 360))
    assert high == pytest.approx(0.0102, abs=5e-5)
    assert method == "exact"
    assert clopper_pearson(360, 360).high == 1
    assert clopper_pearson(360, 360).low == pytest.approx(0.025 ** (1 / 360))


@pytest.mark.parametrize(("events", "n"), [(0, 1), (1, 1), (3, 17), (17, 17), (0, 360), (180, 360)])
def test_against_scipy(events: int, n: int) -> None:
    result = stats.binomtest(events, n)
    assert clopper_pearson(events, n)[:2] == pytest.approx(tuple(result.proportion_ci(method="exact")), abs=1e-9)


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.999])
@pytest.mark.parametrize(("events", "n"), [(0, 1), (1, 1), (3, 20), (9, 10), (40, 300), (300, 300), (1200, 10000)])
def test_binomial_tail_against_scipy(events: int, n: int, p: float) -> None:
    assert binomial_tail(events, n, p) == pytest.approx(stats.binom.sf(events - 1, n, p), rel=1e-9, abs=1e-300)
    assert binomial_tail(events, n, p) == pytest.approx(
        stats.binomtest(events, n, p, alternative="greater").pvalue, rel=1e-9, abs=1e-300
    )


def test_binomial_tail_at_its_ends() -> None:
    assert binomial_tail(9, 10, 0.5) == pytest.approx(11 / 1024)
    assert binomial_tail(0, 10, 0.5) == 1
    assert binomial_tail(3, 3, 1.0) == binomial_tail(1, 3, 1.0) == 1
    assert (binomial_tail(0, 3, 0.0), binomial_tail(1, 3, 0.0)) == (1, 0)
    for events, n, p in ((4, 3, 0.5), (-1, 3, 0.5), (0, 0, 0.5), (1, 3, 1.1), (1, 3, -0.1), (1, 3, float("nan"))):
        with pytest.raises(ValueError, match="is not a p"):
            binomial_tail(events, n, p)


def test_coverage_by_enumeration() -> None:
    """Exact covers at least 95 % for every p."""
    n = 60
    exact = np.array([clopper_pearson(x, n)[:2] for x in range(n + 1)], dtype=float)
    grid = np.linspace(0.003, 0.997, 401)
    mass = stats.binom.pmf(np.arange(n + 1)[:, None], n, grid)
    covered = (mass * ((exact[:, :1] <= grid) & (grid <= exact[:, 1:]))).sum(axis=0)
    assert covered.min() >= 0.95


@pytest.mark.parametrize(("events", "n"), [(-1, 10), (11, 10), (0, 0)])
def test_no_proportion(events: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        clopper_pearson(events, n)


def test_paired_table() -> None:
    first, second = np.array([1.0, 1, 0, 0, 1]), np.array([1.0, 0, 1, 1, 1])
    assert PairedTable.of(first, second) == (2, 1, 5)
    assert PairedTable.of(first, second).difference == pytest.approx(0.2)
    with pytest.raises(ValueError, match="0 or 1"):
        PairedTable.of(first, second / 2)
    with pytest.raises(ValueError, match="shapes"):
        PairedTable.of(first, second[:-1])


def _likelihood_score(table: PairedTable, difference: float) -> float:
    """The score by brute force: maximise the likelihood over the nuisance parameter on a grid."""
    b, c, n = table
    q = np.linspace(max(0.0, -difference), (1 - difference) / 2, 2_000_001)[1:-1]
    rest = np.maximum(1 - 2 * q - difference, 1e-300)
    value = b * np.log(q + difference) + c * np.log(q) + (n - b - c) * np.log(rest)
    best = q[np.argmax(value)]
    return float((b - c - n * difference) / np.sqrt(n * (2 * best + difference * (1 - difference))))


@pytest.mark.parametrize("table", [PairedTable(10, 2, 100), PairedTable(0, 3, 40), PairedTable(12, 9, 30)])
@pytest.mark.parametrize("difference", [-0.2, 0.05, 0.3])
def test_score_maximises_the_likelihood(table: PairedTable, difference: float) -> None:
    assert paired_score(table, difference) == pytest.approx(_likelihood_score(table, difference), rel=1e-4)


def test_limits_are_roots_of_the_score_and_swap_with_the_sides() -> None:
    for table in (PairedTable(10, 2, 100), PairedTable(1, 0, 20), PairedTable(0, 0, 50), PairedTable(5, 0, 5)):
        low, high, method = paired_difference(table)
        assert method == "score"
        assert low is not None
        assert high is not None
        if low > -1:
            assert paired_score(table, low) == pytest.approx(1.959964, abs=1e-4)
        if high < 1:
            assert paired_score(table, high) == pytest.approx(-1.959964, abs=1e-4)
        swapped = paired_difference(PairedTable(table.lost, table.gained, table.n))
        assert (swapped.low, swapped.high) == pytest.approx((-high, -low))


def test_no_discordant_pair_is_no_certainty() -> None:
    z = stats.norm.ppf(0.975)
    low, high, _ = paired_difference(PairedTable(0, 0, 360))
    assert high == pytest.approx(z * z / (360 + z * z))
    assert low == pytest.approx(-z * z / (360 + z * z))
    assert PairedTable(0, 0, 360).p_above(0.0) == 0.5


def test_all_pairs_discordant() -> None:
    low, high, _ = paired_difference(PairedTable(30, 0, 30))
    assert high == 1
    assert 0.7 < low < 1  # type: ignore[operator]


def test_score_falls_with_the_difference() -> None:
    scores = [paired_score(PairedTable(7, 3, 50), d) for d in np.linspace(-0.99, 0.99, 199)]
    assert all(later < earlier for earlier, later in pairwise(scores))


@pytest.mark.parametrize(("gain", "loss"), [(0.03, 0.01), (0.1, 0.1), (0.005, 0.02)])
def test_coverage_of_the_paired_difference(gain: float, loss: float) -> None:
    """95 % within two points at n = 300, by simulation of 4,000 tables."""
    random = np.random.default_rng(5)
    tables = random.multinomial(300, [gain, loss, 1 - gain - loss], size=4000)
    known: dict[tuple[int, int], bool] = {}
    for b, c, _ in tables:
        if (b, c) not in known:
            interval = paired_difference(PairedTable(int(b), int(c), 300))
            known[b, c] = interval.low <= gain - loss <= interval.high  # type: ignore[operator]
    assert 0.93 <= np.mean([known[b, c] for b, c, _ in tables]) <= 0.97
