"""A value of the results as the few texts that every report shows: figure, interval, mark, reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.report.leaderboard.marks import Mark, mark_of, within_arithmetic
from bench.report.yardsticks import YardstickWords
from bench.results import ValueReference, ValueResult
from bench.wording import (
    NOTHING,
    Limits,
    difference,
    fixed,
    gap_with_interval,
    limit,
    own,
    plain,
    significant,
    title,
)

SAME = "same within arithmetic"
TOGETHER = "among all harms of the suite together (Holm, 5 %)"

SIGNS: dict[Mark, str] = {
    Mark.NONE: "", Mark.FAILED: "✗", Mark.INCONCLUSIVE: "?", Mark.WORSE: "▲", Mark.BETTER: "▼", Mark.ALARM: "!",
}  # fmt: skip


def meanings(yardstick: YardstickWords) -> dict[Mark, str]:
    """The meaning of every mark in words."""
    return {
        Mark.NONE: "",
        Mark.FAILED: "breaks its gate",
        Mark.INCONCLUSIVE: "its gate could not be decided",
        Mark.WORSE: f"worse: surely above 0, {TOGETHER}",
        Mark.BETTER: f"better: surely below 0, {TOGETHER}",
        Mark.ALARM: f"alarm: in some value of the family surely further from the reference than {yardstick.further}",
    }


@dataclass(frozen=True)
class Figure:
    """One number as text; ``sort`` is the number itself, ``reason`` says why there is none."""

    value: str = NOTHING
    interval: str = ""
    mark: Mark = Mark.NONE
    reason: str = ""
    sort: float | None = None

    def __str__(self) -> str:
        """The value with its interval, on one line."""
        return f"{self.value} {self.interval}".strip()

    @property
    def sign(self) -> str:
        """The mark as one character."""
        return SIGNS[self.mark]


def estimate(value: ValueResult) -> Figure:
    """Change, harm, or ratio to the reference.

    >>> str(estimate(ValueResult(kind="change", estimate=2e-9, ci=(1e-9, 3e-9), numerical_floor=1e-8)))
    'same within arithmetic'
    >>> str(estimate(ValueResult(kind="change", estimate=0.0, ci=(0.0, 0.0102), interval="exact")))
    '0.0 % [0.0, 1.0]'
    """
    if value.kind in ("bound", "cost"):
        return ratio(value)
    noticed = mark_of(value)
    if value.estimate is None:
        return Figure(mark=noticed, reason=plain(value.reason) or "no value, and no reason was given")
    if within_arithmetic(value):
        return Figure(SAME, mark=Mark.NONE if noticed in (Mark.WORSE, Mark.BETTER) else noticed, sort=value.estimate)
    text, interval = difference(value, value.estimate, value.ci)
    return Figure(text, interval, noticed, plain(value.reason), value.estimate)


def ratio(value: ValueResult) -> Figure:
    """Variant over reference: a number for costs, the interval in which it surely lies for bounds.

    >>> str(ratio(ValueResult(kind="cost", estimate=0.2666)))
    '0.267×'
    """
    if value.bound is not None and value.estimate is None:
        low, high = value.bound.ratio
        if low is not None and high is not None:
            return Figure(f"[{significant(low)}, {significant(high)}]×", reason=plain(value.reason), sort=high)
        for end, side in ((high, "upper"), (low, "lower")):
            if end is not None:
                text = limit(end, "upper" if side == "upper" else "lower", 3)
                return Figure(f"{text}×", reason=plain(value.reason), sort=end)
        return Figure(reason=plain(value.reason) or "two bounds of this kind leave the ratio open")
    if value.estimate is None:
        return Figure(reason=plain(value.reason) or "no ratio, and no reason was given")
    return Figure(f"{significant(value.estimate)}×", reason=plain(value.reason), sort=value.estimate)


def cost(value: ValueResult, side: Literal["reference", "variant"]) -> Figure:
    """A network's own cost, the variant's with its ratio to the reference's.

    >>> str(cost(ValueResult(kind="cost", unit="bytes", variant=31e3, estimate=0.298), "variant"))
    '31.0 kB 0.30×'
    """
    figure = figure_of(value, side)
    if side == "reference" or value.estimate is None:
        return figure
    return Figure(figure.value, f"{significant(value.estimate, 2)}×", reason=figure.reason, sort=figure.sort)


def figure_of(value: ValueResult, side: Literal["reference", "variant"]) -> Figure:
    """A network's own figure; a bound says which side of the truth it is on.

    >>> from bench.results import BoundInfo
    >>> info = BoundInfo(kind="lower", norm="l2", domain="samples")
    >>> figure_of(ValueResult(kind="bound", variant=3.14159, bound=info), "variant").value
    '≥ 3.14'
    """
    number = value.reference if side == "reference" else value.variant
    if number is None:
        return Figure(reason="" if value.kind == "change" else plain(value.reason))
    if value.bound is not None:
        kind = value.bound.kind
        sign = {"lower": "≥", "certified": "≤", "estimate": "about"}[kind]
        shown = limit(number, "lower" if kind == "lower" else "upper", 3).split()[1]
        unit = f" {plain(value.unit)}" if value.unit else ""
        return Figure(f"{sign} {significant(number) if kind == 'estimate' else shown}{unit}", sort=number)
    return Figure(own(value, number), sort=number)


def gap(number: float | None, limits: Limits | None, reason: str = "", noticed: Mark = Mark.NONE) -> Figure:
    """A gap with its interval; an upper limit where only that is known.

    >>> str(gap(0.4234, (0.301, 0.612))), str(gap(None, (None, 0.0183))), str(gap(None, None, "no yardstick"))
    ('0.42 [0.30, 0.61]', '≤ 0.019', '–')
    """
    text, interval = gap_with_interval(number, limits)
    if text == NOTHING:
        return Figure(mark=noticed, reason=plain(reason) or "no gap, and no reason was given")
    known = limits[1] if number is None and limits is not None else number
    return Figure(text, interval, noticed, plain(reason), known)


def alarm_words(alarm: float | None, value: ValueReference | None) -> str:
    """An alarm in words, empty where there is none.

    >>> from bench.results import ValueReference
    >>> alarm_words(1.184, ValueReference(metric="adversarial.pgd", value="verdict_flip_rate"))
    'verdict flip rate at least 1.1 of one more yardstick'
    """
    if alarm is None:
        return ""
    what = "one of its gaps" if value is None else title(value.value)
    shown = limit(alarm, "lower").split()[1] if alarm > 0 else "0"
    return f"{what} at least {shown} of one more yardstick"


def number(value: float | None) -> str:
    """A bare number in a table of details."""
    return NOTHING if value is None else significant(value)


def share(value: float | None) -> str:
    """A p-value: three decimals, and never zero.

    >>> share(0.0412), share(0.0)
    ('0.041', '< 0.001')
    """
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else fixed(value, 3)
