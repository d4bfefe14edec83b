"""Gates: against the reference, against a baseline, and the exit code; from results and the arrays beside them."""

from __future__ import annotations

from bench.cell_id import CellId
from bench.exit_codes import ExitCode
from bench.gate.against_baseline import judge_baseline
from bench.gate.against_reference import judge_cell, judge_reference, judge_results
from bench.gate.baseline import Accepted, Baseline, accept, baseline_of
from bench.gate.baseline_files import OldBaseline, load_baseline, write_baseline
from bench.gate.exit_codes import exit_code, exit_code_of, incomplete, unseen, why_exit
from bench.gate.gated import judge_gates
from bench.gate.judgements import by_cell
from bench.gate.outcome import conclude
from bench.gate.run_differences import run_differences
from bench.gate.run_ratios import run_ratios
from bench.gate.runs import Run, load_run, results_json
from bench.gate.runs_beside import runs_beside
from bench.gate.tolerances import Tolerance, judge_gate
from bench.gate.verdicts import (
    cells_of,
    gates_of,
    overall_verdict,
    subjects,
    variant_verdict,
    verdict,
    with_verdicts,
)
from bench.results import Rule

__all__ = [
    "Accepted",
    "Baseline",
    "CellId",
    "ExitCode",
    "OldBaseline",
    "Rule",
    "Run",
    "Tolerance",
    "accept",
    "baseline_of",
    "by_cell",
    "cells_of",
    "conclude",
    "exit_code",
    "exit_code_of",
    "gates_of",
    "incomplete",
    "judge_baseline",
    "judge_cell",
    "judge_gate",
    "judge_gates",
    "judge_reference",
    "judge_results",
    "load_baseline",
    "load_run",
    "overall_verdict",
    "results_json",
    "run_differences",
    "run_ratios",
    "runs_beside",
    "subjects",
    "unseen",
    "variant_verdict",
    "verdict",
    "why_exit",
    "with_verdicts",
    "write_baseline",
]  # fmt: skip
