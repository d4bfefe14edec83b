"""One tolerance on one value, judged by its interval.

A gate passes when the whole interval lies within its tolerance, fails when the whole interval lies beyond, and is
inconclusive otherwise. Shipping needs *every* gate passed, an intersection-union test: its error stays at that of one
interval however many gates there are. Failing needs one, so with m gates a variant that stands exactly on all its
tolerances fails by chance in up to m times 2.5 % of runs.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, Protocol, TypeAlias

from bench.results import GateResult, ValueResult
from bench.wording import (
    NOTHING,
    Limits,
    difference,
    gap_with_interval,
    is_proportion,
    plain,
    scaled,
    with_interval,
)
from bench.wording import tolerance as tolerance_text

Kind: TypeAlias = Literal["change", "quality", "pair", "bound", "cost"]
Rule: TypeAlias = Literal["max_harm", "max_gap", "max_change", "min_value"]

FITS: dict[Rule, tuple[Kind, ...]] = {
    "max_harm": ("quality", "pair"),
    "max_gap": ("change",),
    "max_change": ("change",),
    "min_value": ("quality", "pair"),
}


class Tolerance(Protocol):
    """What a suite declares: a tolerance on one value of a metric."""

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


def own_interval(value: ValueResult) -> Limits | None:
    """The interval of the variant's own figure: the harm's, shifted by the reference's figure taken as exact.

    ``[M0 + lo, M0 + hi]`` where lower is better, ``[M0 - hi, M0 - lo]`` where higher is. It speaks of the samples
    measured: the sampling error that both networks share is not in it. None where the harm is no plain difference
    of the two figures (a harm on the log), and without an interval.

    >>> own_interval(ValueResult(kind="quality", better="higher", reference=0.9, variant=0.8, estimate=0.1,
    ...                          ci=(0.05, 0.25)))
    (0.65, 0.85)
    """
    if value.reference is None or value.variant is None or value.estimate is None or value.ci is None:
        return None
    low, high = value.ci
    if low is None or high is None or value.better == "none":
        return None
    sign = 1.0 if value.better == "lower" else -1.0
    expected = value.reference + sign * value.estimate
    if not math.isclose(expected, value.variant, rel_tol=1e-6, abs_tol=1e-9):
        return None
    ends = sorted((value.reference + sign * low, value.reference + sign * high))
    return ends[0], ends[1]


def judge_gate(value: ValueResult, rule: Rule, tolerance: float) -> GateResult:
    """Judge one tolerance by the value's 95 % interval.

    ``max_harm`` and ``max_change`` look at ``ci``, ``max_gap`` at ``gap_ci``, ``min_value`` at ``own_interval``. Passed
    when the interval's far end keeps the tolerance, failed when its near end breaks it, else inconclusive. An upper
    limit alone can pass and cannot fail. Without an interval: inconclusive, with the reason.

    >>> harm = ValueResult(kind="quality", estimate=0.061, ci=(0.032, 0.09), interval="score")
    >>> judge_gate(harm, "max_harm", 0.03).verdict, judge_gate(harm, "max_harm", 0.03).because
    ('failed', '+6.1 points [3.2, 9.0], tolerance 3')
    """

    def result(verdict: Literal["passed", "failed", "inconclusive"], because: str) -> GateResult:
        return GateResult(rule=rule, tolerance=tolerance, verdict=verdict, because=because)

    if value.kind not in FITS[rule]:
        return result("inconclusive", f"{rule} does not judge a {value.kind}")
    judge = {"max_gap": _gap, "min_value": _own}.get(rule, _difference)
    limits, text, shown, why_not = judge(value, tolerance)
    word = "at least" if rule == "min_value" else "tolerance"
    said = f"{text}, {word} {shown}"
    # towards: the end that must keep the tolerance; a floor is a ceiling of the negated figure
    low, high = limits or (None, None)
    if rule == "min_value":
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
    missing = "only one limit is known" if low is None or high is None else "inside the interval"
    return result("inconclusive", f"{said}: {missing}")


def _gap(value: ValueResult, tolerance: float) -> _Judged:
    shown = f"{tolerance:.6g}"
    text = " ".join(gap_with_interval(value.gap, value.gap_ci)).strip()
    if text == NOTHING:
        return _Judged(None, "no gap", shown, value.reason or "it has no value")
    return _Judged(value.gap_ci, f"gap {text}", shown, value.reason)


def _own(value: ValueResult, tolerance: float) -> _Judged:
    shown = tolerance_text(value, tolerance)
    if value.variant is None:
        return _Judged(None, "no value", shown, value.reason or "it has no value")
    limits = own_interval(value)
    factor, suffix = (100.0, " %") if is_proportion(value) else (1.0, f" {plain(value.unit)}" if value.unit else "")
    text = " ".join(with_interval(value.variant * factor, scaled(limits, factor), suffix=suffix)).strip()
    return _Judged(limits, text, shown, value.reason or "the harm is no plain difference of the two figures")


def _difference(value: ValueResult, tolerance: float) -> _Judged:
    shown = tolerance_text(value, tolerance)
    if value.estimate is None:
        word = "no harm" if value.kind in ("quality", "pair") else "no change"
        return _Judged(None, word, shown, value.reason or "it has no value")
    text = " ".join(difference(value, value.estimate, value.ci)).strip()
    return _Judged(value.ci, text, shown, value.reason)
