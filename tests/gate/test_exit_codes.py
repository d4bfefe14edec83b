from __future__ import annotations

import pytest

from bench.exit_codes import ExitCode
from bench.gate import (
    exit_code,
    incomplete,
    judge_results,
    unseen,
    with_verdicts,
)
from bench.results import CellRecord, VariantResult
from tests.gate.handmade import Gate, cell, harm, run

GATES = [("adversarial.pgd", {}, (Gate("robust_error", "max_harm", 0.03),))]
GOOD, BAD, OPEN = harm(-0.01, 0.01), harm(0.05, 0.08), harm(0.01, 0.08)


@pytest.mark.parametrize(
    ("values", "gate", "strict", "code"),
    [
        (GOOD, True, False, ExitCode.PASS),
        (BAD, True, False, ExitCode.REGRESSION),
        (BAD, False, False, ExitCode.PASS),  # a plain run reports and does not judge
        (OPEN, True, False, ExitCode.PASS),
        (OPEN, True, True, ExitCode.REGRESSION),
        (OPEN, False, True, ExitCode.PASS),
    ],
)
def test_exit_code_of_a_whole_run(values, gate, strict, code):
    assert exit_code(judge_results(run(cell({"robust_error": values})), GATES), gate, strict) == code


def test_incomplete_goes_before_regression():
    results = judge_results(run(cell({"robust_error": BAD}), cell(variant="b", status="error", reason="boom")), GATES)
    assert exit_code(results, True) == exit_code(results, False) == ExitCode.INCOMPLETE
    assert incomplete(results) == ["b (torch) adversarial.pgd: boom"]


def test_a_skip_with_a_reason_is_whole_and_without_one_is_not():
    good = cell({"robust_error": GOOD})
    found = judge_results(run(good, cell(metric="x", status="skipped", reason="no gradient")), GATES)
    assert exit_code(found, True) == ExitCode.PASS  # nothing gates it
    assert exit_code(judge_results(run(good, cell(metric="x", status="skipped")), GATES), True) == ExitCode.INCOMPLETE


def skipped(**more):
    return cell(**{"variant": "b", "status": "skipped", "reason": "no gradient", **more})


@pytest.mark.parametrize("strict", [False, True])
def test_a_gate_on_a_skipped_cell_never_passes_unless_it_is_accepted(strict):
    found = run(cell({"robust_error": GOOD}), skipped())
    judged = judge_results(found, GATES)
    assert exit_code(judged, True, strict) == ExitCode.INCOMPLETE
    assert unseen(judged) == ["b (torch) adversarial.pgd, gated by robust error: skipped: no gradient"]
    assert exit_code(judged, False) == ExitCode.PASS  # a plain run reports
    accepted = judge_results(found, GATES, accepted=lambda cell: "by name" if cell.variant == "b" else "")
    assert exit_code(accepted, True, strict) == ExitCode.PASS
    assert unseen(accepted) == []
    assert [variant.verdict.ship for variant in accepted.variants] == [True, None]
    because = "undecided on b (torch): robust error skipped: no gradient (accepted: by name)"
    assert accepted.variants[1].verdict.because == because
    bad = judge_results(run(cell({"robust_error": BAD}), skipped()), GATES, accepted=lambda cell: "by name")
    assert exit_code(bad, True, strict) == ExitCode.REGRESSION


def test_what_accepts_a_skip_accepts_no_error_and_no_measured_value():
    broken = run(cell({"robust_error": GOOD}), skipped(status="error", reason="boom"))
    assert exit_code(judge_results(broken, GATES, accepted=lambda cell: "by name"), True) == ExitCode.INCOMPLETE
    measured = judge_results(run(cell({"robust_error": BAD})), GATES, accepted=lambda cell: "by name")
    assert exit_code(measured, True) == ExitCode.REGRESSION
    only = judge_results(run(skipped(), cell({"x": GOOD}, metric="y")), GATES, accepted=lambda cell: "by name")
    assert exit_code(only, True) == ExitCode.INCOMPLETE  # no gate looked at anything


def test_an_accepted_skip_is_named_beside_the_gates_that_pass():
    gates = [*GATES, ("attribution.ig", {}, (Gate("cosine_distance", "max_gap", 1.0),))]
    found = run(cell({"robust_error": GOOD}), skipped(variant="prune50", metric="attribution.ig"))
    (variant,) = judge_results(found, gates, accepted=lambda cell: "by name").variants
    said = "it passes its gate; cosine distance skipped: no gradient (accepted: by name)"
    assert (variant.verdict.ship, variant.verdict.because) == (True, f"prune50 (torch) may ship: {said}")


def test_a_gate_on_a_value_that_the_cell_lacks_never_passes():
    found = judge_results(run(cell({"robust_error": GOOD}), cell({"other": GOOD}, variant="b")), GATES)
    assert exit_code(found, True) == ExitCode.INCOMPLETE
    assert unseen(found) == ["b (torch) adversarial.pgd, gated by robust error: not measured"]


def test_gated_cells_that_the_run_left_out_are_named():
    found = judge_results(run(cell({"robust_error": GOOD})), GATES)
    cells = (("a", "edge"), ("a", "torch"), ("b", "edge"))
    found.left_out = [CellRecord(variant=name, target=target, metric="adversarial.pgd") for name, target in cells]
    assert exit_code(found, True) == ExitCode.INCOMPLETE
    assert exit_code(found, False) == ExitCode.PASS
    assert unseen(found) == ["3 gated cells were left out by --only or --shard: a (edge, torch), b (edge)"]


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
    assert exit_code(results, False) == ExitCode.INCOMPLETE


def test_a_gate_that_looks_at_nothing_does_not_pass():
    results = with_verdicts(run(cell({"robust_error": GOOD})))
    assert exit_code(results, False) == ExitCode.PASS
    assert exit_code(results, True) == ExitCode.INCOMPLETE
    assert "no gate was set" in results.variants[0].verdict.because
