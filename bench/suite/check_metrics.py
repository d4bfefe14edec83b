"""Checks a suite's metrics: matrices, parameters and gates."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Collection, Iterator
from typing import Any

from bench.data.base import CALIBRATION, EVALUATION
from bench.limits import SUITE_MATRIX
from bench.metrics.base import Metric, metrics
from bench.metrics.values import Change, Mean, Proportion, Statistic, Value
from bench.registry import nearest
from bench.results import Rule
from bench.results.rules import RULES, rule_on_own_figure, rules_of
from bench.suite.check_networks import check_target_names, tables_in
from bench.suite.findings import Findings, schema_of
from bench.suite.suite import Gate, MetricUse
from bench.suite.tables import GateTable, MetricTable
from bench.suite.validation_errors import KeyPath


def build_metrics(
    findings: Findings,
    raw: dict[str, Any],
    evaluation: int | None,
    yardstick: bool,
    sets: Collection[str] = (),
    targets: Collection[str] = (),
) -> tuple[MetricUse, ...]:
    """Every metric of the suite, matrices expanded; each (name, parameters) stands for one measurement."""
    uses: list[MetricUse] = []
    seen: dict[str, int] = {}
    for index, entry in tables_in(raw, "metric"):
        key_path: KeyPath = ("metric", index)
        name = entry.get("use")
        cls = findings.find(metrics, name, (*key_path, "use")) if isinstance(name, str) else None
        if cls is None:
            continue
        gates = _build_gates(findings, entry, key_path, cls, yardstick)
        on = _build_targets(findings, entry, key_path, targets)
        for parameters, moved in _expand(findings, entry, key_path, cls):
            metric: Metric | None = findings.build(cls, parameters, key_path, moved)
            if metric is None:
                continue
            if evaluation is not None and metric.too_many(evaluation):
                what = f"{metric.samples} are more than the {evaluation} evaluation samples"
                findings.add(moved.get("samples", (*key_path, "samples")), what, f"give at most {evaluation}")
            for name_of_set in sorted({probe.asked_on for probe in metric.probes} - {EVALUATION, CALIBRATION, *sets}):
                what = f"{name_of_set!r} is no [[ood]] of the suite"
                right = nearest(name_of_set, sets) if sets else f'give [[ood]] with name = "{name_of_set}" and a source'
                findings.add(moved.get("against", (*key_path, "against")), what, right)
            identity = json.dumps([name, metric.parameters()], sort_keys=True, default=str)
            first = seen.get(identity)
            if first == index:
                findings.add((*key_path, "matrix"), "it gives the same parameters twice", "leave one of them out")
            elif first is not None:
                what = f"{name!r} with these parameters is metric[{first}] already"
                findings.add((*key_path, "use"), what, "leave one out, or change a parameter other than samples")
            seen.setdefault(identity, index)
            uses.append(MetricUse(metric, gates, on))
    return tuple(uses)


def _build_targets(
    findings: Findings, entry: dict[str, Any], key_path: KeyPath, known: Collection[str]
) -> tuple[str, ...] | None:
    """The targets that a metric names; None where it names none."""
    named = entry.get("targets")
    if not isinstance(named, list):
        return None
    return tuple(check_target_names(findings, named, (*key_path, "targets"), known))


def _expand(
    findings: Findings, entry: dict[str, Any], key_path: KeyPath, cls: type[Any]
) -> Iterator[tuple[dict[str, Any], dict[str, KeyPath]]]:
    """The parameters of every combination, and where those that stand in the matrix really are."""
    fixed = MetricTable.parameters_in(entry)
    matrix = entry.get("matrix", {})
    if not isinstance(matrix, dict):
        return
    lists: dict[str, list[Any]] = {}
    for key, values in matrix.items():
        here = (*key_path, "matrix", key)
        known = schema_of(cls).get("properties", {})
        if key not in known:
            findings.add(here, "unknown key", nearest(key, known))
        elif key in fixed:
            findings.add(here, f"{key!r} is given beside the matrix too", "give it once")
        else:  # what is no list is reported by the schema; its value can be judged all the same
            lists[key] = values if isinstance(values, list) else [values]
    if findings.limited(SUITE_MATRIX, math.prod(map(len, lists.values())), (*key_path, "matrix")):
        return
    for chosen in itertools.product(*(range(len(values)) for values in lists.values())):
        picked = dict(zip(lists, chosen, strict=True))
        parameters = fixed | {key: lists[key][index] for key, index in picked.items()}
        yield parameters, {key: (*key_path, "matrix", key, index) for key, index in picked.items()}


def _build_gates(
    findings: Findings, entry: dict[str, Any], key_path: KeyPath, cls: type[Metric], yardstick: bool
) -> tuple[Gate, ...]:
    """The gates that can be judged on this metric's values."""
    values = {value.name: value for value in cls.values}
    gates: list[Gate] = []
    for index, raw in tables_in(entry, "gate"):
        here = (*key_path, "gate", index)
        table = findings.parse(GateTable, raw, here, quiet=True)
        rules: list[Rule] = [rule for rule in RULES if rule in raw]
        if len(rules) != 1:
            what = f"{' and '.join(rules)} are {len(rules)} rules" if rules else "no rule"
            findings.add(here, what, f"give exactly one of {', '.join(RULES)}; write a gate for each")
        name = raw.get("value")
        if isinstance(name, str) and name not in values:
            findings.add((*here, "value"), f"{cls.name} has no value {name!r}", nearest(name, values))
        if table is None or len(rules) != 1 or table.value not in values:
            continue
        rule = rules[0]
        if problem := _unfit(rule, values[table.value], values, yardstick):
            findings.add((*here, rule), *problem)
        if table.per is not None and (problem := _whole(rule, values[table.value], cls)):
            findings.add((*here, "per"), *problem)
        if any((gate.value, gate.rule, gate.per) == (table.value, rule, table.per) for gate in gates):
            findings.add(here, f"{rule} on {table.value!r} is gated already", "leave one out")
        gates.append(Gate(table.value, rule, getattr(table, rule), table.per, table.margin))
    return tuple(gates)


def _whole(rule: Rule, value: Value, cls: type[Metric]) -> tuple[str, str] | None:
    """Why this gate can only be judged over all samples, and what would be right."""
    apart = _by_sample(value)
    if not apart:
        return f"{value.name!r} is no mean over samples", "leave per out"
    if RULES[rule].judges == "gap":
        return "a class has too few samples for a gap of its own", "use max_change, or leave per out"
    if isinstance(value, Mean | Proportion | Statistic) and value.log:
        return f"the harm of {value.name!r} lives on the logarithm", "leave per out"
    return None


def _unfit(rule: Rule, value: Value, values: dict[str, Value], yardstick: bool) -> tuple[str, str] | None:
    """Why this rule could never be judged on this value, and what would be right."""
    info = RULES[rule]
    if value.kind not in info.kinds:
        fitting = [name for name, other in values.items() if other.kind in info.kinds]
        advice = f"values with {rule} here: {', '.join(fitting)}" if fitting else ""
        rules = rules_of(value.kind)
        own = f"gate it by {' or '.join(rules)}" if rules else f"a {value.kind} has no gate"
        return f"{value.name!r} is a {value.kind}, which has no {rule[4:]}", "; ".join(filter(None, [own, advice]))
    if info.judges == "gap" and not yardstick:
        return "a gap needs a yardstick, and the suite has none", "give yardstick.retrained = 8, or use max_change"
    if info.judges == "harm" and value.better == "none":  # type: ignore[union-attr]
        return f"neither direction of {value.name!r} is worse", "gate another value"
    if info.better is not None and value.better != info.better:  # type: ignore[union-attr]
        other = rule_on_own_figure(value.better)  # type: ignore[union-attr]
        advice = f"use {other}, or max_harm" if other else "gate another value"
        direction = f"better when {value.better}" if other else "neither better when higher nor when lower"  # type: ignore[union-attr]
        return f"{value.name!r} is {direction}", advice
    if isinstance(value, Statistic) and value.no_gate:
        return f"{value.name!r} {value.no_gate}", "gate another value"
    if isinstance(value, Statistic) and value.no_interval:
        return f"{value.name!r} has no interval, so no gate on it can be judged", value.no_interval
    return None


def _by_sample(value: Value) -> bool:
    """Whether it is the mean of what each sample contributes, whichever samples are looked at."""
    if isinstance(value, Change):
        return value.summary == "mean" and not value.where
    return isinstance(value, Mean | Proportion)
