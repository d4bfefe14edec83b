"""One table says what a word means; exit code, closing line, JUnit, GitHub and pytest follow it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any, get_args

import pytest

from bench.exit_codes import ExitCode
from bench.gate import conclude, exit_code_of, judge_gates
from bench.pytest_plugin.explanation import lines_of
from bench.report.github import error_lines
from bench.report.judgement_terminal import sign_of
from bench.report.junit import junit
from bench.results import (
    Cell,
    Comparison,
    GateResult,
    Judgement,
    ReferenceResult,
    Results,
    SuiteInfo,
    ValueResult,
    Word,
)
from bench.results.consequences import WORDS, Consequence, WordInfo, consequence, failing, readable_word

CELL = Cell(variant="v", target="t", metric="m", family="fidelity", status="ok", values={})
RUN = Results(suite=SuiteInfo(name="s", fingerprint="f"), reference=ReferenceResult(), cells=[CELL])


def said(verdict: str, **more: Any) -> Judgement:
    known = {"variant": "v", "target": "t", "metric": "m", "value": "x", "against": "baseline", "because": "so"}
    return Judgement.model_construct(**{**Judgement(**known, verdict="same").model_dump(), "verdict": verdict, **more})


def test_every_word_is_in_the_table() -> None:
    assert set(WORDS) == set(get_args(Word))


R, I, O, P, A = (  # noqa: E741
    Consequence.REGRESSION, Consequence.INCOMPLETE, Consequence.OPEN, Consequence.PASS, Consequence.ACCEPTED,
)  # fmt: skip
EXPECTED = [  # word, more, plain, strict
    ("regressed", {}, R, R),
    ("errored", {}, I, I),
    ("missing", {}, I, I),
    ("missing", {"decides": False}, O, I),
    ("incomparable", {}, I, I),
    ("incomparable", {"decides": False}, O, O),
    ("inconclusive", {}, O, R),
    ("inconclusive", {"not_worse": True}, P, P),
    ("improved", {}, P, P),
    ("same", {}, P, P),
    ("accepted", {"decides": False}, A, A),
]


@pytest.mark.parametrize(("word", "more", "plain", "strict"), EXPECTED)
def test_every_reader_says_the_same(word: str, more: dict[str, Any], plain: Consequence, strict: Consequence) -> None:
    for wanted, strictly in ((plain, False), (strict, True)):
        item, passing = said(word, **more), said("same")
        assert consequence(item, strictly) == wanted
        code = exit_code_of(RUN, [item, passing], strict=strictly)
        assert code == {R: ExitCode.REGRESSION, I: ExitCode.INCOMPLETE}.get(wanted, ExitCode.PASS)
        assert bool(failing([item, passing], strictly)) == (code != ExitCode.PASS)  # pytest
        comparison = conclude(RUN, [item, passing], "b", strict=strictly)
        assert (comparison.exit_code, comparison.closing.partition(":")[0]) == (
            code, {0: "passed", 1: "regression", 3: "incomplete"}[code],
        )  # fmt: skip
        suite = ET.fromstring(junit(comparison))[0]
        faults = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        assert bool(faults) == (code != ExitCode.PASS)
        lines = error_lines(comparison)
        assert any(line.startswith("::error") for line in lines) == (code != ExitCode.PASS)
        assert any(line.startswith("::warning") for line in lines) == (wanted is Consequence.OPEN)


def test_a_new_word_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORDS, "vanished", WordInfo(Consequence.INCOMPLETE, gate="gone"))  # type: ignore[misc]
    item = said("vanished")
    assert exit_code_of(RUN, [item]) == ExitCode.INCOMPLETE
    assert conclusion(item).closing == "incomplete: 1 vanished"
    assert failing([item], strict=False) == [item]
    assert sign_of(item.verdict) == "?"
    assert readable_word(item.model_copy(update={"against": "reference"})) == "gone"
    assert lines_of([item]) == ["  x: so (baseline, vanished)"]


def conclusion(item: Judgement) -> Comparison:
    """Without the check that a comparison holds only words of the schema."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("bench.gate.outcome.Comparison", Comparison.model_construct)
        return conclude(RUN, [item], "b")


GATE = {"rule": "max_harm", "tolerance": 0.1, "because": "so"}


@pytest.mark.parametrize(
    ("status", "gate", "word", "told"),
    [
        ("ok", {"verdict": "passed"}, "same", "passed"),
        ("ok", {"verdict": "failed"}, "regressed", "failed"),
        ("ok", {"verdict": "inconclusive"}, "inconclusive", "inconclusive"),
        ("ok", {"verdict": "inconclusive", "looked": False}, "missing", "missing"),
        ("skipped", {"verdict": "inconclusive", "looked": False}, "missing", "missing"),
        ("skipped", {"verdict": "accepted", "looked": False}, "accepted", "accepted"),
        ("error", {"verdict": "inconclusive", "looked": False}, "errored", "errored"),
    ],
)
def test_a_gate_against_the_reference_is_a_judgement(status: Any, gate: dict[str, Any], word: str, told: str) -> None:
    value = ValueResult(kind="quality", gates=[GateResult(**GATE, **gate, per="class")])
    (item,) = judge_gates(CELL.model_copy(update={"status": status, "values": {"x": value}}))
    assert (item.verdict, readable_word(item), item.per) == (word, told, "class")
    assert item.decides == (word != "accepted")
    assert f"(max_harm per class, {told})" in lines_of([item])[0]
