"""The outcome of a run's judgements: in order, and the closing line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.exit_codes import ExitCode
from bench.gate.exit_codes import exit_code_of, first_of, incomplete, left_out
from bench.gate.verdicts import unmeasured_variants
from bench.results import Comparison, Judgement, Results
from bench.results.consequences import WORDS
from bench.wording import plain

CLOSING = {ExitCode.PASS: "passed", ExitCode.REGRESSION: "regression", ExitCode.INCOMPLETE: "incomplete"}


def conclude(results: Results, judgements: Sequence[Judgement], baseline: str, *, strict: bool = False) -> Comparison:
    """Put judgements together.

    Args:
        results: The run.
        judgements: Everything said about it.
        baseline: What it was compared with, in words.
        strict: Fail what is not shown to be no worse, and what the baseline lacks.
    """
    code = exit_code_of(results, judgements, strict=strict)
    order = list(WORDS)
    ordered = sorted(judgements, key=lambda item: order.index(item.verdict))
    return Comparison(
        suite=plain(results.suite.name),
        baseline=plain(baseline),
        strict=strict,
        exit_code=code,
        closing=_closing(results, judgements, code, strict),
        notes=[f"{name}: {more}" for name, more in unmeasured_variants(results)],
        judgements=ordered,
    )


def _closing(results: Results, judgements: Sequence[Judgement], code: ExitCode, strict: bool) -> str:
    counts = Counter(item.verdict for item in judgements)
    counted = [f"{counts[word]} {word}" for word in WORDS if counts[word]]
    open_ = sum(item.verdict == "inconclusive" and not item.not_worse for item in judgements)
    parts = [", ".join(counted) or "nothing was judged"]
    if open_:
        fails = "--strict fails them" if not strict else "--strict: they fail"
        parts.append(f"{open_} not shown to be no worse ({fails})")
    silent = sum(not item.decides and item.verdict != "accepted" for item in judgements)
    if silent:
        parts.append(f"{silent} reported only")
    if any(item.verdict == "missing" and item.because.startswith("skipped") and item.decides for item in judgements):
        parts.append("accept a skip by name: not_applicable in the suite, or crbench baseline accept")
    lines = [*incomplete(results), *left_out(results)]
    if lines:
        parts.append(f"incomplete: {first_of(lines)}")
    return f"{CLOSING[code]}: {'; '.join(parts)}"
