from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.gate import (
    INCOMPLETE,
    PASS,
    REGRESSION,
    exit_code,
    incomplete,
    judge_cell,
    judge_gate,
    judge_results,
    overall_verdict,
    own_interval,
    verdict,
    with_verdicts,
)
from bench.results import Cell, ReferenceResult, Results, SuiteInfo, ValueResult, VariantResult, Verdict


@dataclass(frozen=True)
class Gate:
    value: str
    rule: str
    tolerance: float


def harm(low=0.032, high=0.09, *, estimate=0.061, **more) -> ValueResult:
    return ValueResult(**{"kind": "quality", "unit": "proportion", "estimate": estimate, "ci": (low, high), **more})


def gap(number, limits, **more) -> ValueResult:
    return ValueResult(kind="change", estimate=0.1, ci=(0.05, 0.2), gap=number, gap_ci=limits, **more)


def cell(values=None, *, variant="prune50", target="torch", metric="adversarial.pgd", status="ok", **more) -> Cell:
    return Cell(
        variant=variant, target=target, metric=metric, family="adversarial", status=status, values=values or {}, **more
    )


def run(*cells: Cell, variants=None) -> Results:
    places = dict.fromkeys((c.variant, c.target, c.replicate) for c in cells)
    made = [VariantResult(name=name, target=target, replicate=replicate) for name, target, replicate in places]
    made = made if variants is None else variants
    return Results(
        suite=SuiteInfo(name="s", fingerprint="f"), reference=ReferenceResult(), variants=made, cells=list(cells)
    )


@pytest.mark.parametrize(
    ("value", "rule", "tolerance", "expected"),
    [
        (harm(0.01, 0.03), "max_harm", 0.03, "passed"),  # the far end may stand on the tolerance
        (harm(0.01, 0.0301), "max_harm", 0.03, "inconclusive"),
        (harm(0.0301, 0.09), "max_harm", 0.03, "failed"),
        (harm(0.03, 0.09), "max_harm", 0.03, "inconclusive"),  # the near end on it breaks nothing yet
        (harm(-0.09, -0.03), "max_harm", 0.0, "passed"),
        (harm(None, 0.02), "max_harm", 0.03, "passed"),
        (harm(None, 0.09), "max_harm", 0.03, "inconclusive"),
        (harm(0.05, None), "max_harm", 0.03, "failed"),
        (harm(0.01, None), "max_harm", 0.03, "inconclusive"),
        (harm(kind="pair"), "max_harm", 0.03, "failed"),
        (gap(0.2, (0.1, 0.4)), "max_gap", 0.5, "passed"),
        (gap(0.6, (0.51, 0.8)), "max_gap", 0.5, "failed"),
        (gap(0.5, (0.4, 0.6)), "max_gap", 0.5, "inconclusive"),
        (gap(None, (None, 0.02)), "max_gap", 0.5, "passed"),
        (gap(None, (None, 0.9)), "max_gap", 0.5, "inconclusive"),
        (gap(0.9, None), "max_gap", 0.5, "inconclusive"),
        (gap(0.1, (0.0, 0.2)), "max_change", 0.2, "passed"),
        (gap(0.1, (0.0, 0.2)), "max_change", 0.04, "failed"),
        (gap(0.1, (0.0, 0.2)), "max_change", 0.1, "inconclusive"),
    ],
)
def test_the_whole_interval_decides(value, rule, tolerance, expected):
    assert judge_gate(value, rule, tolerance).verdict == expected


@pytest.mark.parametrize(
    ("value", "rule", "reason"),
    [
        (harm(estimate=None, ci=None, reason="no label"), "max_harm", "no label"),
        (harm(ci=None, reason="plug-in ECE has none"), "max_harm", "plug-in ECE has none"),
        (gap(None, None, reason="no yardstick"), "max_gap", "no yardstick"),
        (gap(0.9, None, reason="three yardsticks: the points alone"), "max_gap", "the points alone"),
        (harm(variant=None, reason="not finite"), "min_value", "not finite"),
        (ValueResult(kind="cost", estimate=2.0), "max_harm", "does not judge a cost"),
        (harm(), "max_gap", "does not judge a quality"),
    ],
)
def test_without_an_interval_nothing_is_decided_and_the_reason_is_told(value, rule, reason):
    judged = judge_gate(value, rule, 1e9 if rule != "min_value" else -1e9)
    assert judged.verdict == "inconclusive"
    assert reason in judged.because


def test_minimum_value_uses_the_harm_interval_shifted_by_the_reference():
    accuracy = ValueResult(
        kind="quality", unit="proportion", better="higher", reference=0.9, variant=0.85, estimate=0.05, ci=(0.02, 0.09)
    )
    low, high = own_interval(accuracy)
    assert (low, high) == pytest.approx((0.81, 0.88))
    assert judge_gate(accuracy, "min_value", 0.81 - 1e-9).verdict == "passed"
    assert judge_gate(accuracy, "min_value", 0.85).verdict == "inconclusive"
    assert judge_gate(accuracy, "min_value", 0.8801).verdict == "failed"
    assert judge_gate(accuracy, "min_value", 0.8801).because == "85.0 % [81.0, 88.0], at least 88.01"


def test_minimum_value_where_lower_is_better_shifts_the_other_way():
    loss = ValueResult(kind="quality", better="lower", reference=1.0, variant=1.3, estimate=0.3, ci=(0.2, 0.5))
    assert own_interval(loss) == pytest.approx((1.2, 1.5))


def test_minimum_value_refuses_a_harm_on_the_log():
    norm = ValueResult(kind="quality", better="lower", reference=10.0, variant=20.0, estimate=0.693, ci=(0.5, 0.9))
    judged = judge_gate(norm, "min_value", 1.0)
    assert judged.verdict == "inconclusive"
    assert "no plain difference" in judged.because


@given(
    st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1), st.sampled_from(["max_harm", "max_change"])
)  # fmt: skip
def test_no_verdict_contradicts_the_interval(centre, left, right, tolerance, rule):
    kind = "quality" if rule == "max_harm" else "change"
    value = ValueResult(kind=kind, estimate=centre, ci=(centre - left, centre + right))
    found = judge_gate(value, rule, tolerance).verdict
    expected = "passed" if centre + right <= tolerance else "failed" if centre - left > tolerance else "inconclusive"
    assert found == expected


def test_the_sentence_of_the_design():
    judged = judge_cell(cell({"robust_error": harm()}), [Gate("robust_error", "max_harm", 0.03)])
    expected = "do not ship prune50 (torch): robust error +6.1 points [3.2, 9.0], tolerance 3"
    assert verdict([judged]) == Verdict(ship=False, because=expected)


def test_parameters_are_named_only_where_they_tell_metrics_apart():
    weak = judge_cell(
        cell({"robust_error": harm()}, params={"epsilon": 0.05, "steps": 20}), [Gate("robust_error", "max_harm", 0.03)]
    )
    strong = judge_cell(cell({"robust_error": harm()}, params={"epsilon": 0.1, "steps": 20}), [])
    assert "robust error (epsilon 0.05) +6.1" in verdict([weak, strong]).because
    assert "epsilon" not in verdict([weak]).because


@pytest.mark.parametrize(
    ("verdicts", "ship"),
    [
        (["passed", "passed"], True),
        (["passed", "inconclusive"], None),
        (["failed", "inconclusive", "passed"], False),
        ([], None),
    ],
)
def test_one_failure_stops_and_one_doubt_leaves_open(verdicts, ship):
    shape = {"passed": (0.0, 0.01), "failed": (0.05, 0.06), "inconclusive": (0.02, 0.04)}
    cells = [
        judge_cell(cell({f"v{i}": harm(*shape[v])}, metric=f"m{i}"), [Gate(f"v{i}", "max_harm", 0.03)])
        for i, v in enumerate(verdicts)
    ]
    assert verdict(cells or [cell({"v": harm()})]).ship is ship


@pytest.mark.parametrize(("status", "word"), [("error", "an error: broke"), ("skipped", "skipped: broke")])
def test_what_was_not_measured_never_passes(status, word):
    declared = [
        ("adversarial.pgd", {}, [Gate("robust_error", "max_harm", 0.03)]),
        ("acc", {}, [Gate("accuracy", "max_harm", 1.0)]),
    ]
    results = judge_results(
        run(cell(status=status, reason="broke"), cell({"accuracy": harm()}, metric="acc")), declared
    )
    assert results.verdict.ship is None
    assert word in results.variants[0].verdict.because
    assert results.cells[0].values["robust_error"].gates[0].verdict == "inconclusive"


def test_a_gate_on_a_value_that_the_cell_lacks_is_kept_open():
    judged = judge_cell(cell({"accuracy": harm()}), [Gate("acuracy", "max_harm", 0.03)])
    assert verdict([judged]).ship is None
    assert "no such value" in verdict([judged]).because


def test_gates_reach_only_their_own_metric_and_parameters_and_judging_twice_changes_nothing():
    declared = [("adversarial.pgd", {"epsilon": 0.1}, (Gate("robust_error", "max_harm", 0.03),))]
    given_ = run(
        cell({"robust_error": harm()}, params={"epsilon": 0.1}), cell({"robust_error": harm()}, params={"epsilon": 0.2})
    )
    once = judge_results(given_, declared)
    assert [len(c.values["robust_error"].gates) for c in once.cells] == [1, 0]
    assert judge_results(once, declared) == once
    assert all(not c.values["robust_error"].gates for c in given_.cells)


def test_variants_targets_and_replicates_are_judged_apart():
    declared = [("adversarial.pgd", {}, (Gate("robust_error", "max_harm", 0.03),))]
    bad, good = {"robust_error": harm()}, {"robust_error": harm(-0.01, 0.01)}
    results = judge_results(
        run(cell(bad), cell(good, target="edge"), cell(good, replicate=1), cell(bad, variant="b", replicate=None)),
        declared,
    )
    assert [v.verdict.ship for v in results.variants] == [False, True, True, False]
    assert "prune50 (torch, replicate 1) may ship" in results.variants[2].verdict.because
    assert results.verdict.ship is False


def test_the_runs_verdict_names_everyone():
    variants = [
        VariantResult(name=name, target="torch", verdict=Verdict(ship=ship))
        for name, ship in (("a", True), ("b", None), ("c", False))
    ]
    assert overall_verdict(variants) == Verdict(
        ship=False, because="do not ship c (torch); undecided on b (torch); may ship: a (torch)"
    )
    assert overall_verdict(variants[:2]).ship is None
    assert overall_verdict(variants[:1]).ship is True
    assert overall_verdict([]).ship is None


GATES = [("adversarial.pgd", {}, (Gate("robust_error", "max_harm", 0.03),))]
GOOD, BAD, OPEN = harm(-0.01, 0.01), harm(0.05, 0.08), harm(0.01, 0.08)


@pytest.mark.parametrize(
    ("values", "gate", "strict", "code"),
    [
        (GOOD, True, False, PASS),
        (BAD, True, False, REGRESSION),
        (BAD, False, False, PASS),  # a plain run reports and does not judge
        (OPEN, True, False, PASS),
        (OPEN, True, True, REGRESSION),
        (OPEN, False, True, PASS),
    ],
)
def test_exit_code_of_a_whole_run(values, gate, strict, code):
    assert exit_code(judge_results(run(cell({"robust_error": values})), GATES), gate, strict) == code


def test_incomplete_goes_before_regression():
    results = judge_results(run(cell({"robust_error": BAD}), cell(variant="b", status="error", reason="boom")), GATES)
    assert exit_code(results, True) == exit_code(results, False) == INCOMPLETE
    assert incomplete(results) == ["b (torch) adversarial.pgd: boom"]


def test_a_skip_with_a_reason_is_whole_and_without_one_is_not():
    good = cell({"robust_error": GOOD})
    assert (
        exit_code(judge_results(run(good, cell(metric="x", status="skipped", reason="no gradient")), GATES), True)
        == PASS
    )
    assert exit_code(judge_results(run(good, cell(metric="x", status="skipped")), GATES), True) == INCOMPLETE


@pytest.mark.parametrize(
    "results",
    [
        run(),
        run(cell(status="skipped", reason="no gradient")),
        run(
            cell({"robust_error": GOOD}),
            variants=[VariantResult(name="prune50", target="torch"), VariantResult(name="b", target="torch")],
        ),
    ],
)
def test_nothing_measured_is_neither_pass_nor_regression(results):
    assert exit_code(results, False) == INCOMPLETE


def test_a_gate_that_looks_at_nothing_does_not_pass():
    results = with_verdicts(run(cell({"robust_error": GOOD})))
    assert exit_code(results, False) == PASS
    assert exit_code(results, True) == INCOMPLETE
    assert "no gate was set" in results.variants[0].verdict.because
