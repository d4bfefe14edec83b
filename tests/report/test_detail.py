from __future__ import annotations

import json
import math

import pytest

from bench.report.detail import Meaning, Remark, cell_entries, provenance, value_entry
from bench.report.detail_text import LONGEST, cell_text, finite, flat, value_text
from bench.report.leaderboard import Mark
from bench.results import Cell, ValueResult


def cell(**more) -> Cell:
    return Cell(variant="a", target="torch", metric="m", family="f", status="ok", **more)


def detail(one):
    (entry,) = cell_entries((one,))
    return cell_text(entry)


def details(cells):
    return [cell_text(entry) for entry in cell_entries(cells)]


def remarks(name, value, n=0):
    return value_text(value_entry(name, value, n)).remarks


def test_numbers_and_enums_come_before_the_words(sample_run):
    entries = {(e.cell.label, v.name): v for e in cell_entries(tuple(sample_run.cells)) for v in e.values}
    for entry in entries.values():
        value = entry.value
        assert (entry.estimate, (entry.low, entry.high)) == (value.estimate, value.ci or (None, None))
        assert (entry.gap is not None) == (value.gap is not None)
        assert (Remark.REASON in entry.remarks) == bool(value.reason)
        assert (Remark.BOUND in entry.remarks) == (value.bound is not None)
        assert (entry.meaning is Meaning.HARM) == (value.kind in ("quality", "pair"))
    failed = [entry for entry in entries.values() if entry.mark is Mark.FAILED]
    assert failed
    assert all("failed" in {gate.verdict for gate in entry.gates} for entry in failed)


def test_a_value_within_arithmetic_is_called_so_with_its_numbers():
    change = ValueResult(kind="change", estimate=2e-9, ci=(1e-9, 3e-9), interval="bootstrap", numerical_floor=1e-8)
    entry = value_entry("js", change)
    assert (entry.same, entry.estimate) == (True, 2e-9)
    assert entry.remarks == (Remark.INTERVAL, Remark.FLOOR)
    assert value_text(entry).estimate.value == "same within arithmetic"
    assert value_text(entry).remarks == "bootstrap interval; measured 2.00e-9, the floor is 1.00e-8"


def test_metrics_are_told_apart_by_the_parameters_that_differ():
    twice = tuple(cell(params={"epsilon": epsilon, "steps": 20}) for epsilon in (0.1, 0.2))
    assert [entry.apart for entry in cell_entries(twice)] == [(("epsilon", 0.1),), (("epsilon", 0.2),)]
    assert [shown.metric for shown in details(twice)] == ["m (epsilon 0.1)", "m (epsilon 0.2)"]


def test_every_value_of_every_cell_has_a_row(sample_run):
    shown = details(tuple(sample_run.cells))
    assert len(shown) == len(sample_run.cells)
    assert [len(one.values) for one in shown] == [len(one.values) for one in sample_run.cells]


def test_a_bound_tells_norm_and_domain(sample_run):
    entries = [entry for one in cell_entries(tuple(sample_run.cells)) for entry in one.values]
    rows = [value_text(entry) for entry in entries if entry.value.kind == "bound"]
    assert {row.variant.value[0] for row in rows} == {"≥", "≤"}
    assert all("l2->l2" in row.remarks for row in rows)


def test_gates_are_told_with_their_rule(sample_run):
    told = [gate for one in details(tuple(sample_run.cells)) for row in one.values for gate in row.gates]
    assert ("failed", "max harm: +6.1 points [4.0, 8.4], tolerance 3") in told


def test_long_diagnostics_are_cut_and_say_so():
    shown = detail(cell(details={"curve": list(range(5000))}))
    assert len(shown.details) < LONGEST + 100
    assert "results.json" in shown.details


def test_what_json_cannot_hold_becomes_null():
    cleaned = finite({"a": (math.nan, {"b": math.inf}), 3: 1.5})
    assert json.dumps(cleaned, allow_nan=False) == '{"a": [null, {"b": null}], "3": 1.5}'


def test_nested_data_becomes_dotted_lines():
    assert flat({"a": {"b": [1, 2], "c": None}, "d": [[1], {"e": math.nan}]}) == [
        ("a.b", "1 2"),
        ("a.c", "–"),
        ("d", '[[1], {"e": null}]'),
    ]


def test_provenance_names_suite_reference_and_run(sample_run):
    told = dict(flat(provenance(sample_run)))
    assert told["git.dirty"] == "yes"
    assert told["suite.fingerprint"] == sample_run.suite.fingerprint
    assert told["yardsticks.count"] == "4"


def test_the_twin_of_each_network_has_one_line(sample_run):
    shown = [one for one in details(tuple(sample_run.cells)) if one.parity]
    assert len(shown) == sum(cell.parity is not None for cell in sample_run.cells) > 0
    for one in shown:
        assert one.parity == (
            (
                "twin of the reference",
                "largest logit difference 3.2e-7 of the logit spread, same class on 64 of 64 samples",
            ),
            (
                "twin of the variant",
                "largest logit difference 1.0 of the output's step, same class on 63 of 64 samples",
            ),
        )
    assert detail(cell()).parity == ()


@pytest.mark.parametrize(("n", "said"), [(200, True), (500, False)])
def test_few_samples_are_said_beside_resampled_harms(n, said):
    harm = ValueResult(kind="quality", estimate=0.1, ci=(0.0, 0.2), interval="bootstrap")
    assert ("cover some 94 %" in remarks("nll", harm, n)) is said
    exact = harm.model_copy(update={"interval": "score"})
    assert "cover" not in remarks("accuracy", exact, n)


def test_the_limit_beside_one_further_yardstick_is_told():
    change = ValueResult(kind="change", estimate=0.1, gap=1.4, gap_ci=(1.1, 1.8), gap_further=0.876)
    assert "gap ≥ 0.87 beside one further yardstick" in remarks("js", change)
