"""How often gates are wrong, by simulation: what the words promise."""

from math import sqrt

import numpy as np
import pytest

from bench.gate import baseline_of, judge_baseline
from bench.gate.shifts import Pairing, shifts
from bench.stats.noninferiority import decide
from bench.stats.power import (
    detectable_mean,
    detectable_proportion,
    samples_for_mean,
    samples_for_proportion,
    score_power,
)
from bench.stats.proportions import PairedTable
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
    words = [decide(s.found.interval, p.margin, s.worse, s.better) for p, s in zip(pairings, found, strict=True)]
    return float(np.mean([word == "regressed" for word in words]))


@pytest.mark.parametrize(
    ("n", "tolerance", "discordance"), [(200, 0.05, 0.1), (900, 0.02, 0.03), (100, 0.02, 0.02), (60, 0.1, 0.3)]
)
def test_a_change_that_equals_the_tolerance_is_seldom_called_a_regression_proportions(n, tolerance, discordance):
    random, count = generator("proportions at the tolerance", n), 1000
    made = [pairing("proportion", *pairs(random, n, tolerance, discordance), tolerance) for _ in range(count)]
    assert regressed(made) <= most(0.05, count)


@pytest.mark.parametrize(("law", "n"), [("normal", 40), ("skewed", 60)])
def test_a_change_that_equals_the_tolerance_is_seldom_called_a_regression_means(law, n):
    random, count = generator("means at the tolerance", law), 400
    made = []
    for _ in range(count):
        before = random.exponential(1.0, n) if law == "skewed" else random.normal(2, 1, n)
        noise = random.exponential(0.2, n) if law == "skewed" else random.normal(0.2, 0.3, n)
        made.append(pairing("mean", before, before + noise, 0.2))
    assert regressed(made) <= most(0.05, count)


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
