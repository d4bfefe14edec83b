from __future__ import annotations

import pytest

from bench.gate import (
    INCOMPLETE,
    PASS,
    REGRESSION,
    exit_code,
    incomplete,
    judge_results,
    with_verdicts,
)
from bench.results import VariantResult
from tests.gate.handmade import Gate, cell, harm, run

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
