from __future__ import annotations

import pytest

from bench.gate import judge_cell, judge_results, verdict
from tests.gate.handmade import Gate, cell, harm, run


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
