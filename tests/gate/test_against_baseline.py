"""Every verdict word, and what decides it."""

import numpy as np
import pytest

from bench.gate import Baseline, CellId, accept, baseline_of, by_cell, judge_baseline
from bench.results import CellRecord, GateResult
from bench.stats.streams import generator


@pytest.fixture(autouse=True)
def suite(tmp_path, monkeypatch):
    """The suite of all these runs, so that commands can name it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text("")


def judged(first, second, **options):
    return judge_baseline(*second.run(), baseline_of(*first.run(), timings=True), **options)


def only(first, second, **options):
    (found,) = judged(first, second, **options)
    return found


@pytest.mark.parametrize(
    ("before", "after", "margin", "word", "not_worse"),
    [
        (10, 60, 0.05, "regressed", False),
        (60, 10, 0.05, "improved", True),
        (10, 12, 0.1, "same", True),
        (10, 16, 0.05, "inconclusive", False),
        (10, 10, 0.05, "same", True),  # another network, equal outcomes: +- z^2 / (n + z^2) lies within
        (10, 10, 0.001, "inconclusive", False),  # and not within this
    ],
)
def test_each_word(make, outcomes, before, after, margin, word, not_worse):
    found = only(
        make().add(outcomes(before), tolerance=margin), make(key="second").add(outcomes(after), tolerance=margin)
    )
    assert (found.verdict, found.not_worse) == (word, not_worse)
    assert found.estimate == pytest.approx((after - before) / 200)
    assert found.because
    assert found.look == "crbench why v/torch/made.up --suite s.toml"


def test_no_worse_and_perhaps_better_is_not_equivalence_but_passes(make, outcomes):
    found = only(make().add(outcomes(20), tolerance=0.02), make(key="second").add(outcomes(18), tolerance=0.02))
    assert found.verdict == "inconclusive"
    assert found.not_worse
    assert "no worse than the baseline, perhaps better" in found.because


@pytest.mark.parametrize(
    ("before", "after", "because"),
    [
        ("exact", "saturating", "the kind of 8-bit sums (exact before, saturating now)"),
        ("", "exact", "the kind of 8-bit sums (not known before, exact now)"),
        ("unknown, on avx2", "exact", "the kind of 8-bit sums (unknown, on avx2 before, exact now)"),
    ],
)
def test_another_kind_of_8_bit_sums_is_incomparable_and_never_regressed(make, outcomes, before, after, because):
    first = make().add(outcomes(10), integer_sums=before)
    found = only(first, make(key="second").add(outcomes(150), integer_sums=after))
    assert (found.verdict, found.because) == ("incomparable", f"cannot be compared: another value of {because}")
    assert found.decides
    again = only(
        make().add(outcomes(10), integer_sums=after), make(key="second").add(outcomes(150), integer_sums=after)
    )
    assert again.verdict == "regressed"


def test_higher_may_be_better(make, outcomes):
    first = make().add(outcomes(190), better="higher")
    assert only(first, make(key="second").add(outcomes(120), better="higher")).verdict == "regressed"


def test_the_same_measurement_needs_no_test(make, outcomes):
    found = only(make().add(outcomes(10), tolerance=0.0), make().add(outcomes(10), tolerance=0.0))
    assert (found.verdict, found.because) == ("same", "the same measurement")


def test_an_equal_key_with_other_arrays_is_tested_all_the_same(make, outcomes):
    assert only(make().add(outcomes(10)), make().add(outcomes(90))).verdict == "regressed"


def test_the_margin_is_the_declared_one_else_the_tolerance(make, outcomes):
    first = make().add(outcomes(10))
    assert only(first, make(key="2").add(outcomes(60), tolerance=0.4)).verdict == "same"
    assert only(first, make(key="2").add(outcomes(60), tolerance=0.4, margin=0.1)).verdict == "regressed"
    found = only(
        make().add(outcomes(190), better="higher"), make(key="2").add(outcomes(180), better="higher", rule="min_value")
    )
    assert found.margin == 0.0


def test_means_pair_samples(make):
    random = generator("means")
    level = random.normal(0, 5, 100)
    first = make().add(level, form="mean", tolerance=0.01)
    second = make(key="2").add(level + 0.2 + random.normal(0, 0.02, 100), form="mean", tolerance=0.01)
    assert only(first, second).verdict == "regressed"  # unpaired, the spread of 5 hides it
    mixed = make(key="2").add(random.permutation(level) + 0.2, form="mean", tolerance=0.01)
    assert only(first, mixed).verdict == "inconclusive"


def test_gaps_are_compared_on_the_yardsticks_scale(make):
    random = generator("gaps")
    near, far = random.exponential(1.0, 300), random.exponential(4.0, 300)
    options = {"form": "distance", "rule": "max_gap", "power": 2, "yardsticks": (4.0, 4.0, 4.0, 4.0)}
    found = only(make().add(near, tolerance=0.2, **options), make(key="2").add(far, tolerance=0.2, **options))
    assert found.verdict == "regressed"
    assert found.estimate == pytest.approx(np.sqrt(far.mean() / 4) - np.sqrt(near.mean() / 4), abs=1e-3)
    assert "gap of figure" in found.because
    without = make(key="2").add(far, form="distance", rule="max_gap")
    assert only(make().add(near, form="distance", rule="max_gap"), without).verdict == "inconclusive"


def test_flips_on_the_gap_scale_use_exact_pairs(make, outcomes):
    options = {"form": "count", "rule": "max_gap", "yardsticks": (0.1, 0.1, 0.1, 0.1), "tolerance": 1.0}
    found = only(make().add(outcomes(5), **options), make(key="2").add(outcomes(60), **options))
    assert (found.verdict, found.estimate) == ("regressed", pytest.approx(2.75))  # 27.5 points over 10
    assert only(make().add(outcomes(5), **options), make(key="2").add(outcomes(15), **options)).verdict == "same"


def test_aggregates_use_the_metrics_own_statistic(make):
    random = generator("aggregates")
    confidence = random.uniform(0.5, 1, 400)
    right = (random.random(400) < confidence).astype(float)
    options = {"form": "statistic", "metric": "uncertainty.calibration", "value": "ce2_debiased", "tolerance": 0.01}
    first = make().add(None, inputs={"confidence": confidence, "correct": right}, **options)
    wrong = {"confidence": np.clip(confidence + 0.3, 0, 1), "correct": right}
    assert only(first, make(key="2").add(None, inputs=wrong, **options)).verdict == "regressed"
    moved = {"confidence": confidence * 0.9999, "correct": right}
    assert only(first, make(key="2").add(None, inputs=moved, **options)).verdict == "same"


def test_figures_of_few_errors_are_inconclusive(make):
    """Nine errors of 400 samples before, forty after: the difference is shown nowhere as sure."""
    confidence = generator("few errors").uniform(0.5, 1, 400)
    few, more = (np.r_[np.zeros(errors), np.ones(400 - errors)] for errors in (9, 40))
    options = {"form": "statistic", "metric": "uncertainty.selective", "value": "aurc", "tolerance": 0.01}
    first, second = (
        make(key=key).add(None, inputs={"confidence": confidence, "correct": right}, **options)
        for key, right in (("1", few), ("2", more))
    )
    found = only(first, second)
    assert found.verdict == "inconclusive"
    assert "underpowered: 9 errors in 400 samples, 10 are needed" in found.because


def test_a_statistic_that_is_not_registered_is_never_imported(make):
    options = {"form": "statistic", "metric": "os:system", "value": "x", "inputs": {"a": np.ones(9)}}
    found = only(make().add(None, **options), make(key="2").add(None, **options))
    assert found.verdict == "inconclusive"
    assert "not registered" in found.because


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "the metric's version (1 before, 2 now)"),
        ({"data": "e" * 64}, "the evaluation data"),
        ({"yardsticks": ()}, ""),
    ],
)
def test_what_differs_is_named(make, outcomes, change, words):
    if not words:
        return
    found = only(make().add(outcomes(9)), make(key="2").add(outcomes(9), **change))
    assert found.verdict == "incomparable"
    assert words in found.because


def test_another_reference_is_incomparable(make, outcomes):
    found = only(make().add(outcomes(9)), make(key="2", reference="q" * 64).add(outcomes(9)))
    assert found.verdict == "incomparable"
    assert "the reference network" in found.because


def test_missing_errored_skipped_and_new_cells(make, outcomes):
    first = make()
    for name in ("gone", "broken", "skipped"):
        first.add(outcomes(9), variant=name)
    second = make(key="2").add(outcomes(9), variant="broken", status="error", reason="no\nmemory")
    second.add(outcomes(9), variant="skipped", status="skipped", reason="no labels").add(outcomes(9), variant="new")
    results, samples = second.run()
    known = baseline_of(*first.run())
    found = {item.variant: item for item in judge_baseline(results, samples, known)}
    assert found["gone"].look == ""  # the suite may have it no more
    results.left_out = [CellRecord(variant="gone", target="torch", metric="made.up")]
    found = {item.variant: item for item in judge_baseline(results, samples, known)}
    assert {name: item.verdict for name, item in found.items()} == {
        "gone": "missing", "broken": "errored", "skipped": "missing", "new": "missing"
    }  # fmt: skip
    assert found["broken"].because == "no memory"
    assert "no labels" in found["skipped"].because
    assert not found["new"].decides
    assert "crbench run s.toml --only gone/torch/made.up" in found["gone"].look


def test_missing_arrays_and_dropped_gates_are_told(make, outcomes):
    first, second = make().add(outcomes(9)), make(key="2").add(outcomes(9))
    results, samples = second.run()
    samples.cells.clear()
    (found,) = judge_baseline(results, samples, baseline_of(*first.run()))
    assert (found.verdict, "arrays are missing" in found.because) == ("incomparable", True)
    (found,) = judged(first, make(key="2").add(outcomes(9), gates=[]))
    assert (found.verdict, "gates this value no more" in found.because) == ("missing", True)


def test_a_gate_that_newly_fails_against_the_reference_is_a_regression(make, outcomes):
    first = make().add(outcomes(9), verdict="passed").add(outcomes(9), variant="known", verdict="failed")
    second = make().add(outcomes(9), verdict="failed").add(outcomes(9), variant="known", verdict="failed")
    found = {(item.variant, item.against): item.verdict for item in judged(first, second)}
    assert found == {("v", "baseline"): "same", ("v", "reference"): "regressed", ("known", "baseline"): "same"}
    new = GateResult(rule="min_value", tolerance=0.5, verdict="failed", because="made")
    (_, failed) = judged(make().add(outcomes(9), gates=[]), make().add(outcomes(9), gates=[new]))
    assert failed.verdict == "regressed"
    assert "does not know this gate" in failed.because


@pytest.mark.parametrize(
    ("factor", "machine", "word"),
    [
        (1.0, "m", "same"),
        (1.5, "m", "regressed"),
        (0.5, "m", "improved"),
        (1.05, "m", "same"),
        (1.5, "x", "incomparable"),
    ],
)
def test_timings(make, factor, machine, word):
    random = generator("timings")

    def rounds(scale, load):  # the machine slows reference and variant alike
        slow = np.exp(random.normal(load, 0.2, 100))
        return scale * slow * np.exp(random.normal(0, 0.05, 100)), slow

    own, reference = rounds(1.0, 0.0)
    first = make().add(own, form="timing", reference=reference, gates=[])
    own, reference = rounds(factor, 1.0)
    found = only(first, make(key="2").add(own, form="timing", reference=reference, gates=[], machine=machine))
    assert found.verdict == word
    assert found.decides == (machine == "m")


def test_a_few_slow_rounds_prove_nothing(make):
    def run(factor, key):
        return make(key=key).add(factor * np.linspace(1, 1.1, 4), form="timing", reference=np.ones(4), gates=[])

    found = only(run(1.0, "1"), run(1.5, "2"))
    assert found.verdict == "inconclusive"  # of four against four rounds no p-value is below 0.02


def test_many_regressions_are_found_among_four_hundred_values(make):
    """Holm at 10,000 draws cannot reject beyond 250 (one-sided 2.5 %): more are drawn where they decide."""
    random = generator("many")
    first, second = make(), make(key="2")
    for index in range(400):
        level = random.normal(0, 1, 100)
        moved = level if index else level + 1 + random.normal(0, 0.1, 100)
        first.add(level, variant=f"v{index}", form="mean", tolerance=0.1)
        second.add(moved, variant=f"v{index}", form="mean", tolerance=0.1)
    found = [item.variant for item in judged(first, second) if item.verdict == "regressed"]
    assert found == ["v0"]


def test_judged_one_by_one_it_is_no_laxer_than_together(make, outcomes):
    first, second = make().add(outcomes(10)), make(key="2").add(outcomes(32))
    assert only(first, second).verdict == "regressed"
    assert only(first, second, together=500).verdict == "inconclusive"


def test_by_cell_keeps_parameters_apart(make, outcomes):
    first = make().add(outcomes(9), params={"e": 1}).add(outcomes(9), params={"e": 2})
    found = by_cell(judged(first, first))
    assert len(found) == 2
    assert all(isinstance(place, CellId) and len(items) == 1 for place, items in found.items())


def test_drift_is_caught_by_the_first_baseline(make, outcomes):
    runs = [make(key=str(step)).add(outcomes(20 + 6 * step), tolerance=0.05) for step in range(8)]
    baseline: Baseline | None = None
    words = []
    for run in runs:
        results, samples = run.run()
        if baseline is not None:
            found = judge_baseline(results, samples, baseline)
            words.append({item.against: item.verdict for item in found})
        baseline = accept(results, samples, baseline).baseline
    assert all(step["baseline"] != "regressed" for step in words)  # three points a step are within the margin
    assert words[-1]["first"] == "regressed"  # twenty-one in all are not
    restarted = accept(*runs[-1].run(), baseline, restart=True).baseline
    assert restarted.first == []
