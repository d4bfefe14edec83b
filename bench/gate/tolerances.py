"""One tolerance on one value, judged by its interval.

A gate passes when the whole interval lies within its tolerance, fails when the whole interval lies beyond, and is
inconclusive otherwise. Shipping needs *every* gate passed, an intersection-union test: its error stays at that of one
interval however many gates there are. Failing needs one, so with m gates a variant that stands exactly on all its
tolerances fails by chance in up to m times 2.5 % of runs (counts: a little more, see docs/design/gates.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from bench.results import GateResult, Rule, ValueResult
from bench.results.rules import RULES
from bench.wording import (
    NOTHING,
    Limits,
    difference,
    gap_with_interval,
    is_proportion,
    limit,
    plain,
    scaled,
    with_interval,
)
from bench.wording import tolerance as tolerance_text


class Tolerance(Protocol):
    """A tolerance on one value of a metric, as a suite declares it."""

    @property
    def value(self) -> str: ...  # noqa: D102
    @property
    def rule(self) -> Rule: ...  # noqa: D102
    @property
    def tolerance(self) -> float: ...  # noqa: D102


class _Judged(NamedTuple):
    """The quantity that a rule looks at: its interval, and how both read."""

    limits: Limits | None
    text: str
    tolerance: str
    why_not: str = ""
    between: str = "inside the interval"  # why a tolerance between the limits decides nothing


def judge_gate(value: ValueResult, rule: Rule, tolerance: float) -> GateResult:
    """Judge one tolerance by the value's 95 % interval.

    ``max_harm`` and ``max_change`` look at ``ci``, ``min_value`` and ``max_value`` at ``own_ci``, the interval of the
    variant's own figure. Passed when the interval's far end keeps the tolerance, failed when its near end breaks it,
    else inconclusive. ``max_gap`` passes by the upper end of ``gap_ci`` and fails by ``gap_further``: it says 'further
    than retraining goes', so it is judged beside one further yardstick, not beside their mean. An upper limit alone
    can pass and cannot fail. Without an interval: inconclusive, with the reason.

    >>> harm = ValueResult(kind="quality", estimate=0.061, ci=(0.032, 0.09), interval="score")
    >>> judge_gate(harm, "max_harm", 0.03).verdict, judge_gate(harm, "max_harm", 0.03).because
    ('failed', '+6.1 points [3.2, 9.0], tolerance 3')
    """

    def result(verdict: Literal["passed", "failed", "inconclusive"], because: str) -> GateResult:
        return GateResult(rule=rule, tolerance=tolerance, verdict=verdict, because=because)

    info = RULES[rule]
    if value.kind not in info.kinds:
        return result("inconclusive", f"{rule} does not judge a {value.kind}")
    limits, text, allowed, why_not, between = LOOKS_AT[info.judges](value, tolerance)
    said = f"{text}, {info.words} {allowed}"
    # towards: the end that must keep the tolerance; a floor is a ceiling of the negated figure
    low, high = limits or (None, None)
    if info.limit == "least":
        low, high, tolerance_ = (None if high is None else -high), (None if low is None else -low), -tolerance
    else:
        tolerance_ = tolerance
    if low is None and high is None:
        reason = plain(why_not) or "no interval was given"
        return result("inconclusive", f"{said}: cannot be judged without an interval ({reason})")
    if high is not None and high <= tolerance_:
        return result("passed", said)
    if low is not None and low > tolerance_:
        return result("failed", said)
    missing = "only one limit is known" if low is None or high is None else between
    return result("inconclusive", f"{said}: {missing}")


def _gap(value: ValueResult, tolerance: float) -> _Judged:
    allowed = f"{tolerance:.6g}"
    text = " ".join(gap_with_interval(value.gap, value.gap_ci)).strip()
    if text == NOTHING:
        return _Judged(None, "no gap", allowed, value.reason or "it has no value")
    low, high = value.gap_ci or (None, None)
    beyond = low is not None and low > tolerance
    further, between = value.gap_further, "inside the interval"
    if beyond and further is not None:
        least = limit(further, "lower") if further > 0 else "≥ 0"
        between = f"further than the mean yardstick, not surely further than one more would be ({least})"
        if further > tolerance:
            text += f" ({least} beside one further yardstick)"
    limits = None if value.gap_ci is None else (further, high)
    return _Judged(limits, f"gap {text}", allowed, value.reason, between)


def _own(value: ValueResult, tolerance: float) -> _Judged:
    allowed = tolerance_text(value, tolerance)
    if value.variant is None:
        return _Judged(None, "no value", allowed, value.reason or "it has no value")
    limits = value.own_ci
    factor, suffix = (100.0, " %") if is_proportion(value) else (1.0, f" {plain(value.unit)}" if value.unit else "")
    text = " ".join(with_interval(value.variant * factor, scaled(limits, factor), suffix=suffix)).strip()
    return _Judged(limits, text, allowed, value.reason or "its own figure has none")


def _difference(value: ValueResult, tolerance: float) -> _Judged:
    allowed = tolerance_text(value, tolerance)
    if value.estimate is None:
        word = "no harm" if value.kind in ("quality", "pair") else "no change"
        return _Judged(None, word, allowed, value.reason or "it has no value")
    text = " ".join(difference(value, value.estimate, value.ci)).strip()
    return _Judged(value.ci, text, allowed, value.reason)


LOOKS_AT: dict[str, Callable[[ValueResult, float], _Judged]] = {
    "harm": _difference, "change": _difference, "gap": _gap, "own figure": _own,
}  # fmt: skip
