"""``crbench export``: every number is that of results.json, in the form that the other tool reads."""

import csv
import json
import shutil

import pytest

from bench.cell_id import CellId
from bench.cli import run_cli
from bench.commands import export as command
from bench.exit_codes import ExitCode
from bench.gate import load_run
from bench.report.export import FORMATS, bencher, github_benchmark, tidy_csv


@pytest.fixture(scope="module")
def run(first_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "run"
    shutil.copytree(first_run / "reports" / "tiny", folder)
    return folder


@pytest.fixture(scope="module")
def results(run):
    return load_run(run).results


def figures(results):
    """Each variant's own figure and its interval, by network and value; of a change the change."""
    found = {}
    for cell in results.cells:
        for name, value in cell.values.items():
            change = value.kind == "change"
            number, ends = (value.estimate, value.ci) if change else (value.variant, value.own_ci)
            if number is not None:
                label = CellId.of(cell).label.split("/", 2)[2]
                found[f"{cell.variant}/{cell.target}", f"{label}.{name}"] = (number, ends, value, change)
    return found


def test_every_value_is_a_line(run, results, tmp_path, capsys):
    assert run_cli(["export", str(run), "--to", "csv", "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'values.csv'}\n"
    lines = list(csv.DictReader((tmp_path / "values.csv").open(newline="")))
    values = [(cell, name, value) for cell in results.cells for name, value in cell.values.items()]
    shown = [line for line in lines if line["value"]]
    assert len(shown) == len(values) > 20
    for line, (cell, name, value) in zip(shown, values, strict=True):
        assert (line["variant"], line["target"], line["metric"], line["value"]) == (
            cell.variant, cell.target, cell.metric, name,
        )  # fmt: skip
        for column, number in (("estimate", value.estimate), ("reference", value.reference), ("n", cell.n)):
            assert line[column] == ("" if number is None else repr(number))
    assert len(lines) - len(shown) == sum(not cell.values for cell in results.cells)


def test_the_two_files_of_github_hold_every_figure_with_a_direction(results):
    files = {name: json.loads(text, parse_constant=pytest.fail) for name, text in github_benchmark(results).items()}
    assert set(files) == {"customSmallerIsBetter.json", "customBiggerIsBetter.json"}
    wanted = {"customSmallerIsBetter.json": {}, "customBiggerIsBetter.json": {}}
    for (network, measure), (number, ends, value, change) in figures(results).items():
        better = "lower" if change else value.better
        if better != "none":
            name = "customSmallerIsBetter.json" if better == "lower" else "customBiggerIsBetter.json"
            wanted[name][f"{network} {measure}"] = (number, ends, value.unit)
    for name, entries in files.items():
        assert len(entries) == len({entry["name"] for entry in entries}) == len(wanted[name]) > 0
        for entry in entries:
            number, ends, unit = next(
                item for key, item in wanted[name].items() if key.split("[")[0] == entry["name"].split("[")[0]
                and key.rpartition(".")[2] == entry["name"].rpartition(".")[2] and item[0] == entry["value"]
            )  # fmt: skip
            assert entry["unit"] == unit
            if ends is None or None in ends:
                assert not {"range", "extra"} & entry.keys()
            else:
                widest = max(number - ends[0], ends[1] - number)
                assert float(entry["range"].removeprefix("± ")) == pytest.approx(widest, rel=0.01)


def test_bencher_has_the_ends_of_intervals(results):
    found = json.loads(bencher(results)["bencher.json"])
    assert set(found) == {f"{variant.name}/{variant.target}" for variant in results.variants}
    value = next(
        cell.values["accuracy"]
        for cell in results.cells
        if (cell.variant, cell.target, cell.metric) == ("noise", "edge", "fidelity.accuracy")
    )
    wanted = {"value": value.variant, "lower_value": value.own_ci[0], "upper_value": value.own_ci[1]}
    assert found["noise/edge"]["fidelity.accuracy.accuracy"] == wanted


def test_a_spreadsheet_computes_no_name(results):
    hostile = results.model_copy(deep=True)
    hostile.cells[0].variant = '=HYPERLINK("x")'
    first = next(csv.DictReader(tidy_csv(hostile)["values.csv"].splitlines()))
    assert first["variant"] == '\'=HYPERLINK("x")'


def test_files_lie_beside_the_run_unless_a_folder_is_named(run, capsys):
    assert run_cli(["export", str(run), "--to", "bencher"]) == 0
    assert (run / "bencher.json").exists()


def test_the_command_knows_every_format():
    assert set(command.FORMATS) == {*FORMATS, "mlflow"}  # which makes no file


def test_mistakes_are_one_line(tmp_path, capsys):
    assert run_cli(["export", str(tmp_path), "--to", "csv"]) == ExitCode.USAGE
    assert run_cli(["export", str(tmp_path), "--to", "spreadsheet"]) == ExitCode.USAGE
    assert "Traceback" not in capsys.readouterr().err
