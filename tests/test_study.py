"""One Study behind command line, plugin and API: what it answers is what the commands show."""

from __future__ import annotations

import json
import shutil

import pytest

import bench
from bench.errors import UserError
from bench.gate.power import power_lines
from bench.study import Study
from bench.wording import significant
from tests.engine.test_run import numbers


def shown(results):
    return json.loads(results.model_dump_json(by_alias=True))


def without_clock(cell):
    """All of a cell but when and whether it was measured, and what other cells add."""
    kept = {name: part for name, part in cell.items() if name not in ("seconds", "cached")}
    kept["values"] = {
        name: {key: figure for key, figure in value.items() if key not in ("p_adjusted", "gates")}
        for name, value in cell["values"].items()
    }
    return kept


def test_a_run_is_the_command_lines_run(measured):
    study = Study("tiny.toml")
    results = study.run()
    assert numbers(shown(results)) == numbers(measured.results())
    assert all(cell.cached for cell in results.cells)
    assert numbers(shown(bench.run("tiny.toml"))) == numbers(measured.results())
    assert [cell.label for cell in study.plan.cells] == [cell.label for cell in results.cells]


def test_measuring_cell_by_cell_gives_the_cells_of_a_run(measured):
    for kind in ("cells", "families"):
        shutil.rmtree(measured.folder / ".crbench" / kind)
    expected = {cell["label"]: without_clock(cell) for cell in measured.results()["cells"]}
    study = Study("tiny.toml")
    cells = study.plan.cells
    assert {cell.label for cell in cells} == expected.keys()
    for cell in reversed(cells):
        assert study.known(cell) is None
        found = study.measure(cell).cell
        assert not found.cached
        assert without_clock(json.loads(found.model_dump_json())) == expected[cell.label]
        assert study.measure(cell).cell.cached
        assert study.known(cell).key == cell.key == found.key
    study.close()
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert measured.results()["run"]["reused"] == len(cells)


@pytest.mark.parametrize(("rerun", "status"), [("never", "error"), ("failed", "error"), ("always", "ok")])
def test_rerun_holds_for_single_cells_too(measured, rerun, status):
    for kind in ("cells", "families"):
        shutil.rmtree(measured.folder / ".crbench" / kind)
    study = Study("tiny.toml", rerun=rerun)
    found = study.measure(study.plan.cells[0]).cell
    assert (found.status, found.cached) == (status, False)
    assert found.reason == ("" if status == "ok" else f"not measured: --rerun {rerun}")


def test_forecast_and_power_are_the_lines_of_check(measured, capsys):
    measured.write("sigma = 0.3", "sigma = 0.2")
    assert measured.run("check", "tiny.toml") == 0
    lines = capsys.readouterr().out.splitlines()
    study = Study("tiny.toml")
    forecast = study.forecast()
    assert lines[-len(forecast) :] == forecast
    assert "cells: 9, stored 3, to measure 6" in forecast
    (power,) = study.power()
    assert (power.metric, power.value, power.gate.rule, power.n) == ("fidelity.accuracy", "accuracy", "max_harm", 150)
    words = power_lines(study.plan, study.dataset, study.store)
    assert set(words) <= set(lines)
    assert f"n = 150 finds a harm of {significant(power.finds)} or more, needs n = {power.needs} (" in words[1]
    assert not study.foresee().failures


def test_explaining_is_the_command_why(measured, capsys):
    measured.write("sigma = 0.3", "sigma = 0.2")
    for pattern in ("noise/torch/fidelity.predictions", "int8*", "noise"):
        assert measured.run("why", pattern, "--suite", "tiny.toml") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines == Study("tiny.toml").explain(pattern)
        assert ("reused" in lines[0]) == pattern.startswith("int8")
    with pytest.raises(UserError, match="no cell 'nothing'"):
        Study("tiny.toml").explain("nothing")


MORE = "the number of samples that an observation covers is not looked at"


@pytest.mark.xfail(reason=MORE)
def test_more_samples_are_announced_as_work(measured):
    """The attack is stored for 20 samples; 30 ask every network again, and nothing says 'statistics alone'."""
    measured.write("samples = 20", "samples = 30")
    study = Study("tiny.toml")
    every = {item.key: item for cell in study.plan.cells for item in cell.every()}
    missing = [item for item in every.values() if study.engine.observations.missing(item)]
    assert len(missing) == 2 * (1 + 1 + 4) + 2 + 1  # on both targets: reference, floor, yardsticks; noise, int8
    attacks = [cell.label for cell in study.plan.cells if cell.use.metric.name == "adversarial.pgd"]
    lines = [line for label in attacks for line in study.explain(label)]
    assert not [line for line in lines if "every observation is stored" in line]
    assert f"observations to make: {len(missing)}" in " ".join(study.forecast())


def test_planning_touches_no_store(tiny):
    study = Study("tiny.toml")
    assert len(study.plan.cells) == 9
    study.close()
    study.flush()
    assert study.notices() == []
    assert not (tiny.folder / ".crbench").exists()


def test_a_suite_at_hand_and_one_by_its_path_are_the_same(tiny):
    loaded = bench.load_suite("tiny.toml")
    both = Study(loaded), Study(str(tiny.folder / "tiny.toml"), tiny.folder / "elsewhere")
    first, second = ([cell.key for cell in study.plan.cells] for study in both)
    assert first == second
    assert both[1].store_url == str(tiny.folder / "elsewhere")
