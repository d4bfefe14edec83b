"""Harms are marked together, over the whole suite, whichever cells a run holds."""

import shutil

import pytest

from bench.report.leaderboard.marks import mark_of as mark
from bench.results import Results
from bench.stats.multiplicity import holm
from bench.store.store import Store

CALIBRATION = '[[metric]]\nuse = "uncertainty.calibration"\n\n[[metric]]\nuse = "adversarial.pgd"'


def harms(results):
    return {
        (cell["variant"], cell["target"], cell["metric"], name): value
        for cell in results["cells"]
        for name, value in cell["values"].items()
        if value["kind"] in ("quality", "pair")
    }


def marks(results):
    read = Results.model_validate(results)
    return {
        (cell.variant, cell.target, cell.metric, name): mark(value)
        for cell in read.cells
        for name, value in cell.values.items()
    }


@pytest.fixture
def suite(measured):
    """Calibration too, of which the noisy network loses much: some marks are sure, others are not."""
    measured.write('[[metric]]\nuse = "adversarial.pgd"', CALIBRATION)
    return measured


def test_p_values_are_adjusted_over_the_whole_board(suite):
    assert suite.run("run", "tiny.toml", "--quiet") == 0
    found = harms(suite.results())
    known = {place: value for place, value in found.items() if value["p_value"] is not None}
    assert len(known) == 3 * 5  # accuracy, robust error, NLL, Brier score, CE2; ECE has no p-value
    wanted = holm([value["p_value"] for value in known.values()])
    assert [value["p_adjusted"] for value in known.values()] == pytest.approx(wanted)
    shown = marks(suite.results())
    assert shown["noise", "torch", "uncertainty.calibration", "nll"] == "worse"
    alone = [place for place, v in known.items() if v["p_value"] < 0.05 < v["p_adjusted"]]
    assert all(shown[place] == "" for place in alone)


def test_a_part_of_the_suite_marks_as_the_whole_does(suite):
    assert suite.run("run", "tiny.toml", "--quiet") == 0
    whole, figures = marks(suite.results()), harms(suite.results())
    assert suite.run("run", "tiny.toml", "--only", "noise/torch/*", "--quiet") == 0
    part = harms(suite.results())
    assert {place: value["p_adjusted"] for place, value in part.items()} == {
        place: figures[place]["p_adjusted"] for place in part
    }
    assert marks(suite.results()) == {place: whole[place] for place in marks(suite.results())}


def test_what_was_never_measured_takes_marks_away_and_gives_none(suite):
    shutil.rmtree(suite.folder / ".crbench" / "cells")
    assert suite.run("run", "tiny.toml", "--only", "noise/torch/uncertainty.calibration", "--quiet") == 0
    part = harms(suite.results())
    assert suite.run("run", "tiny.toml", "--quiet") == 0
    whole = harms(suite.results())
    for place, value in part.items():
        if value["p_value"] is not None:
            assert value["p_adjusted"] >= whole[place]["p_adjusted"]
            rest = sum(other["p_value"] is not None for other in whole.values()) - 3  # three of its own
            assert value["p_adjusted"] == pytest.approx(
                holm([v["p_value"] for v in part.values() if v["p_value"] is not None] + [1.0] * rest)[
                    [p for p, v in part.items() if v["p_value"] is not None].index(place)
                ]
            )


def test_a_cell_left_out_that_holds_something_else_counts_as_never_measured(suite, capsys):
    """Its checksum fits and its content is no cell: the run goes on, and says so."""
    assert suite.run("run", "tiny.toml", "--quiet") == 0
    store = Store(".crbench")
    left_out = next(record for record in store.records("cells") if record.content.get("variant") == "int8")
    store.put("cells", left_out.parts, {"status": "ok", "values": 3})
    assert suite.run("run", "tiny.toml", "--only", "noise/torch/*", "--quiet") == 0
    assert "it holds no cell" in capsys.readouterr().err
