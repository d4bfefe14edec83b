from __future__ import annotations

import json
import math

import pytest

from bench.report.detail import LONGEST, detail, details, finite, flat, provenance, value_row
from bench.results import Cell, ValueResult


def cell(**more) -> Cell:
    return Cell(variant="a", target="torch", metric="m", family="f", status="ok", **more)


def test_every_value_of_every_cell_has_a_row(sample_run):
    shown = details(tuple(sample_run.cells))
    assert len(shown) == len(sample_run.cells)
    assert [len(one.values) for one in shown] == [len(one.values) for one in sample_run.cells]


def test_a_bound_tells_norm_and_domain(sample_run):
    rows = [row for one in details(tuple(sample_run.cells)) for row in one.values if row.kind == "bound"]
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
    told = dict(provenance(sample_run))
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
    assert ("cover some 94 %" in value_row("nll", harm, n).remarks) is said
    exact = harm.model_copy(update={"interval": "score"})
    assert "cover" not in value_row("accuracy", exact, n).remarks


def test_the_limit_beside_one_further_yardstick_is_told():
    change = ValueResult(kind="change", estimate=0.1, gap=1.4, gap_ci=(1.1, 1.8), gap_further=0.876)
    assert "gap ≥ 0.87 beside one further yardstick" in value_row("js", change).remarks
