"""What a run's judgements add up to: the closing line and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.gate.reference import INCOMPLETE, PASS, REGRESSION, incomplete
from bench.results import Comparison, Judgement, Results, Word
from bench.wording import plain

ORDER: tuple[Word, ...] = ("regressed", "errored", "missing", "incomparable", "inconclusive", "improved", "same")
UNSURE: tuple[Word, ...] = ("errored", "missing", "incomparable")


def conclude(results: Results, judgements: Sequence[Judgement], baseline: str, *, strict: bool = False) -> Comparison:
    """Put judgements together.

    Args:
        results: The run.
        judgements: Everything said about it.
        baseline: What it was compared with, in words.
        strict: Fail what is not shown to be no worse, and what the baseline lacks.
    """
    code = exit_code_of(results, judgements, strict=strict)
    ordered = sorted(judgements, key=lambda item: ORDER.index(item.verdict))
    return Comparison(
        suite=plain(results.suite.name),
        baseline=plain(baseline),
        strict=strict,
        exit_code=code,
        closing=_closing(results, judgements, code, strict),
        judgements=ordered,
    )


def exit_code_of(results: Results, judgements: Sequence[Judgement], *, strict: bool = False) -> int:
    """0 pass, 1 regression, 3 incomplete; 3 goes before 1.

    3: a cell errored, something that decides is missing or incomparable, or nothing was judged at all. 1: something
    regressed; with ``strict`` also what is inconclusive and not shown to be no worse.
    """
    deciding = [item for item in judgements if item.decides or (strict and item.verdict != "incomparable")]
    if incomplete(results) or not deciding or any(item.verdict in UNSURE for item in deciding):
        return INCOMPLETE
    if any(item.verdict == "regressed" for item in deciding):
        return REGRESSION
    open_ = any(item.verdict == "inconclusive" and not item.not_worse for item in deciding)
    return REGRESSION if strict and open_ else PASS


def _closing(results: Results, judgements: Sequence[Judgement], code: int, strict: bool) -> str:
    counts = Counter(item.verdict for item in judgements)
    shown = [f"{counts[word]} {word}" for word in ORDER if counts[word]]
    open_ = sum(item.verdict == "inconclusive" and not item.not_worse for item in judgements)
    parts = [", ".join(shown) or "nothing was judged"]
    if open_:
        fails = "--strict fails them" if not strict else "--strict: they fail"
        parts.append(f"{open_} not shown to be no worse ({fails})")
    silent = sum(not item.decides for item in judgements)
    if silent:
        parts.append(f"{silent} told without a say")
    lines = incomplete(results)
    if lines:
        parts.append(f"incomplete: {lines[0]}" + (f" and {len(lines) - 1} more" if len(lines) > 1 else ""))
    word = {PASS: "passed", REGRESSION: "regression", INCOMPLETE: "incomplete"}[code]
    return f"{word}: {'; '.join(parts)}"
