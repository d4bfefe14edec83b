import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from bench.stats import power
from bench.stats.power import (
    count_power,
    critical_events,
    detectable_mean,
    detectable_proportion,
    detectable_rate,
    paired_scores,
    samples_for_mean,
    samples_for_proportion,
    samples_for_rate,
    score_power,
)
from bench.stats.proportions import PairedTable, clopper_pearson, paired_score


@given(st.integers(0, 50), st.integers(0, 50), st.integers(100, 300), st.floats(-0.5, 0.5))
def test_scores_are_those_of_single_tables(gained, lost, n, difference):
    expected = paired_score(PairedTable(gained, lost, n), difference)
    assert paired_scores(np.array([gained]), np.array([lost]), n, difference)[0] == pytest.approx(expected)


def test_power_against_every_table_of_a_few_pairs():
    n, worse, better = 12, 0.3, 0.1
    total = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            ways = np.prod(range(n - b - c + 1, n + 1)) / np.prod(range(1, b + 1)) / np.prod(range(1, c + 1))
            chance = ways * worse**b * better**c * (1 - worse - better) ** (n - b - c)
            total += chance * (paired_score(PairedTable(b, c, n), 0.05) >= 1.959964)
    assert score_power(n, 0.2, 0.05, 0.4) == pytest.approx(total, rel=1e-9)


def test_power_rises_with_samples_and_harm_and_is_the_level_at_the_tolerance():
    by_n = [score_power(n, 0.08, 0.02, 0.1) for n in (100, 300, 900)]
    assert by_n == sorted(by_n)
    assert score_power(900, 0.02, 0.02, 0.1) == pytest.approx(0.025, abs=0.006)
    assert score_power(900, 0.0, 0.02, 0.1) < 0.002


@pytest.mark.parametrize(
    ("n", "harm", "tolerance", "share"),
    [(3000, 0.03, 0.02, 0.1), (3000, 0.02, 0.02, 0.1), (5000, 0.01, 0.02, 0.2)],
)
def test_the_normal_law_takes_over_without_a_step(monkeypatch, n, harm, tolerance, share):
    exact = score_power(n, harm, tolerance, share)
    monkeypatch.setattr(power, "TABLES", 0)
    assert score_power(n, harm, tolerance, share) == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize(("tolerance", "discordance"), [(0.01, 0.01), (0.02, 0.1), (0.05, 0.0), (0.1, 0.3)])
def test_prescribed_samples_are_enough_and_few(tolerance, discordance):
    n = samples_for_proportion(tolerance, discordance)
    share = discordance + 2 * tolerance
    assert score_power(n, 2 * tolerance, tolerance, share) >= 0.8
    assert score_power(int(n * 0.9), 2 * tolerance, tolerance, share) < 0.8
    assert detectable_proportion(n, tolerance, discordance) == pytest.approx(2 * tolerance, rel=0.05)


def test_what_no_number_of_samples_can_show():
    assert samples_for_proportion(0.0, 0.1) is None
    assert samples_for_proportion(0.6, 0.1) is None
    assert samples_for_mean(0.0, 1.0) is None
    assert samples_for_proportion(1e-5, 0.5) is None  # more than ten million
    assert detectable_proportion(2, 0.5, 0.1) is None
    with pytest.raises(ValueError, match="no paired proportions"):
        score_power(0, 0.1, 0.0, 0.1)


def test_means():
    assert detectable_mean(400, 0.1, 1.0) == pytest.approx(0.1 + 2.8016 / 20, abs=1e-4)
    assert detectable_mean(samples_for_mean(0.1, 1.0), 0.1, 1.0) == pytest.approx(0.2, rel=0.01)


@pytest.mark.parametrize(("n", "tolerance"), [(100, 0.02), (200, 0.05), (360, 0.02), (900, 0.1)])
def test_power_of_counts_is_that_of_the_exact_interval(n, tolerance):
    """Against scipy's binomial law and every interval; the normal law claimed 80 % where 55 to 75 % are true."""
    critical = min(k for k in range(n + 1) if clopper_pearson(k, n).low > tolerance)
    assert critical_events(n, tolerance) == critical
    for rate in (tolerance, 2 * tolerance, 3 * tolerance):
        assert count_power(n, rate, tolerance) == pytest.approx(binom.sf(critical - 1, n, rate), rel=1e-9)
    assert count_power(n, tolerance, tolerance) <= 0.025
    assert count_power(n, detectable_rate(n, tolerance), tolerance) == pytest.approx(0.8)
    claimed = detectable_mean(n, tolerance, (tolerance * (1 - tolerance)) ** 0.5)
    assert count_power(n, claimed, tolerance) < 0.75


@pytest.mark.parametrize(("rate", "tolerance"), [(0.1, 0.05), (0.04, 0.02), (0.97, 0.95)])
def test_prescribed_samples_of_a_rate_are_enough_and_few(rate, tolerance):
    n = samples_for_rate(rate, tolerance)
    assert count_power(n, rate, tolerance) >= 0.8
    assert count_power(int(n * 0.85), rate, tolerance) < 0.8


def test_rates_that_no_number_of_samples_can_tell_apart():
    assert samples_for_rate(0.05, 0.05) is None
    assert samples_for_rate(1.2, 0.6) is None
    assert samples_for_rate(0.5 + 1e-7, 0.5) is None  # more than ten million
    assert detectable_rate(3, 0.5) is None
    assert critical_events(3, 0.5) == 4
