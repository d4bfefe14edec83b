"""Every gate of a run against the reference, as a judgement in one word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bench.gate.judgements import judgement, look_closer
from bench.results import Cell, GateResult, Judgement, Word

OF_A_VERDICT: Mapping[Literal["passed", "failed", "inconclusive", "accepted"], Word] = {
    "passed": "same",
    "failed": "regressed",
    "inconclusive": "inconclusive",
    "accepted": "accepted",
}


def looked_at(cell: Cell, gate: GateResult) -> bool:
    """Whether a gate had anything to look at."""
    return cell.status == "ok" and gate.looked


def word_of_gate(cell: Cell, gate: GateResult) -> Word:
    """A gate's verdict as a word; errored or missing where it had nothing to look at and nobody accepted that."""
    if gate.verdict == "accepted" or looked_at(cell, gate):
        return OF_A_VERDICT[gate.verdict]
    return "errored" if cell.status == "error" else "missing"


def judge_gates(cell: Cell, suite_path: str = "") -> list[Judgement]:
    """Every gate of a cell against the reference: failed is regressed, passed is same.

    Args:
        cell: Judged against the reference already.
        suite_path: For the command that looks closer.
    """
    said = []
    for name, value in cell.values.items():
        for gate in value.gates:
            word = word_of_gate(cell, gate)
            more: dict[str, Any] = {"rule": gate.rule, "per": gate.per, "margin": gate.tolerance}
            decides = word != "accepted"
            look = look_closer(cell, suite_path) if decides else ""
            not_worse = gate.verdict == "passed"
            said.append(
                judgement(
                    cell, name, "reference", word, gate.because, look, decides=decides, not_worse=not_worse, **more
                )
            )
    return said
