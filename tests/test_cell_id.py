"""Which cell a result is of: equal for equal parameters, one text for files, one for readers."""

from __future__ import annotations

from typing import Any

import pytest

from bench.cell_id import CellId, canonical_parameters, metric_label
from bench.metrics.base import metrics
from bench.results import Cell


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
def test_the_label_shows_what_is_not_at_its_default(replicate: int | None) -> None:
    uses = {
        "adversarial.pgd": ({"epsilon": 0.1}, "adversarial.pgd[epsilon=0.1]"),
        "cost": ({"rounds": 3}, "cost[rounds=3]"),
        "lipschitz.local": ({}, "lipschitz.local"),
    }
    for name, (given, label) in uses.items():
        metric = metrics.get(name)(**given)
        cell = CellId.make("v", "t", name, metric.parameters(), replicate, defaults=metric.defaults())
        assert (cell.use, metric.label) == (label, label)
        assert cell.label == f"v/t/{label}{'#1' if replicate else ''}"


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
