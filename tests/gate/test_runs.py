import json

import pytest

from bench.errors import UserError
from bench.gate import load_run, results_json
from bench.store.checksums import sealed, sha256
from bench.store.samples import write_samples


@pytest.fixture
def folder(make, outcomes, tmp_path):
    written(tmp_path, *make().add(outcomes(9)).run(labels=outcomes(9).astype(int), classes=("a", "b")))
    return tmp_path


def written(folder, results, samples):
    """Both files of a run, as ``crbench run`` writes them."""
    arrays = write_samples(samples, folder)
    named = results.model_copy(update={"arrays_sha256": sha256(arrays.read_bytes())})
    (folder / "results.json").write_text(results_json(named))


def edited(file, old, new):
    """Changed by hand, and with a checksum that fits."""
    text = file.read_text()
    assert old in text
    file.write_text(json.dumps(sealed(json.loads(text.replace(old, new)))))


def test_a_folder_or_its_results_are_read(folder):
    for path in (folder, folder / "results.json"):
        run = load_run(path, arrays=True)
        (cell,) = run.samples.cells.values()
        assert cell.values["figure"].variant["x"].sum() == 9
        assert run.samples.classes == ("a", "b")


def test_truncated_and_foreign_results_are_refused(folder):
    text = (folder / "results.json").read_text()
    for content, message in (
        (text[: len(text) // 2], "cut short"),
        ("{}", "holds no results"),
        ("[" * 100_000, "cut short"),
        (text.replace('"schema":2', '"schema":3'), "schema 3, this program reads 2; measure again: crbench run s.toml"),
        (json.dumps(json.loads(text) | {"cells": [{}]}), "cells.0.variant"),
    ):
        (folder / "results.json").write_text(content)
        with pytest.raises(UserError, match=message):
            load_run(folder)
    with pytest.raises(UserError, match="No such file"):
        load_run(folder / "nowhere")


@pytest.mark.parametrize(
    ("suite", "command"),
    [
        ({"path": "suites/my suite.toml"}, "crbench run 'suites/my suite.toml'"),
        ({"path": " "}, "crbench run SUITE"),
        ({}, "crbench run SUITE"),
        (None, "crbench run SUITE"),
    ],
)
def test_results_of_schema_1_are_refused_with_the_command_that_measures_again(folder, suite, command):
    (folder / "results.json").write_text(json.dumps({"schema": 1, "suite": suite, "cells": []}))
    with pytest.raises(UserError) as caught:
        load_run(folder)
    (problem,) = caught.value.problems
    assert problem.what == "results of schema 1, this program reads 2"
    assert problem.right == f"measure again: {command}"


def test_arrays_must_be_there_whole_and_of_this_run(folder):
    arrays = folder / "arrays.npz"
    content = arrays.read_bytes()
    arrays.unlink()
    assert load_run(folder).samples is None
    with pytest.raises(UserError, match="paired tests need it"):
        load_run(folder, arrays=True)
    arrays.write_bytes(content[:-100])
    with pytest.raises(UserError, match="damaged"):
        load_run(folder)
    arrays.write_bytes(content)
    edited(folder / "results.json", '"key":"first/', '"key":"other/')
    with pytest.raises(UserError, match=r"arrays of another run than results.json \(1 cells differ\)"):
        load_run(folder)


def test_results_that_name_no_arrays_take_none(folder):
    """Arrays that the results do not name are no arrays of theirs, whatever their keys say."""
    file = folder / "results.json"
    edited(file, json.loads(file.read_text())["arrays_sha256"], "")
    with pytest.raises(UserError, match="arrays of another run"):
        load_run(folder)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("lost", ["removed", "emptied"])
def test_results_without_a_checksum_are_refused(folder, lost, indent):
    """Else whoever changes a figure need only take out the checksum too."""
    file = folder / "results.json"
    content = json.loads(file.read_text())
    content["sha256"] = ""
    if lost == "removed":
        del content["sha256"]
    file.write_text(json.dumps(content, indent=indent))
    said = "it holds no checksum: it was changed, or not written by crbench run; measure again: crbench run s.toml"
    for arrays in (True, False):
        with pytest.raises(UserError, match=said):
            load_run(folder, arrays=arrays)


def test_results_are_read_with_the_very_arrays_that_were_written_with_them(make, outcomes, tmp_path):
    """Other arrays under the same keys, as another run's latencies, are another run's."""
    written(tmp_path, *make().add(outcomes(9)).run())
    _, others = make().add(outcomes(8)).run()
    assert load_run(tmp_path).samples is not None
    write_samples(others, tmp_path)
    with pytest.raises(UserError, match="arrays of another run"):
        load_run(tmp_path)


@pytest.mark.parametrize("indent", [None, 1])
def test_one_other_digit_in_results_is_seen(make, outcomes, tmp_path, indent):
    results, _ = make().add(outcomes(9)).run()
    text = results_json(results, indent)
    file = tmp_path / "results.json"
    file.write_text(text)
    assert load_run(tmp_path).results.cells == results.cells
    estimate = json.dumps(results.cells[0].values["figure"].variant)
    assert estimate in text
    file.write_text(text.replace(estimate, estimate[:-1] + str((int(estimate[-1]) + 1) % 10)))
    with pytest.raises(UserError, match="its checksum does not fit"):
        load_run(tmp_path)


MARKED = "results.json"


def test_a_mark_at_the_beginning_is_passed_over(measured):
    from bench.gate import load_run

    file = measured.folder / "reports" / "tiny" / MARKED
    plain = load_run(file).results
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert load_run(file).results == plain


OTHER_TYPES = {
    "schema": ('"schema": 2', '"schema": true', "holds no results"),
    "a truth value": ('"n": 150', '"n": true', "valid integer"),
    "a text": ('"n": 150', '"n": "150"', "valid integer"),
}


@pytest.mark.parametrize(("old", "new", "said"), OTHER_TYPES.values(), ids=OTHER_TYPES)
def test_a_value_of_another_type_is_no_number(measured, old, new, said):
    from bench.gate import load_run

    file = measured.folder / "reports" / "tiny" / MARKED
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=said):
        load_run(file)
