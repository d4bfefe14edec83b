"""``crbench history``: every number is that of its run, runs stand by time, and other things stand apart."""

import copy
import json
import shutil

import jsonschema
import numpy as np
import pytest

from bench.cli import run_cli
from bench.exit_codes import ExitCode
from bench.results.schema import json_schema
from bench.store.checksums import sealed

RUNS, STEP = 14, 9  # of the accuracy of noise on torch, from the tenth run on
ACCURACY = ("noise", "torch", "fidelity.accuracy", "accuracy")


def commit(day):
    return f"{day:02d}{'0' * 38}"


def accuracy_of(results):
    return next(
        cell["values"]["accuracy"]
        for cell in results["cells"]
        if (cell["variant"], cell["target"], cell["metric"]) == ACCURACY[:3]
    )


def write(folder, results):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(sealed(results)))


@pytest.fixture(scope="module")
def runs(first_run, tmp_path_factory):
    """One real run again and again: later by a day, of other commits, with noise and one step in one value."""
    folder = tmp_path_factory.mktemp("history")
    shutil.copytree(first_run / "reports" / "tiny", folder / "real")
    results = json.loads((folder / "real" / "results.json").read_text()) | {"arrays_sha256": ""}
    random = np.random.default_rng(0)
    for day in range(RUNS):
        run = copy.deepcopy(results)
        run["run"] |= {
            "started": f"2026-03-{day + 1:02d}T08:00:00+00:00",
            "git": {"commit": commit(day), "dirty": day == 3},
        }
        accuracy_of(run)["variant"] = 0.9 - 0.1 * (day >= STEP) + 0.005 * random.normal()
        write(folder / f"{day:02d}", run)
    return folder


@pytest.fixture
def at(runs, monkeypatch):
    monkeypatch.chdir(runs)
    monkeypatch.setenv("COLUMNS", "300")
    return runs


def names(backwards=True):
    return [f"{day:02d}" for day in sorted(range(RUNS), reverse=backwards)]


def history_of(found, variant, target, metric, value):
    (line,) = found["lines"]
    return next(
        item
        for item in line["values"]
        if (item["variant"], item["target"], item["metric"], item["value"]) == (variant, target, metric, value)
    )


def read(path):
    found = json.loads(path.read_text(), parse_constant=pytest.fail)
    jsonschema.validate(found, json_schema("history"))
    return found


def test_numbers_are_those_of_the_runs_by_time_and_a_step_is_found(at, tmp_path, capsys):
    assert run_cli(["history", *names(), "-o", str(tmp_path)]) == 0
    found = read(tmp_path / "history.json")
    (line,) = found["lines"]
    assert [run["place"] for run in line["runs"]] == names(backwards=False)
    assert [run["commit"] for run in line["runs"]] == [commit(day) for day in range(RUNS)]
    files = [json.loads((at / name / "results.json").read_text()) for name in names(backwards=False)]
    item = history_of(found, *ACCURACY)
    assert item["number"] == [accuracy_of(run)["variant"] for run in files]
    assert list(zip(item["low"], item["high"], strict=True)) == [tuple(accuracy_of(run)["own_ci"]) for run in files]
    (change,) = item["changes"]
    assert change["run"] == STEP
    assert change["before"] == pytest.approx(np.mean(item["number"][:STEP]))
    assert change["after"] == pytest.approx(np.mean(item["number"][STEP:]))
    reference = history_of(found, None, *ACCURACY[1:])
    assert (reference["number"], reference["changes"]) == ([accuracy_of(run)["reference"] for run in files], [])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"With a change point (1) noise (torch) accuracy last {100 * item['number'][-1]:.0f} % [" in shown
    assert f"step at {commit(STEP)[:7]}: mean" in shown
    page = (tmp_path / "index.html").read_text()
    assert "1 of " in page
    assert page.count('class="trace"') == 1
    assert not {"<script", "http:", "https:"} & set(page.lower().split())


def test_seven_runs_are_too_few_and_it_says_so(at, tmp_path, capsys):
    assert (
        run_cli(["history", *names()[:7], "-o", str(tmp_path), "--value", "fidelity.accuracy.accuracy", "--json"]) == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found == read(tmp_path / "history.json")
    assert {item["value"] for line in found["lines"] for item in line["values"]} == {"accuracy"}
    assert history_of(found, *ACCURACY)["untested"] == "7 figures: changes are looked for from 8 on"
    assert "uncertainty" not in json.dumps(found["lines"])
    assert found["left_out"]


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run["suite"].update(fingerprint="f" * 64),
        lambda run: run["suite"].update(name="another"),
        lambda run: run["suite"]["data"].update(fingerprint="d" * 64),
        lambda run: run["run"]["machine"].update(fingerprint="another machine"),
    ],
)
def test_what_is_another_thing_stands_in_a_line_of_its_own(at, tmp_path, change):
    run = json.loads((at / "05" / "results.json").read_text())
    change(run)
    write(at / "other", run)
    assert run_cli(["history", *names(), "other", "-o", str(tmp_path / "out"), "--quiet"]) == 0
    lines = read(tmp_path / "out" / "history.json")["lines"]
    assert sorted(len(line["runs"]) for line in lines) == [1, RUNS]


def test_a_run_without_a_figure_interrupts_the_line(at, tmp_path):
    run = json.loads((at / "05" / "results.json").read_text())
    run["run"]["started"] = "2026-03-05T12:00:00+00:00"
    value = accuracy_of(run)
    value |= {"variant": None, "own_ci": None, "estimate": None, "ci": None, "interval": "none", "reason": "lost"}
    write(at / "gap", run)
    assert run_cli(["history", *names(), "gap", "-o", str(tmp_path), "--quiet"]) == 0
    item = history_of(read(tmp_path / "history.json"), *ACCURACY)
    assert (item["status"][5], item["number"][5]) == ("null", None)
    assert item["changes"][0]["run"] == STEP + 1
    page = (tmp_path / "index.html").read_text()
    assert page.index("no figure") < page.index("Where the numbers come from")


def test_levels_of_baselines_are_shown(at, tmp_path):
    baseline = tmp_path / "b.json"
    assert run_cli(["baseline", "accept", "real", "--out", str(baseline)]) == 0
    assert run_cli(["history", *names(), "-o", str(tmp_path), "--quiet", "--baseline", str(baseline)]) == 0
    item = history_of(read(tmp_path / "history.json"), *ACCURACY)
    real = json.loads((at / "real" / "results.json").read_text())
    assert item["accepted"] == [{"accepted": 1, "figure": accuracy_of(real)["variant"]}]
    assert 'class="one"' in (tmp_path / "index.html").read_text()


def test_mistakes_are_one_line(at, tmp_path, capsys):
    run = json.loads((at / "05" / "results.json").read_text())
    run["run"]["started"] = ""
    write(at / "timeless", run)
    for arguments, said in (
        (["timeless"], "records no time"),
        (["nowhere"], "nowhere"),
        (["00", "00"], "same run"),
        (["00", "--value", "fidelity.acuracy.accuracy"], "fidelity.accuracy.accuracy"),
        (["00", "--baseline", "nowhere.json"], "nowhere.json"),
    ):
        assert run_cli(["history", *arguments, "-o", str(tmp_path / "out")]) == ExitCode.USAGE
        error = capsys.readouterr().err
        assert said in error
        assert "Traceback" not in error
    assert not (tmp_path / "out").exists()
    assert run_cli(["history", "00", "-o", "01"]) == ExitCode.USAGE


def test_names_from_files_are_shown_as_text(at, tmp_path):
    run = json.loads((at / "05" / "results.json").read_text())
    text = json.dumps(run).replace('"noise"', json.dumps("<script>alert(1)</script>"))
    write(at / "hostile", json.loads(text))
    assert run_cli(["history", "hostile", "-o", str(tmp_path), "--quiet"]) == 0
    page = (tmp_path / "index.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
