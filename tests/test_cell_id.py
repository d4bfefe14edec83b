"""Which cell a result is of: equal for equal parameters, one text for files, one for readers."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import pytest

from bench.cell_id import CellId, canonical_parameters, metric_label
from bench.metrics.base import metrics
from bench.results import Cell
from bench.suite.plan import cell_label
from bench.suite.plan import metric_label as label_of_metric


def test_equal_parameters_in_any_order_are_one_cell() -> None:
    first = CellId.make("fold", "torch", "m", {"a": 1, "b": [1, 2]}, 0)
    again = CellId.make("fold", "torch", "m", {"b": (1, 2), "a": 1}, 0, defaults={"a": 1})
    assert first == again
    assert hash(first) == hash(again)
    assert {first: "x"}[again] == "x"


CHANGES: list[dict[str, Any]] = [
    {"variant": "x"}, {"target": "x"}, {"metric": "x"}, {"replicate": 1}, {"replicate": None}, {"parameters": {"a": 2}},
    {"parameters": {}},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_every_part_tells_cells_apart(change: dict[str, Any]) -> None:
    whole: dict[str, Any] = {"variant": "v", "target": "t", "metric": "m", "parameters": {"a": 1}, "replicate": 0}
    first, other = CellId.make(**whole), CellId.make(**{**whole, **change})
    assert first != other
    assert first.path != other.path


def test_no_name_is_mistaken_for_two() -> None:
    one, other = CellId.make("a/b", "c", "m", {}, 0), CellId.make("a", "b/c", "m", {}, 0)
    assert one.label == other.label
    assert one.path != other.path


def test_the_path_is_the_text_that_arrays_and_baselines_were_always_kept_under() -> None:
    assert CellId.make("fold", "torch", "cost", {"rounds": 3}, 0).path == '["fold","torch","cost",{"rounds":3},0]'
    assert CellId.make("fold", "torch", "cost", {}, None).path == '["fold","torch","cost",{},null]'


@pytest.mark.parametrize("replicate", [0, 1, None])
def test_the_label_is_the_planners(replicate: int | None) -> None:
    uses: dict[str, dict[str, Any]] = {"adversarial.pgd": {"epsilon": 0.1}, "cost": {}, "lipschitz.local": {}}
    for name, given in uses.items():
        metric = metrics.get(name)(**given)
        defaults = {f.name: f.default for f in fields(metric) if f.default is not MISSING and f.name != "samples"}
        cell = CellId.make("v", "t", name, metric.parameters(), replicate, defaults=defaults)
        assert cell.label == cell_label("v", "t", label_of_metric(metric), replicate)


def test_a_cell_of_results_and_its_id_hold_the_same() -> None:
    cell = Cell(variant="v", target="t", metric="m", params={"a": 1}, replicate=2, family="f", status="ok")
    assert CellId.of(cell) == CellId("v", "t", "m", '{"a":1}', 2)
    assert CellId.of(CellId.of(cell)) == CellId.of(cell)
    assert CellId.of(cell).params == cell.params


def test_what_json_cannot_hold_is_no_parameter() -> None:
    with pytest.raises(TypeError):
        canonical_parameters({"a": object()})


def test_a_parameter_without_a_default_is_always_shown() -> None:
    assert metric_label("m", {"a": None, "b": 1}, {}) == "m[a=None,b=1]"
    assert metric_label("m", {"a": None}, {"a": None}) == "m"


def test_a_tuple_is_labelled_as_the_metric_holds_it() -> None:
    cell = CellId.make("v", "t", "m", {"widths": (1, (2.5, "a"))})
    assert cell.label == "v/t/m[widths=(1, (2.5, 'a'))]"
    assert CellId.of(cell).label == cell.label
