"""One table says which gate rule judges which value; suites, gates and the fixture follow it."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from bench.gate import judge_gate
from bench.gate.questions import margin_of
from bench.gate.tolerances import LOOKS_AT
from bench.metrics.base import metrics
from bench.metrics.values import Change, Mean
from bench.results import GateResult, Kind, Rule, ValueResult
from bench.results.rules import RULES, rules_of
from bench.suite.check_metrics import _unfit
from bench.suite.tables import GateTable

VALUES: dict[Kind, Any] = {
    "change": Change("x", None, of="a", power=1),
    "quality": Mean("x", of="a", better="lower"),
}


def test_every_rule_is_in_the_table_and_in_suites() -> None:
    assert set(RULES) == set(get_args(Rule)) == set(GateTable.model_fields) - {"value", "per", "margin"}
    assert {info.judges for info in RULES.values()} == set(LOOKS_AT)


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("rule", RULES)
def test_a_suite_refuses_what_its_gate_could_not_judge(kind: Kind, rule: Rule) -> None:
    judged = judge_gate(ValueResult(kind=kind, estimate=0.1, ci=(0.0, 0.2), variant=0.1, own_ci=(0.0, 0.2)), rule, 1.0)
    fits = f"{rule} does not judge a {kind}" not in judged.because
    assert fits == (kind in RULES[rule].kinds) == (rule in rules_of(kind))
    if kind in VALUES:
        found = _unfit(rule, VALUES[kind], {"x": VALUES[kind]}, True)
        assert (found is not None and f"is a {kind}" in found[0]) == (not fits)


@pytest.mark.parametrize("kind", ["quality", "pair"])
def test_own_figures_of_pairs_are_gated_as_those_of_qualities(kind: Kind) -> None:
    value = ValueResult(kind=kind, variant=0.9, own_ci=(0.85, 0.95))
    assert judge_gate(value, "min_value", 0.8).verdict == "passed"
    assert judge_gate(value, "min_value", 0.97).verdict == "failed"
    assert judge_gate(value, "max_value", 0.8).verdict == "failed"


def test_a_row_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = next(value for value in metrics.get("lipschitz.local").values if value.kind == "bound")
    assert _unfit("max_value", bound, {}, True) is not None
    monkeypatch.setitem(RULES, "max_value", RULES["max_value"]._replace(kinds=("quality", "pair", "bound")))
    assert _unfit("max_value", bound, {}, True) is None
    value = ValueResult(kind="bound", variant=0.1, own_ci=(0.0, 0.2))
    assert judge_gate(value, "max_value", 0.3).verdict == "passed"
    assert rules_of("bound") == ["max_value"]


@pytest.mark.parametrize(("rule", "margin"), [("max_harm", 0.1), ("max_gap", 0.1), ("min_value", 0.0)])
def test_the_margin_beside_a_baseline_follows_what_a_rule_judges(rule: Rule, margin: float) -> None:
    assert margin_of(GateResult(rule=rule, tolerance=0.1, verdict="passed", because="")) == margin
