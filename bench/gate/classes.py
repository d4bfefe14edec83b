"""A tolerance judged in every class apart: a harm that hides in the mean."""

from __future__ import annotations

from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.gate.questions import declared_value
from bench.gate.tolerances import Tolerance
from bench.metrics.values import Change, Mean, Proportion
from bench.results import Cell, GateResult, ValueResult
from bench.results.rules import RULES
from bench.stats.change import change
from bench.stats.figure import mean_figure
from bench.stats.harm import harm, harm_of_proportions
from bench.stats.interval import Interval
from bench.stats.mean import change_vectors
from bench.stats.multiplicity import holm
from bench.stats.noninferiority import ALPHA
from bench.stats.percentile import tail_probability
from bench.stats.proportions import binomial_tail
from bench.stats.resampling import Resamples
from bench.store.samples import RunSamples, ValueSamples
from bench.wording import difference, plain
from bench.wording import tolerance as tolerance_text

MOST_NAMED = 3  # classes named in the sentence
Verdict = Literal["passed", "failed", "inconclusive"]


def judge_classes(cell: Cell, gate: Tolerance, value: ValueResult, samples: RunSamples | None) -> GateResult:
    """Passed where every class keeps the tolerance, failed where one surely breaks it (Holm over the classes).

    Passing needs no correction, since every class must pass; a class without samples is not judged.
    """

    def result(verdict: Verdict, because: str, looked: bool = True) -> GateResult:
        common: dict[str, Any] = {"rule": gate.rule, "tolerance": gate.tolerance, "per": "class"}
        return GateResult(verdict=verdict, because=because, looked=looked, **common)

    path = cell.id.path
    own_samples = None if samples is None or path not in samples.cells else samples.cells[path].values.get(gate.value)
    if samples is None or own_samples is None or own_samples.form not in ("proportion", "mean", "count", "distance"):
        return result("inconclusive", "per class: the per-sample arrays are missing", looked=False)
    if samples.labels is None:
        return result("inconclusive", "per class: the data has no labels", looked=False)
    labels = samples.labels[: own_samples.variant["x"].size]
    declared = declared_value(cell, gate.value)
    most = declared.largest if isinstance(declared, Change | Mean | Proportion) else inf
    judged = [
        (_name(samples, label), *_judge(own_samples, labels == label, gate, value, most)) for label in np.unique(labels)
    ]
    adjusted = holm([p for _, _, p, _ in judged])
    broken = [item for item, p in zip(judged, adjusted, strict=True) if p <= ALPHA]
    ordered = broken or [item for item in judged if not item[3]]
    named = "; ".join(f"class {name} {text}" for name, text, _, _ in ordered[:MOST_NAMED])
    more = f" and {len(ordered) - MOST_NAMED} more classes" if len(ordered) > MOST_NAMED else ""
    kept = f"each of {len(judged)} classes"
    verdict: Verdict = "failed" if broken else "inconclusive" if ordered else "passed"
    words = RULES[gate.rule].words
    return result(verdict, f"{named or kept}{more}, {words} {tolerance_text(value, gate.tolerance)} per class")


def _name(samples: RunSamples, label: int) -> str:
    return plain(samples.classes[label]) if 0 <= label < len(samples.classes) else str(label)


def _judge(
    samples: ValueSamples, mine: NDArray[np.bool_], gate: Tolerance, value: ValueResult, most: float
) -> tuple[str, float, bool]:
    """A class's figure in words, the p-value of 'it keeps the tolerance', and whether it surely keeps it.

    ``most``: the largest change or harm that there is.
    """
    variant, reference = samples.variant["x"][mine], samples.reference.get("x", np.empty(0))
    count = int(mine.sum())
    if samples.form in ("count", "distance"):
        counted = samples.form == "count"
        resamples = Resamples(count) if counted else Resamples(count).ahead([variant, change_vectors(variant)])
        estimate, interval = change(variant, resamples, count=counted, largest=most)
        p = (
            _exact(variant, gate.tolerance)
            if counted
            else tail_probability(resamples.means(variant), gate.tolerance, count)
        )
        return _said(value, estimate, interval, count), p, interval.below(gate.tolerance)
    if RULES[gate.rule].judges == "own figure":
        return _own(variant, gate, value, samples.form == "proportion")
    better: Literal["lower", "higher"] = "higher" if samples.better == "higher" else "lower"
    if samples.form == "proportion":
        measured = harm_of_proportions(reference[mine], variant, better=better)
    else:
        own, other = Resamples(count).means(np.stack([reference[mine], variant]))
        first, second = float(reference[mine].mean()), float(variant.mean())
        measured = harm(first, second, own, other, better=better, samples=count)
    sure = measured.p_above(gate.tolerance)
    interval = measured.interval.within(-most, most)
    said = _said(value, measured.estimate or 0.0, interval, count)
    return said, 1.0 if sure is None else sure, interval.below(gate.tolerance)


def _exact(events: NDArray[Any], tolerance: float) -> float:
    """P-value that the rate of events is at most the tolerance (binomial, exact)."""
    return binomial_tail(int(np.count_nonzero(events)), events.size, min(max(tolerance, 0.0), 1.0))


def _own(values: NDArray[Any], gate: Tolerance, value: ValueResult, proportion: bool) -> tuple[str, float, bool]:
    """A class's own figure against the least or the most that it may be."""
    count, least = values.size, RULES[gate.rule].limit == "least"
    resamples = Resamples(count)
    interval = mean_figure(values, resamples, proportion=proportion)
    if proportion:
        counted, edge = (1 - values, 1 - gate.tolerance) if least else (values, gate.tolerance)
        p = _exact(counted, edge)
    else:
        above = tail_probability(resamples.means(values), gate.tolerance, count)
        p = 1 - above if least else above
    low, high = interval.low, interval.high
    keeps = low is not None and low >= gate.tolerance if least else high is not None and high <= gate.tolerance
    own = value.model_copy(update={"kind": "change"})  # a figure, no difference: no sign
    return _said(own, float(values.mean()), interval, count), p, keeps


def _said(value: ValueResult, estimate: float, interval: Interval, count: int) -> str:
    text = " ".join(difference(value, estimate, (interval.low, interval.high)))
    return f"{text} (n = {count})"
