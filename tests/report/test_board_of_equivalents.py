"""Deep-ensemble equivalents on a board of several runs: numbers, what is beyond the pool, what is not there."""

from __future__ import annotations

import csv
import io
import json

import pytest

from bench.report.board import board
from bench.report.board.files import board_csv, board_json
from bench.report.board.html import render_board_html
from bench.results import EquivalentFigures, EquivalentsResult

VALUES = ("networks", "per_megabyte", "per_megamac", "cpu_seconds", "epochs")
NAMES = tuple(f"equivalent.{value}" for value in VALUES)
UNKNOWN = {"macs": None, "cpu_seconds": None, "epochs": None}


def with_worth(run, **more):
    """A run whose first variant has an equivalent, and whose reference is better than the pool."""
    first = run.variants[0]
    own = {
        "target": first.target, "status": "ok", "calibrated_nll": 0.25, "equivalent": 3.5, "ci": (1.0, 24.0),
        "ci_censored": ("below", "above"), "file_bytes": 2e6, "macs": 7e6, "cpu_seconds": 12.5, "epochs": 30.0,
    } | more  # fmt: skip
    beyond = own | {"equivalent": 24.0, "censored": "above", "ci": (20.0, 24.0), "ci_censored": ("", "above")}
    rows = [
        EquivalentFigures(role="reference", name="reference", **(beyond | UNKNOWN)),
        EquivalentFigures(role="variant", name=first.name, **own),
    ]
    found = EquivalentsResult(name="pool", samples=5000, pool=24, networks=rows)
    return run.model_copy(update={"equivalents": [found]})


@pytest.fixture(scope="module")
def sample_run(sample_run):
    """On data and a machine that are recorded, so that two runs may stand in one table."""
    run = sample_run.model_copy(deep=True)
    run.suite.data.fingerprint, run.run.machine.fingerprint = "ab" * 32, "a machine"
    return run


@pytest.fixture(scope="module")
def joined(sample_run):
    return board([("here", with_worth(sample_run)), ("there", sample_run)], NAMES)


def entries_of(joined, name, run):
    (group,) = joined.groups
    place = [column.name for column in group.columns].index(name)
    pairs = zip(group.rows, group.entries, strict=True)
    return {
        (row.variant, row.target): line[place] for row, line in pairs if row.run.place == run
    }  # fmt: skip


def test_numbers_are_those_of_the_results(joined, sample_run):
    first = sample_run.variants[0]
    own = {name: entries_of(joined, name, "here")[first.name, first.target] for name in NAMES}
    assert [own[name].number for name in NAMES] == [3.5, 1.75, 0.5, 12.5, 30.0]
    assert (own[NAMES[1]].low, own[NAMES[1]].high) == (0.5, 12.0)
    assert (own[NAMES[0]].low_side, own[NAMES[0]].high_side, own[NAMES[0]].n) == ("<", ">", 5000)
    reference = {name: entries_of(joined, name, "here")[None, first.target] for name in NAMES}
    assert (reference[NAMES[0]].status, reference[NAMES[0]].side) == ("limit", ">")
    assert reference[NAMES[2]].status == "null"
    assert reference[NAMES[2]].reason == "what it costs is not known"
    assert [reference[name].status for name in NAMES[3:]] == ["null", "null"]


def test_what_is_not_there_is_not_measured(joined, sample_run):
    assert {entry.status for entry in entries_of(joined, NAMES[0], "there").values()} == {"absent"}
    second = sample_run.variants[1]
    assert entries_of(joined, NAMES[0], "here")[second.name, second.target].status == "absent"


@pytest.mark.parametrize("status", ["skipped", "error"])
def test_a_network_without_a_figure_says_why(sample_run, status):
    run = with_worth(sample_run, status=status, reason="no temperature fits", equivalent=None, ci=None)
    first = sample_run.variants[0]
    entry = entries_of(board([("here", run)], NAMES), NAMES[0], "here")[first.name, first.target]
    assert (entry.status, entry.reason) == (status, "no temperature fits")


def test_all_formats_tell_the_ends_beyond_the_pool(joined, sample_run):
    first = sample_run.variants[0]
    page = render_board_html([("here", with_worth(sample_run))], NAMES)
    for text in ("3.50", "[&lt; 1.0, &gt; 24]", "&gt; 24.0", "[20, &gt; 24]", "0.500 1/MMAC"):
        assert text in page
    assert "variant / reference" not in page  # they are not what a variant keeps
    (table,) = json.loads(board_json(joined))["groups"]
    column = next(column for column in table["columns"] if column["name"] == NAMES[0])
    row = table["rows"]["variant"].index(first.name)
    assert (column["number"][row], column["low_side"][row], column["high_side"][row]) == (3.5, "<", ">")
    line = next(line for line in csv.DictReader(io.StringIO(board_csv(joined))) if line["variant"] == first.name)
    assert (line[NAMES[0]], line[f"{NAMES[0]}.high_side"]) == ("3.5", ">")


def test_two_pools_have_columns_of_their_own(sample_run):
    run = with_worth(sample_run)
    other = run.equivalents[0].model_copy(update={"name": "other"})
    both = run.model_copy(update={"equivalents": [*run.equivalents, other]})
    (group,) = board([("here", both)], [NAMES[0]]).groups
    assert [column.name for column in group.columns] == [
        "equivalent[pool=pool].networks", "equivalent[pool=other].networks"
    ]  # fmt: skip
