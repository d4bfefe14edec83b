"""The power of each gate with the suite's samples, and the samples that its tolerance needs: for ``crbench check``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import exp, log, sqrt
from statistics import median
from typing import Literal, NamedTuple

from bench.data.base import Dataset
from bench.metrics.values import Change, Mean, Proportion, Statistic, Value
from bench.results import ValueResult
from bench.results.rules import RULES
from bench.stats.power import (
    POWER,
    detectable_mean,
    detectable_proportion,
    detectable_rate,
    samples_for_mean,
    samples_for_proportion,
    samples_for_rate,
)
from bench.stats.quantiles import normal_quantile, t_quantile
from bench.stats.yardstick import NEEDED
from bench.store.store import Store
from bench.suite.plan import Plan, PlannedCell
from bench.suite.suite import Gate
from bench.wording import Limits, coverage_words, plain, significant, title

RECOMMENDED = 8  # yardsticks where gates on gaps must decide
ASSUMED = 0.05  # share of samples whose outcome a variant without harm changes, before any run tells
WIDTH = 2 * 1.959964  # standard errors in a 95 % interval
Source = Literal["exact", "former", "assumed", "unknown"]


class GatePower(NamedTuple):
    """The power of a gate with its samples, and the samples that its tolerance needs."""

    metric: str
    value: str
    gate: Gate
    n: int  # samples, of a class where it is judged per class
    finds: float | None  # the smallest true figure that fails it with 80 %
    needs: int | None  # that find twice the tolerance with 80 %; of own figures, that show the reference to keep it
    source: Source
    because: str = ""  # what the spread was taken from, or why nothing can be said

    @property
    def blind(self) -> bool:
        """Whether twice the tolerance is often not found, or the reference not shown to keep its own figure's limit."""
        return self.needs is not None and self.needs > self.n


def power_lines(plan: Plan, dataset: Dataset, store: Store) -> list[str]:
    """Lines on the power of every gate, warnings last."""
    powers = list(gate_powers(plan, dataset, store))
    if not powers:
        return []
    lines = [f"what each gate finds with {POWER:.0%} probability, and the samples that its tolerance needs:"]
    lines += [f"  {_name(item)}: {_words(item)}" for item in powers]
    for item in powers:
        if item.blind:
            fault = "twice its tolerance often goes unseen"
            if RULES[item.gate.rule].judges == "own figure":
                fault = "even the reference often cannot be shown to keep it"
            advice = f"give {item.needs} samples, or a wider tolerance"
            lines.append(f"warning: blind gate: {_name(item)}: with n = {item.n} {fault}; {advice}")
    gaps = any(RULES[item.gate.rule].judges == "gap" for item in powers)
    return [*lines, *filter(None, [few_yardsticks(len(plan.yardsticks))] if gaps else [])]


def few_yardsticks(count: int) -> str:
    """A warning where gates on gaps have fewer yardsticks than the recommended eight; empty with enough.

    A gap surely exceeds that of one further yardstick where its logarithm is t(k-1) √(1 + 1/k) spreads above 0, but for
    the samples' own error.

    >>> print(few_yardsticks(4)[:104])
    warning: few yardsticks: a gate on a gap fails beyond 3.6 spreads of 4 yardsticks (2.5 with 8), and most
    >>> few_yardsticks(8)
    ''
    """
    advice = f"give yardstick.retrained = {RECOMMENDED}"
    if count >= RECOMMENDED:
        return ""
    if count < NEEDED:
        return f"warning: few yardsticks: a gate on a gap has no limits with fewer than {NEEDED}; {advice}"
    now, then = (t_quantile(0.975, k - 1) * sqrt(1 + 1 / k) for k in (count, RECOMMENDED))
    spreads = f"{now:.1f} spreads of {count} yardsticks ({then:.1f} with {RECOMMENDED})"
    told = f"a gate on a gap fails beyond {spreads}, and most gaps near 1 stay undecided"
    return f"warning: few yardsticks: {told}; {advice}"


def gate_powers(plan: Plan, dataset: Dataset, records: Store) -> Iterator[GatePower]:
    """The power of every gate; spreads are of stored cells of this plan, in the median over variants and targets."""
    for use in plan.suite.metrics:
        if not use.gates:
            continue
        cells = [cell for cell in plan.cells if cell.use is use]
        values = {value.name: value for value in use.metric.values}
        n = use.metric.samples or len(dataset.evaluation)
        classes = max(1, len(dataset.input.classes))
        for gate in use.gates:
            known = list(_known(records, cells, gate.value))
            count = max(1, n // classes) if gate.per else n
            yield _power(use.metric.label, values[gate.value], gate, count, n, known, plan)


def _known(store: Store, cells: Sequence[PlannedCell], name: str) -> Iterator[ValueResult]:
    for cell in cells:
        record = store.get("cells", cell.key)
        if record is not None and record.content.get("status") == "ok" and name in record.content["values"]:
            yield ValueResult.model_validate(record.content["values"][name])


def _power(
    metric: str, value: Value, gate: Gate, n: int, measured: int, known: Sequence[ValueResult], plan: Plan
) -> GatePower:
    if RULES[gate.rule].judges == "gap":
        return _gap(metric, gate, n, known, len(plan.yardsticks))
    counted = isinstance(value, Proportion)
    if RULES[gate.rule].judges == "own figure":
        return _own_rate(metric, gate, n, known) if counted else _own_mean(metric, gate, n, measured, known)
    if counted:
        return _proportion(metric, gate, n, measured, known)
    if isinstance(value, Change) and value.count:
        finds, needs = detectable_rate(n, gate.tolerance), samples_for_rate(2 * gate.tolerance, gate.tolerance)
        return GatePower(metric, gate.value, gate, n, finds, needs, "exact", "exact, by the binomial law")
    spreads = [error * sqrt(measured) for error in _errors(value.ci for value in known)]
    if not spreads:
        return _unknown(metric, gate, n)
    spread, words = median(spreads), f"the spread of {len(spreads)} stored cells{_few(value, n)}"
    needs = None if RULES[gate.rule].judges == "change" else samples_for_mean(gate.tolerance, spread)
    return GatePower(metric, gate.value, gate, n, detectable_mean(n, gate.tolerance, spread), needs, "former", words)


def _unknown(metric: str, gate: Gate, n: int) -> GatePower:
    return GatePower(metric, gate.value, gate, n, None, None, "unknown", "its spread is not known before a first run")


def _few(value: Value, n: int) -> str:
    """Lines on intervals of resampled harms with few samples."""
    words = coverage_words(n) if isinstance(value, Mean | Proportion | Statistic) else ""
    return f"; {words}" if words else ""


def _errors(intervals: Iterable[Limits | None]) -> list[float]:
    """Standard errors of estimates, from their intervals."""
    ends = [limits for limits in intervals if limits is not None]
    return [(high - low) / WIDTH for low, high in ends if low is not None and high is not None and high > low]


def discordance(value: ValueResult, n: int) -> float | None:
    """Share of pairs that change beyond the harm itself, from a score interval: n SE^2 + H^2 - |H|, at least 0.

    >>> harm = ValueResult(kind="quality", estimate=0.0, ci=(-0.037, 0.037), interval="score")
    >>> round(discordance(harm, 100), 3)  # no pair changed: what the interval still allows
    0.036
    """
    errors = _errors([value.ci])
    if not errors or value.estimate is None:
        return None
    return max(0.0, n * errors[0] ** 2 + value.estimate**2 - abs(value.estimate))


def _proportion(metric: str, gate: Gate, n: int, measured: int, known: Sequence[ValueResult]) -> GatePower:
    shares = [share for share in (discordance(value, measured) for value in known) if share is not None]
    share = median(shares) if shares else ASSUMED
    words = f"{share:.1%} of outcomes change without harm, "
    words += f"as in {len(shares)} stored cells" if shares else "assumed before a first run"
    source: Source = "former" if shares else "assumed"
    finds = detectable_proportion(n, gate.tolerance, share)
    needs = samples_for_proportion(gate.tolerance, share)
    return GatePower(metric, gate.value, gate, n, finds, needs, source, words)


def _own_rate(metric: str, gate: Gate, n: int, known: Sequence[ValueResult]) -> GatePower:
    """A rate's own figure by its exact interval; a least rate is a greatest one of the opposite outcome."""
    least = RULES[gate.rule].limit == "least"
    edge = 1 - gate.tolerance if least else gate.tolerance
    beyond = detectable_rate(n, edge)
    finds = 1 - beyond if least and beyond is not None else beyond
    room, words = _room(gate, known)
    needs = None
    if room is not None and room > 0:  # shown to keep it: the opposite outcome is surely more often than it must be
        needs = samples_for_rate(1 - edge + room, 1 - edge)
    return GatePower(metric, gate.value, gate, n, finds, needs, "exact", f"exact, by the binomial law{words}")


def _own_mean(metric: str, gate: Gate, n: int, measured: int, known: Sequence[ValueResult]) -> GatePower:
    """Any other own figure, by the spread of stored ones."""
    spreads = [error * sqrt(measured) for error in _errors(value.own_ci for value in known)]
    if not spreads:
        return _unknown(metric, gate, n)
    spread = median(spreads)
    room, words = _room(gate, known)
    needs = None if room is None or room <= 0 else samples_for_mean(room, spread)
    sign = -1 if RULES[gate.rule].limit == "least" else 1
    finds = gate.tolerance + sign * detectable_mean(n, 0.0, spread)
    because = f"the spread of {len(spreads)} stored cells{words}"
    return GatePower(metric, gate.value, gate, n, finds, needs, "former", because)


def _room(gate: Gate, known: Sequence[ValueResult]) -> tuple[float | None, str]:
    """The distance of the reference itself from an own figure's limit; words where it is on the wrong side."""
    own = [value.reference for value in known if value.reference is not None]
    if not own:
        return None, ""
    room = median(own) - gate.tolerance
    room = room if RULES[gate.rule].limit == "least" else -room
    side = "below" if RULES[gate.rule].limit == "least" else "above"
    return room, "" if room > 0 else f"; the reference itself is {side} it"


def _gap(metric: str, gate: Gate, n: int, known: Sequence[ValueResult], yardsticks: int) -> GatePower:
    """Gaps have a ratio's error: the median distance of their lower limit on the log, and its share of 80 %."""
    widths = [
        log(value.gap / value.gap_further)
        for value in known
        if value.gap is not None and value.gap_further is not None and value.gap > value.gap_further > 0
    ]
    if not widths or yardsticks < 2:
        return _unknown(metric, gate, n)
    reach = median(widths) * (1 + normal_quantile(POWER) / t_quantile(0.975, yardsticks - 1))
    because = f"the spread of {len(widths)} stored cells; {yardsticks} yardsticks rule it, not the samples"
    return GatePower(metric, gate.value, gate, n, gate.tolerance * exp(reach), None, "former", because)


def _name(item: GatePower) -> str:
    per = " per class" if item.gate.per else ""
    return f"{plain(item.metric)} {title(item.value)} {item.gate.rule} {item.gate.tolerance:g}{per}"


def _words(item: GatePower) -> str:
    if item.finds is None and item.source == "unknown":
        return item.because
    info = RULES[item.gate.rule]
    thing = f"a {info.judges.removeprefix('own ')} of"
    beyond = "or less" if info.limit == "least" else "or more"
    finds = "nothing" if item.finds is None else f"{thing} {significant(item.finds)} {beyond}"
    needs = f", needs n = {item.needs}" if item.needs is not None else ""
    return f"n = {item.n} finds {finds}{needs} ({item.because})"
