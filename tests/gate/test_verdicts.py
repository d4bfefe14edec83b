from __future__ import annotations

import pytest

from bench.gate import conclude, judge_cell, overall_verdict, verdict, with_verdicts
from bench.results import VariantResult, Verdict
from tests.gate.handmade import Gate, cell, harm, run


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


def test_an_error_is_not_titled_undecided():
    gates = [Gate("v", "max_harm", 0.03)]
    broken = judge_cell(cell(status="error", reason="boom", metric="m"), gates)
    good = judge_cell(cell({"v": harm(0.0, 0.01)}), gates)
    found = verdict([good, broken])
    assert (found.ship, found.error, found.because) == (None, True, "error in prune50 (torch): v an error: boom")
    bad = judge_cell(cell({"v": harm(0.05, 0.06)}), gates)
    assert verdict([bad, broken]) == Verdict(ship=False, because=verdict([bad, broken]).because)
    ungated = cell(status="error", reason="boom", metric="m")
    assert verdict([ungated]).because == "error in prune50 (torch): m boom"
    assert verdict([good, ungated]).ship is True
    unsure = judge_cell(cell({"v": harm(0.02, 0.04)}), gates)
    assert not verdict([unsure, ungated]).error  # its own gate is open
    variants = [
        VariantResult(name=name, target="torch", verdict=given)
        for name, given in (("a", Verdict(ship=True)), ("b", Verdict(error=True)), ("c", Verdict()))
    ]
    because = "error in b (torch); undecided on c (torch); may ship: a (torch)"
    assert overall_verdict(variants) == Verdict(ship=None, error=True, because=because)
    assert not overall_verdict([*variants, VariantResult(name="d", target="t", verdict=Verdict(ship=False))]).error


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


def eight_bit(kind, target, asked="native", **more):
    layers = [{"name": "conv1", "can_saturate": 0.02, "saturated": 0.0}]
    sums = {"kind": kind, "asked": asked, "simulated": False, "samples": 64, "layers": layers}
    passing = judge_cell(cell({"v": harm(0.0, 0.01)}, target=target, **more), [Gate("v", "max_harm", 0.03)])
    return passing.model_copy(update={"details": {"variant": {"integer_sums": sums}}})


def test_a_verdict_says_that_the_file_is_another_function_on_other_processors():
    judged = with_verdicts(run(eight_bit("exact", "laptop")))
    said = "it is another function on x86 without VNNI (2 % of weight pairs in layer 'conv1' can saturate)"
    assert judged.variants[0].verdict.ship is True
    assert judged.variants[0].verdict.because == (
        f'prune50 (laptop) may ship: it passes its gate; {said}: measure it with integer_sums = "saturating" too'
    )
    assert judged.verdict.because == (
        "may ship: prune50 (laptop); other functions on other processors, not measured here: prune50 (laptop)"
    )
    assert conclude(judged, [], "the reference").notes == [
        f'prune50 (laptop): {said}: measure it with integer_sums = "saturating" too'
    ]


def test_what_was_measured_with_saturating_sums_is_pointed_at():
    judged = with_verdicts(run(eight_bit("exact", "laptop", "exact"), eight_bit("saturating", "old", "saturating")))
    assert judged.variants[0].verdict.because.endswith("can saturate): see old")
    assert judged.variants[1].verdict.because == "prune50 (old) may ship: it passes its gate"
    assert "other processors" not in judged.verdict.because
    assert conclude(judged, [], "the reference").notes == []


def test_a_verdict_over_replicates_says_it_too():
    cells = [eight_bit("exact", "laptop", replicate=0), cell({"v": harm(0.0, 0.01)}, target="laptop", replicate=None)]
    assert all("x86 without VNNI" in item.verdict.because for item in with_verdicts(run(*cells)).variants)
