"""Tolerances judged against the reference, the verdict on each variant, and the exit code: from results alone.

A gate passes when the whole interval lies within its tolerance, fails when the whole interval lies beyond, and is
inconclusive otherwise. Shipping needs *every* gate passed, an intersection-union test: its error stays at that of one
interval however many gates there are. Failing needs one, so with m gates a variant that stands exactly on all its
tolerances fails by chance in up to m times 2.5 % of runs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from bench.gate.classes import judge_classes
from bench.results import Cell, GateResult, Results, ValueResult, VariantResult, Verdict
from bench.store.samples import RunSamples
from bench.wording import (
    NOTHING,
    Limits,
    canonical,
    difference,
    gap_with_interval,
    is_proportion,
    plain,
    scaled,
    title,
    told_apart,
    with_interval,
)
from bench.wording import tolerance as tolerance_text

Kind: TypeAlias = Literal["change", "quality", "pair", "bound", "cost"]
Rule: TypeAlias = Literal["max_harm", "max_gap", "max_change", "min_value"]

PASS, REGRESSION, INCOMPLETE = 0, 1, 3

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


def judge_results(
    results: Results,
    declared: Iterable[tuple[str, Mapping[str, Any], Sequence[Tolerance]]],
    samples: RunSamples | None = None,
) -> Results:
    """Judge every declared gate, then every verdict; a new ``Results``, the given one is untouched.

    ``declared`` holds (metric name, its parameters, its tolerances). A gate whose value is absent, as in an errored
    or skipped cell, is kept as inconclusive on an empty value: the results alone tell what could not be judged.
    ``samples`` are the run's per-sample arrays; without them no class can be judged apart.
    """
    table: dict[tuple[str, str], list[Tolerance]] = {}
    for metric, params, tolerances in declared:
        table.setdefault((metric, canonical(params)), []).extend(tolerances)
    cells = [judge_cell(cell, table.get((cell.metric, canonical(cell.params)), ()), samples) for cell in results.cells]
    return with_verdicts(results.model_copy(update={"cells": cells}))


def judge_cell(cell: Cell, tolerances: Sequence[Tolerance], samples: RunSamples | None = None) -> Cell:
    """A copy of the cell whose values carry these gates and no others."""
    values = {name: value.model_copy(update={"gates": []}) for name, value in cell.values.items()}
    for item in tolerances:
        if item.value not in values:
            reason = plain(cell.reason) or "the cell holds no such value"
            values[item.value] = ValueResult(kind=FITS[item.rule][0], reason=reason)
        value = values[item.value]
        per, margin = getattr(item, "per", None), getattr(item, "margin", None)
        if cell.status == "ok":
            judged = judge_gate(value, item.rule, item.tolerance)
            if per is not None:
                judged = judge_classes(cell, item, value, samples)
        else:
            word = "an error" if cell.status == "error" else "skipped"
            because = f"{word}: {plain(cell.reason) or 'no reason given'}"
            judged = GateResult(rule=item.rule, tolerance=item.tolerance, verdict="inconclusive", because=because)
        judged = judged.model_copy(update={"per": per, "margin": margin})
        values[item.value] = value.model_copy(update={"gates": [*value.gates, judged]})
    return cell.model_copy(update={"values": values})


def gates_of(cells: Iterable[Cell]) -> list[tuple[str, GateResult]]:
    """Every gate with the name of its value in words, parameters where the same metric stands twice."""
    cells = list(cells)
    apart = told_apart((cell.metric, cell.params) for cell in cells)
    found = []
    for cell in cells:
        words = apart[cell.metric, canonical(cell.params)]
        for name, value in cell.values.items():
            label = f"{title(name)} ({words})" if words else title(name)
            found += [(label, gate) for gate in value.gates]
    return found


def _phrases(gates: Iterable[tuple[str, GateResult]], wanted: str) -> list[str]:
    """What such gates say; values with one and the same reason share a phrase."""
    labels: dict[str, list[str]] = {}
    for label, gate in gates:
        if gate.verdict == wanted:
            labels.setdefault(gate.because, []).append(label)
    return [f"{', '.join(names)} {because}" for because, names in labels.items()]


def verdict(cells: Iterable[Cell], subject: str = "") -> Verdict:
    """May the variant of these cells ship? The sentence names what decided.

    False when any gate failed; undecided (null) when any is inconclusive, its cell errored or skipped, or nothing is
    gated; true when all passed. ``subject`` is the variant in words; by default its name and target.

    >>> harm = ValueResult(kind="quality", estimate=0.061, ci=(0.032, 0.09), interval="score")
    >>> harm.gates.append(judge_gate(harm, "max_harm", 0.03))
    >>> cell = Cell(variant="prune50", target="torch", metric="adversarial.pgd", family="adversarial", status="ok",
    ...             values={"robust_error": harm})
    >>> print(verdict([cell]).because)
    do not ship prune50 (torch): robust error +6.1 points [3.2, 9.0], tolerance 3
    """
    cells = list(cells)
    if not subject:
        names = dict.fromkeys(f"{plain(cell.variant)} ({plain(cell.target)})" for cell in cells)
        subject = ", ".join(names) or "the variant"
    gates = gates_of(cells)
    failed, undecided = _phrases(gates, "failed"), _phrases(gates, "inconclusive")
    if failed:
        return Verdict(ship=False, because=f"do not ship {subject}: {'; '.join(failed)}")
    if undecided:
        return Verdict(ship=None, because=f"undecided on {subject}: {'; '.join(undecided)}")
    if not gates:
        return Verdict(ship=None, because=f"undecided on {subject}: no gate was set")
    many = "its gate" if len(gates) == 1 else f"all {len(gates)} gates"
    return Verdict(ship=True, because=f"{subject} may ship: it passes {many}")


def cells_of(variant: VariantResult, cells: Iterable[Cell]) -> list[Cell]:
    """The cells of one variant on one target in one replicate."""
    mine = (variant.name, variant.target, variant.replicate)
    return [cell for cell in cells if (cell.variant, cell.target, cell.replicate) == mine]


def subjects(variants: Sequence[VariantResult]) -> list[str]:
    """Each variant in words: name and target, and the replicate where one of them has several."""
    several = {key for key, count in Counter((v.name, v.target) for v in variants).items() if count > 1}
    words = []
    for variant in variants:
        places = [plain(variant.target)]
        if (variant.name, variant.target) in several:
            places.append("all replicates" if variant.replicate is None else f"replicate {variant.replicate}")
        words.append(f"{plain(variant.name)} ({', '.join(places)})")
    return words


def variant_verdict(name: str, target: str, cells: Iterable[Cell]) -> Verdict:
    """The verdict on one variant on one target, whose cells these are."""
    return verdict(cells, f"{plain(name)} ({plain(target)})")


def overall_verdict(variants: Sequence[VariantResult]) -> Verdict:
    """The run's verdict: false where any variant's is, else undecided where any is, else true."""
    if not variants:
        return Verdict(ship=None, because="undecided: no variant was measured")
    parts = []
    for ship, words in ((False, "do not ship"), (None, "undecided on"), (True, "may ship:")):
        those = [name for name, v in zip(subjects(variants), variants, strict=True) if v.verdict.ship is ship]
        if those:
            parts.append(f"{words} {', '.join(those)}")
    states = {variant.verdict.ship for variant in variants}
    return Verdict(ship=False if False in states else None if None in states else True, because="; ".join(parts))


def with_verdicts(results: Results) -> Results:
    """A copy in which every variant's and the run's verdict follow from the gates in the cells."""
    variants = [
        variant.model_copy(update={"verdict": verdict(cells_of(variant, results.cells), name)})
        for variant, name in zip(results.variants, subjects(results.variants), strict=True)
    ]
    return results.model_copy(update={"variants": variants, "verdict": overall_verdict(variants)})


def incomplete(results: Results) -> list[str]:
    """Why the run is not whole, one line each: errored cells and stages, skips without a reason, nothing measured.

    A skipped cell that says why is not incomplete. Nothing measured at all is.
    """
    lines = []
    for cell in results.cells:
        where = f"{plain(cell.variant)} ({plain(cell.target)}) {plain(cell.metric)}"
        if cell.status == "error":
            lines.append(f"{where}: {plain(cell.reason) or 'an error without a message'}")
        elif cell.status == "skipped" and not cell.reason.strip():
            lines.append(f"{where}: skipped without a reason")
    for variant, name in zip(results.variants, subjects(results.variants), strict=True):
        if not cells_of(variant, results.cells):
            lines.append(f"{name}: nothing was measured")
        for stage in variant.stages:
            faults = [item for item in stage.metrics if item.status == "error"]
            lines += [f"{name} at {plain(stage.name)}, {plain(item.metric)}: {plain(item.reason)}" for item in faults]
    if not any(cell.status == "ok" for cell in results.cells):
        lines.append("nothing ran")
    return lines


def exit_code(results: Results, gate: bool, strict: bool = False) -> int:
    """0 pass, 1 regression, 3 incomplete; 3 goes before 1 (2 and 4 are the command line's).

    1 needs ``gate`` and a failed gate, with ``strict`` an inconclusive one is enough. ``gate`` where no gate was set is
    incomplete: a gate that looked at nothing must not pass.
    """
    if incomplete(results):
        return INCOMPLETE
    if not gate:
        return PASS
    found = {given.verdict for cell in results.cells for value in cell.values.values() for given in value.gates}
    if not found:
        return INCOMPLETE
    broken = {"failed", "inconclusive"} if strict else {"failed"}
    return REGRESSION if found & broken else PASS
