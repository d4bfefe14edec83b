"""How often gates are wrong, by simulation: what the words promise."""

from math import sqrt

import numpy as np
import pytest
from scipy.stats import binom

from bench.gate import baseline_of, judge_baseline, judge_gate
from bench.gate.paired_tests import Pairing, shifts
from bench.results import ValueResult
from bench.stats.figure import mean_figure
from bench.stats.noninferiority import ALPHA, decide
from bench.stats.power import (
    detectable_mean,
    detectable_proportion,
    samples_for_mean,
    samples_for_proportion,
    score_power,
)
from bench.stats.proportions import PairedTable, clopper_pearson
from bench.stats.resampling import Resamples
from bench.stats.streams import generator
from bench.store.samples import ValueSamples


def most(rate, count):
    """A simulated share whose truth is ``rate`` stays below this in 999 of 1000 repetitions."""
    return rate + 3.1 * sqrt(rate * (1 - rate) / count)


def least(rate, count):
    return rate - 3.1 * sqrt(rate * (1 - rate) / count)


def pairs(random, n, harm, discordance):
    """Two 0/1 outcomes of n samples: a share of pairs changes, more of them for the worse by ``harm``."""
    share = random.random(n)
    worse, better = (discordance + harm) / 2, (discordance - harm) / 2
    before = (random.random(n) < 0.3).astype(float)
    before[share < worse] = 0
    before[(share >= worse) & (share < worse + better)] = 1
    after = before.copy()
    after[share < worse] = 1
    after[(share >= worse) & (share < worse + better)] = 0
    return before, after


def pairing(form, before, after, margin):
    samples = [ValueSamples(form, {"x": x}, better="lower") for x in (before, after)]
    return Pairing(*samples, len(before), margin)


def regressed(pairings):
    """Share of single gates that say regressed."""
    found = shifts(pairings, together=1)
    words = [decide(s.harm.interval, p.margin, s.worse, s.better) for p, s in zip(pairings, found, strict=True)]
    return float(np.mean([word == "regressed" for word in words]))


SINGLE, TEN, TWENTY = 0.0565, 0.081, 0.091  # the worst of 476,835 points searched exactly: docs/design/gates.md


def exact_worst(cases, classes=1):
    """The largest probability that a change equal to the tolerance fails, over (n, tolerance, discordance): exact.

    Of several classes that all stand on it, Holm fails one where the smallest p-value is at most alpha / classes.
    """
    alone = [score_power(n, tolerance, tolerance, share, alpha=ALPHA / classes) for n, tolerance, share in cases]
    return max(1 - (1 - p) ** classes for p in alone)


def test_the_exact_worst_case_of_one_gate_on_a_proportion():
    """Not 2.5 %, which the score test keeps on average, and not 5 % either: the words say what is true."""
    grid = [
        (n, tolerance, min(1.0, factor * tolerance))
        for n in (10, 20, 40, 60, 100, 200, 360, 900)
        for tolerance in (0.005, 0.01, 0.02, 0.05, 0.08, 0.1, 0.2)
        for factor in (1.0, 1.1, 1.25, 1.5, 2.0, 4.0)
    ]
    worst = [(1352, 0.003, 0.0036), (508, 0.008, 0.0091), (313, 0.013, 0.0149)]
    assert 0.055 < exact_worst([*grid, *worst]) <= SINGLE
    assert np.mean([exact_worst([case]) for case in grid]) < 0.025  # and what it is on average


def test_the_exact_worst_case_of_a_gate_per_class():
    grid = [
        (n, tolerance, min(1.0, factor * tolerance))
        for n in (20, 36, 60, 100, 200)
        for tolerance in (0.02, 0.05, 0.1, 0.15)
        for factor in (1.0, 1.1, 1.2, 1.5)
    ]
    assert 0.075 < exact_worst([*grid, (275, 0.032, 0.0378)], classes=10) <= TEN
    assert 0.085 < exact_worst([*grid, (875, 0.011, 0.0113)], classes=20) <= TWENTY


@pytest.mark.parametrize(("n", "tolerance", "discordance"), [(200, 0.02, 0.025), (60, 0.1, 0.3)])
def test_gates_err_as_often_as_the_exact_calculation_says(n, tolerance, discordance):
    """The whole road of a gate on simulated outcomes: neither more nor less than the exact figure."""
    random, count = generator("proportions at the tolerance", n), 4000
    made = [pairing("proportion", *pairs(random, n, tolerance, discordance), tolerance) for _ in range(count)]
    exact = score_power(n, tolerance, tolerance, discordance)
    assert least(exact, count) <= regressed(made) <= most(exact, count)


@pytest.mark.parametrize("n", [60, 360])
@pytest.mark.parametrize("rule", ["min_value", "max_value"])
def test_a_figure_that_stands_on_its_limit_is_passed_in_at_most_2_5_percent(rule, n):
    """Exact: the interval is the variant's own, so that no figure of the reference is taken as exact.

    Shifting the harm's interval by the reference's sample figure passed 16 to 39 % of such variants.
    """
    for edge in (0.6, 0.9, 0.97) if rule == "min_value" else (0.4, 0.1, 0.03):
        passed = failed = 0.0
        for events in range(n + 1):
            interval = clopper_pearson(events, n)
            value = ValueResult(
                kind="quality", unit="proportion", better="higher", variant=events / n, own_ci=interval[:2]
            )
            verdict, chance = judge_gate(value, rule, edge).verdict, binom.pmf(events, n, edge)
            passed += chance * (verdict == "passed")
            failed += chance * (verdict == "failed")
        assert passed <= 0.025
        assert failed <= 0.025


@pytest.mark.parametrize("n", [200, 900])
def test_a_mean_that_stands_on_its_limit_is_seldom_passed(n):
    """Right-skewed losses, as NLL are; a one-sided error of the studentised bootstrap stays below 4 %."""
    random, count, passed = generator("means on the limit", n), 1500, 0
    resamples = Resamples(n, 1000)
    for _ in range(count):
        losses = random.gamma(0.5, 0.6, n)  # mean 0.3, skewness 2.8
        value = ValueResult(kind="quality", variant=losses.mean(), own_ci=mean_figure(losses, resamples)[:2])
        passed += judge_gate(value, "max_value", 0.3).verdict == "passed"
    assert passed / count <= most(0.035, count)


@pytest.mark.parametrize(
    ("law", "n", "rate"), [("normal", 40, 0.025), ("skewed", 60, 0.025), ("skewed the other way", 60, 0.045)]
)
def test_a_change_that_equals_the_tolerance_is_seldom_called_a_regression_means(law, n, rate):
    """2.5 %, but where a few samples became much better while most became worse: 4.4 % at n = 60 (2,000 trials)."""
    random, count = generator("means at the tolerance", law), 1500
    made = []
    for _ in range(count):
        before = random.normal(2, 1, n) if law == "normal" else random.exponential(1.0, n)
        noise = random.normal(0.2, 0.3, n) if law == "normal" else random.exponential(0.2, n)
        made.append(pairing("mean", before, before + (0.4 - noise if "other" in law else noise), 0.2))
    found = regressed(made)
    assert found <= most(rate, count)
    if "other" in law:
        assert found > 0.03  # the words say more than 2.5 %


def test_twenty_gates_without_a_change_seldom_stop_a_run(make):
    """The hardest case: margins of 0, so that no change stands exactly on every tolerance; 12 + 8 gates."""
    random, count, stopped = generator("twenty gates"), 200, 0
    for _ in range(count):
        first, second = make(), make(key="second")
        common = random.normal(0, 0.3, 50)  # gates of one run share their samples
        for index in range(12):
            before, after = pairs(random, 150, 0.0, 0.1)
            first.add(before, variant=f"p{index}", tolerance=0.0)
            second.add(after, variant=f"p{index}", tolerance=0.0)
        for index in range(8):
            level = random.normal(1, 1, 50)
            first.add(level, variant=f"m{index}", form="mean", tolerance=0.0)
            second.add(level + common + random.normal(0, 0.3, 50), variant=f"m{index}", form="mean", tolerance=0.0)
        judgements = judge_baseline(*second.run(), baseline_of(*first.run()))
        assert len(judgements) == 20
        stopped += any(item.verdict == "regressed" for item in judgements)
    assert stopped / count <= most(0.05, count)


@pytest.mark.parametrize(("tolerance", "discordance"), [(0.02, 0.006), (0.05, 0.1)])
def test_the_prescribed_samples_find_twice_the_tolerance(tolerance, discordance):
    n = samples_for_proportion(tolerance, discordance)
    random, count = generator("power", str(tolerance)), 700
    made = [
        pairing("proportion", *pairs(random, n, 2 * tolerance, discordance + 2 * tolerance), tolerance)
        for _ in range(count)
    ]
    found = regressed(made)
    assert found >= least(0.8, count)
    assert found <= 0.9  # it asks for no more than needed


@pytest.mark.parametrize("n", [200, 900])
def test_the_smallest_detectable_harm_is_detected(n):
    harm = detectable_proportion(n, 0.02, 0.01)
    random, count = generator("detectable", n), 700
    made = [pairing("proportion", *pairs(random, n, harm, 0.01 + harm), 0.02) for _ in range(count)]
    assert least(0.8, count) <= regressed(made) <= most(0.85, count)


def test_the_prescribed_samples_of_a_mean_find_twice_the_tolerance():
    n = samples_for_mean(0.1, 0.3)
    assert detectable_mean(n, 0.1, 0.3) == pytest.approx(0.2, abs=0.003)
    random, count = generator("power of means"), 400
    made = []
    for _ in range(count):
        before = random.normal(0, 1, n)
        made.append(pairing("mean", before, before + random.normal(0.2, 0.3, n), 0.1))
    assert regressed(made) >= least(0.8, count)


def test_power_is_that_of_the_test_that_gates_use():
    """The exact power against simulated tables and ``PairedTable.p_above``, another way to the same number."""
    random, n, harm, discordance = generator("exact"), 150, 0.08, 0.14
    tables = random.multinomial(n, [(discordance + harm) / 2, (discordance - harm) / 2, 1 - discordance], size=4000)
    hits = np.mean([PairedTable(int(b), int(c), n).p_above(0.02) <= 0.025 for b, c, _ in tables])
    assert hits == pytest.approx(score_power(n, harm, 0.02, discordance), abs=3.1 * sqrt(0.25 / 4000))
