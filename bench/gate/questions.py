"""One value before and after: what is compared, by which margin, and the answer in one word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from bench.gate.baseline import BaselineCell
from bench.gate.judgements import Answer
from bench.gate.kept_arrays import restored
from bench.gate.paired_tests import Figure, Pairing, Shift, yardstick_scale
from bench.metrics.base import metrics
from bench.metrics.values import Statistic, Value
from bench.results import Cell, GateResult, ValueResult
from bench.results.rules import RULES
from bench.stats.noninferiority import decide, not_worse
from bench.store.samples import ValueSamples
from bench.wording import difference, plain, title
from bench.wording import tolerance as tolerance_text

Against = Literal["baseline", "first"]


@dataclass(frozen=True, eq=False)
class Question:
    """One value before and after, waiting for its p-values."""

    cell: Cell
    name: str
    gate: GateResult
    against: Against
    pairing: Pairing


def pairing_of(
    name: str, before: BaselineCell, after: BaselineCell, cell: Cell, value: ValueResult, gate: GateResult
) -> Pairing | str:
    """The pair of measurements that is compared, or why it cannot be."""
    scale = None
    if RULES[gate.rule].judges == "gap":
        scale = yardstick_scale(value.yardsticks)
        if scale is None or (value.gap is None and value.gap_ci is None):
            return f"no gap: {plain(value.reason) or 'the yardsticks give no scale'}"
    declared = None
    if after.values[name].samples.form == "statistic":
        declared = statistic_of(cell, name)
        if declared is None:
            return "the metric's statistic is not registered here, so nothing can be resampled"
    old, new = restored(before.values[name].samples), restored(after.values[name].samples)
    if declared is not None and (why := _too_little(cell, name, old, new)):
        return why
    n = after.n if declared is not None else new.variant["x"].size
    return Pairing(old, new, n, margin_of(gate), declared, scale)


def answer(question: Question, shift: Shift, worse: float, better: float) -> Answer:
    """The word on a question; ``worse`` and ``better``: p-values adjusted for all that is judged together."""
    value, margin, harm = question.cell.values[question.name], question.pairing.margin, shift.harm
    more: dict[str, Any] = {"rule": question.gate.rule, "per": question.gate.per, "margin": margin}
    if harm.estimate is None or harm.interval.method == "none":
        because = harm.reason or "no interval can be given"
        return Answer("inconclusive", because, more)
    word = decide(harm.interval, margin, worse, better)
    keeps = not_worse(harm.interval, margin)
    since = "than the baseline" if question.against == "baseline" else "than when it was first accepted: drift"
    text = _difference(value, question, harm.estimate, (harm.interval.low, harm.interval.high))
    tail = {
        "regressed": f"surely worse {since}",
        "improved": f"surely better {since}",
        "same": f"no worse {since}",
        "inconclusive": f"no worse {since}, perhaps better" if keeps else f"not shown to be no worse {since}",
    }[word]
    more |= {
        "estimate": harm.estimate,
        "ci": (harm.interval.low, harm.interval.high),
        "p_value": worse,
        "not_worse": keeps and word != "regressed",
    }
    return Answer(word, f"{text}: {tail}", more)


def margin_of(gate: GateResult) -> float:
    """The margin by which a value may be worse than a baseline: as declared, else the tolerance; 0 for own figures."""
    if gate.margin is not None:
        return gate.margin
    return 0.0 if RULES[gate.rule].judges == "own figure" else gate.tolerance


def declared_value(cell: Cell, name: str) -> Value | None:
    """A value as its registered metric declares it; what a results file names is never imported."""
    if cell.metric not in metrics.names():
        return None
    return next((value for value in metrics.get(cell.metric).values if value.name == name), None)


def statistic_of(cell: Cell, name: str) -> Figure | None:
    """The statistic of a registered metric's value."""
    value = declared_value(cell, name)
    return Figure(value.figure, value.recentre) if isinstance(value, Statistic) else None


def _too_little(cell: Cell, name: str, *measured: ValueSamples) -> str:
    """Why there is no interval of a registered statistic on these arrays: too few errors, say."""
    value = declared_value(cell, name)
    return value.without_interval(*(side.variant for side in measured)) if isinstance(value, Statistic) else ""


def _difference(
    value: ValueResult, question: Question, estimate: float, limits: tuple[float | None, float | None]
) -> str:
    """A signed difference with its interval and margin, in the value's own unit."""
    pairing = question.pairing
    if pairing.scale is not None:
        scaled = ValueResult(kind="quality", unit="")
        text, name = " ".join(difference(scaled, estimate, limits)).strip(), f"gap of {title(question.name)} "
    else:
        counted = pairing.after.form in ("proportion", "count")
        scaled = ValueResult(kind="quality", unit=value.unit, interval="score" if counted else "none")
        text, name = " ".join(difference(scaled, estimate, limits)).strip(), ""
    return f"{name}{text}, margin {tolerance_text(scaled, pairing.margin)}"
