"""Gates: against the reference, against a baseline, and the exit code; from results and the arrays beside them."""

from __future__ import annotations

from bench.gate.against import CellId, by_cell, judge_baseline, judge_reference
from bench.gate.baseline import Accepted, Baseline, accept, baseline_of, load_baseline, write_baseline
from bench.gate.outcome import conclude, exit_code_of
from bench.gate.reference import (
    FITS,
    INCOMPLETE,
    PASS,
    REGRESSION,
    Kind,
    Rule,
    Tolerance,
    cells_of,
    exit_code,
    gates_of,
    incomplete,
    judge_cell,
    judge_gate,
    judge_results,
    overall_verdict,
    own_interval,
    subjects,
    variant_verdict,
    verdict,
    with_verdicts,
)
from bench.gate.runs import Run, load_run

__all__ = [
    "FITS", "INCOMPLETE", "PASS", "REGRESSION", "Accepted", "Baseline", "CellId", "Kind", "Rule", "Run", "Tolerance",
    "accept", "baseline_of", "by_cell", "cells_of", "conclude", "exit_code", "exit_code_of", "gates_of", "incomplete",
    "judge_baseline", "judge_cell", "judge_gate", "judge_reference", "judge_results", "load_baseline", "load_run",
    "overall_verdict", "own_interval", "subjects", "variant_verdict", "verdict", "with_verdicts", "write_baseline",
]  # fmt: skip
