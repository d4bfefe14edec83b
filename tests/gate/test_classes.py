from math import sqrt

import numpy as np
import pytest

from bench.gate import judge_cell, judge_results
from bench.stats.noninferiority import ALPHA
from bench.stats.power import score_power
from bench.suite.suite import Gate

LABELS = np.repeat(np.arange(4), 50)
NAMES = ("ant", "bee", "cat", "dog")


def judged(make, after, gate, before=None, labels=LABELS, metric="made.up", **more):
    before = np.ones(200) if before is None else before
    made = make().add(after, reference=before, better=more.pop("better", "higher"), metric=metric, **more)
    results, samples = made.run(labels=labels, classes=NAMES)
    found = judge_results(results, [(metric, {}, [gate])], samples)
    return found.cells[0].values[gate.value].gates[0]


def outcomes(*wrong):
    """All right but so many of each class."""
    return np.concatenate([np.r_[np.zeros(count), np.ones(50 - count)] for count in wrong])


def test_a_harm_that_hides_in_one_class_fails(make):
    after = outcomes(0, 25, 0, 0)
    assert judged(make, after, Gate("figure", "max_harm", 0.3)).verdict != "failed"
    found = judged(make, after, Gate("figure", "max_harm", 0.3, per="class"))
    assert (found.verdict, found.per) == ("failed", "class")
    assert found.because.startswith("class bee +50")
    assert "tolerance 30 per class" in found.because


def test_all_classes_must_keep_it(make):
    gate = Gate("figure", "max_harm", 0.2, per="class")
    assert judged(make, outcomes(0, 1, 0, 0), gate).because == "each of 4 classes, tolerance 20 per class"
    found = judged(make, outcomes(0, 8, 0, 0), gate)
    assert found.verdict == "inconclusive"
    assert "class bee" in found.because


def test_means_changes_and_floors_are_judged_per_class_too(make):
    random = np.random.default_rng(0)
    level = random.normal(1, 0.1, 200)
    worse = level + 0.5 * (LABELS == 2)
    gate = Gate("figure", "max_harm", 0.1, per="class")
    found = judged(make, worse, gate, level, form="mean", better="lower")
    assert (found.verdict, "class cat" in found.because) == ("failed", True)
    assert judged(make, level, gate, level, form="mean", better="lower").verdict == "passed"
    moved = random.exponential(0.01, 200) + (LABELS == 3)
    assert judged(make, moved, Gate("figure", "max_change", 0.1, per="class"), form="distance").verdict == "failed"
    flips = 1 - outcomes(0, 0, 0, 30)
    assert judged(make, flips, Gate("figure", "max_change", 0.2, per="class"), form="count").verdict == "failed"
    floor = judged(make, outcomes(0, 0, 25, 0), Gate("figure", "min_value", 0.8, per="class"))
    assert (floor.verdict, "at least 80 per class" in floor.because) == ("failed", True)
    assert judged(make, outcomes(0, 0, 0, 0), Gate("figure", "min_value", 0.8, per="class")).verdict == "passed"
    errors = 1 - outcomes(0, 0, 25, 0)
    ceiling = judged(make, errors, Gate("figure", "max_value", 0.2, per="class"), better="lower")
    assert (ceiling.verdict, "at most 20 per class" in ceiling.because) == ("failed", True)
    assert judged(make, 1 - outcomes(0, 0, 0, 0), Gate("figure", "max_value", 0.2, per="class")).verdict == "passed"
    assert judged(make, worse, Gate("figure", "max_value", 1.2, per="class"), form="mean").verdict == "failed"
    assert judged(make, level, Gate("figure", "max_value", 1.2, per="class"), form="mean").verdict == "passed"
    assert (
        judged(make, level - 0.5 * (LABELS == 2), Gate("figure", "min_value", 0.8, per="class"), form="mean").verdict
        == "failed"
    )
    assert judged(make, level, Gate("figure", "min_value", 0.8, per="class"), form="mean").verdict == "passed"


def test_over_all_replicates_each_is_judged_for_itself(make):
    results, samples = make().add(outcomes(0, 0, 0, 0), reference=np.ones(200), better="higher").run(labels=LABELS)
    gates = [Gate("figure", "max_harm", 0.2), Gate("figure", "max_harm", 0.2, per="class")]
    assert [gate.per for gate in judge_cell(results.cells[0], gates, samples).values["figure"].gates] == [None, "class"]
    together = results.cells[0].model_copy(update={"replicate": None})
    assert [gate.per for gate in judge_cell(together, gates, samples).values["figure"].gates] == [None]


def test_false_failures_are_as_frequent_as_the_exact_calculation_says(make):
    """Every class stands exactly on the tolerance: Holm fails one where the smallest p-value is at most alpha / 10."""
    exact = 1 - (1 - score_power(40, 0.2, 0.2, 0.2, alpha=ALPHA / 10)) ** 10
    random, failed, count = np.random.default_rng(1), 0, 600
    labels, before = np.repeat(np.arange(10), 40), np.ones(400)
    for _ in range(count):
        after = (random.random(400) >= 0.2).astype(float)
        found = judged(make, after, Gate("figure", "max_harm", 0.2, per="class"), before, labels)
        failed += found.verdict == "failed"
    assert abs(failed / count - exact) <= 3.1 * sqrt(exact * (1 - exact) / count)  # without Holm some 25 %


@pytest.mark.parametrize("labels", [None, LABELS])
def test_what_cannot_be_judged_is_inconclusive(make, labels):
    gate = Gate("figure", "max_harm", 0.2, per="class")
    made = make().add(outcomes(0, 0, 0, 0), reference=np.ones(200))
    results, samples = made.run(labels=labels)
    if labels is None:
        found = judge_results(results, [("made.up", {}, [gate])], samples).cells[0].values["figure"].gates[0]
        assert (found.verdict, "no labels" in found.because) == ("inconclusive", True)
    else:
        found = judge_cell(results.cells[0], [gate]).values["figure"].gates[0]
        assert (found.verdict, "arrays are missing" in found.because) == ("inconclusive", True)


def test_an_interval_of_few_distances_ends_where_they_do(make):
    """One of four samples of a class is as far apart as can be: what few samples leave open would go beyond log 2."""
    far, labels = np.zeros(200), np.repeat([0, 1], [4, 196])
    far[0] = np.log(2)
    gate = Gate("js", "max_change", 0.01, per="class")
    found = judged(make, far, gate, labels=labels, form="distance", metric="fidelity.predictions", value="js")
    assert found.verdict == "inconclusive"
    assert "0.69]" in found.because
