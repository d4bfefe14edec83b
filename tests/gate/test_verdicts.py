from __future__ import annotations

import pytest

from bench.gate import judge_cell, overall_verdict, verdict
from bench.results import VariantResult, Verdict
from tests.gate.handmade import Gate, cell, harm


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
