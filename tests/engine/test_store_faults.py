"""Stores that were damaged, forged, may only be read, or lie where no UTF-8 leads: a run never suffers in silence."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import run_cli
from bench.engine.networks import describes
from bench.engine.planning import plan_suite
from bench.store.checksums import sealed
from bench.store.files import Files
from bench.store.store import Store
from bench.suite.load import load_suite
from bench.suite.planned_networks import chain
from tests.engine.test_run import fresh, numbers


def records(folder, kind):
    return sorted((folder / ".crbench" / kind).rglob("*.json"))


def forge(file, change):
    """A record whose checksum fits what somebody else wrote into it."""
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(sealed(data)))


def without_cells(folder):
    for kind in ("cells", "families", "observations"):
        shutil.rmtree(folder / ".crbench" / kind)


EVIL = """
from pathlib import Path

Path("ran").write_text("code of the record's choice")

def build():
    raise AssertionError
"""


@pytest.mark.parametrize("how", ["factory", "step", "of a step", "parameters", "version", "kind", "nothing", "list"])
def test_a_stored_record_is_never_run_on_its_own_word(measured, capsys, how):
    (measured.folder / "evil.py").write_text(EVIL)
    expected = numbers(measured.results())

    def change(data):
        record = data["content"]["record"]
        deepest = record
        while "of" in deepest:
            deepest = deepest["of"]
        if how == "factory":
            data["content"]["record"] = {"source": "factory", "factory": "evil:build", "kind": "torch"}
            data["content"]["record"]["input"] = deepest["input"]
        elif how == "of a step":
            deepest.clear()
            deepest |= {"source": "factory", "factory": "evil:build", "kind": "torch"}
        elif how == "step":
            data["content"]["record"] = {"step": "evil:build", "version": 1, "parameters": {}, "record": {}}
            data["content"]["record"] |= {"kind": "torch", "of": record}
        elif how == "parameters" and "parameters" in record:
            record["parameters"] = {"hidden": [25]} if "source" in record else {"sigma": 0.4}
        elif how == "version":
            record["version"] = 99
        elif how == "kind":
            record["kind"] = "onnx"
        else:
            data["content"] = {} if how == "nothing" else {"record": [1, 2]}

    for file in records(measured.folder, "networks"):
        forge(file, change)
    without_cells(measured.folder)
    capsys.readouterr()
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert not (measured.folder / "ran").exists()
    assert "evil" not in sys.modules
    assert numbers(measured.results()) == expected
    assert "counted as absent" in capsys.readouterr().err


def test_a_forged_history_does_not_reach_the_results_of_stored_cells(measured, capsys):
    expected = numbers(measured.results())
    for file in records(measured.folder, "networks"):
        forge(file, lambda data: data["content"]["record"].update(version=99, note="trust me"))
    for rerun in ("never", "missing", "missing"):
        capsys.readouterr()
        assert measured.run("run", "tiny.toml", "--quiet", "--rerun", rerun) == 0
        assert "trust me" not in json.dumps(measured.results())
        if rerun == "never":
            assert measured.results()["variants"][0]["artefact"]["record"] is None
            assert "it describes another network" in capsys.readouterr().err
    assert numbers(measured.results()) == expected
    assert capsys.readouterr().err == ""


def test_every_stored_network_is_described_by_its_own_node_and_by_no_other(measured):
    plan = plan_suite(load_suite(Path("tiny.toml"))).plan
    ends = {node for cell in plan.cells for node in (cell.network, cell.original)}
    nodes = {node.key: node for end in ends for node in chain(end)}
    store = Store(".crbench")
    kept = {key: store.get("networks", key).content["record"] for key in nodes}
    assert len(nodes) == 6  # the reference, noise, int8, and what they are exported to
    for key, node in nodes.items():
        fitting = [record for record in kept.values() if describes(record, node)]
        assert kept[key] in fitting
        assert all(record == kept[key] for record in fitting)  # an export and the same one of another seed are alike


@pytest.mark.parametrize("kind", ["cells", "observations", "families"])
@pytest.mark.parametrize("content", [{}, {"status": "ok"}, {"stages": 3, "values": 7, "place": [9, "x"], "alarm": 1}])
def test_records_that_hold_something_else_are_measured_again(measured, capsys, kind, content):
    expected = numbers(measured.results())
    for file in records(measured.folder, kind):
        forge(file, lambda data: data.update(content=content))
    if kind == "observations":
        shutil.rmtree(measured.folder / ".crbench" / "cells")
    capsys.readouterr()
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert numbers(measured.results()) == expected
    (line,) = capsys.readouterr().err.splitlines()
    assert "counted as absent" in line


@pytest.mark.parametrize("lost", ["nothing", "cells", "everything"])
def test_a_store_that_may_only_be_read_is_reported_gated_and_derived_from(measured, monkeypatch, capsys, lost):
    expected = numbers(measured.results())
    if lost == "cells":
        shutil.rmtree(measured.folder / ".crbench" / "cells")
    elif lost == "everything":
        without_cells(measured.folder)
    before = {path: path.read_bytes() for path in (measured.folder / ".crbench").rglob("*") if path.is_file()}

    def refuse(self, name, content):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Files, "_commit", refuse)
    capsys.readouterr()
    assert measured.run("run", "tiny.toml", "--quiet", "--gate") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "could not be written (Read-only file system)" in line
    assert "not kept" in line or "none of it is kept" in line
    assert numbers(measured.results()) == expected
    assert bool(fresh(measured.results())) == (lost != "nothing")
    for command in (("gate", "reports/tiny"), ("check", "tiny.toml"), ("why", "noise", "--suite", "tiny.toml")):
        assert measured.run(*command) == 0
    assert measured.run("gc", "--dry-run") == 0
    after = {path: path.read_bytes() for path in (measured.folder / ".crbench").rglob("*") if path.is_file()}
    assert after == before


def test_nothing_is_measured_where_no_store_can_be_made(tiny, monkeypatch, capsys):
    def refuse(self, name, content):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Files, "_commit", refuse)
    assert tiny.run("run", "tiny.toml", "--quiet") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("crbench: the store '.crbench': cannot be written: Permission denied;")


@pytest.mark.parametrize("hours", ["nan", "-1", "inf", "soon"])
def test_gc_takes_hours_and_nothing_else(measured, capsys, hours):
    assert measured.run("gc", "--older-than", hours) == 2
    assert "is no number of hours" in capsys.readouterr().err
    assert records(measured.folder, "cells")


def test_why_and_check_say_what_is_damaged(measured, capsys):
    file = records(measured.folder, "cells")[0]
    file.write_text("{")
    capsys.readouterr()
    for command in (("why", "*", "--suite", "tiny.toml"), ("check", "tiny.toml")):
        assert measured.run(*command) == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert f"cells/{file.parent.name}/{file.name}: its checksum does not fit" in line


def test_why_and_check_foresee_what_lost_arrays_cost(measured, capsys):
    gated = "noise/torch/fidelity.accuracy"
    plan = plan_suite(load_suite(Path("tiny.toml"))).plan
    (cell,) = [cell for cell in plan.cells if cell.label == gated]
    lost = cell.observed[0][0].key
    (measured.folder / ".crbench" / "observations" / lost[:2] / f"{lost}.log_probabilities.npy").unlink()
    capsys.readouterr()
    assert measured.run("why", gated, "--suite", "tiny.toml") == 0
    shown = capsys.readouterr()
    assert f"{gated}: measured again, arrays that its gates need are lost" in shown.out
    assert f"{lost}.log_probabilities.npy: lost" in shown.err
    assert measured.run("check", "tiny.toml") == 0
    shown = capsys.readouterr().out
    assert "cells: 9, stored 8, to measure 1" in shown
    assert "networks to make: 0 (0 trained), observations to make: 1" in shown
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert fresh(measured.results()) == {gated}
    assert measured.run("check", "tiny.toml") == 0
    assert "cells: 9, stored 9, to measure 0" in capsys.readouterr().out


def command(folder, *arguments):
    """Run the command line in a process of its own; arguments may be bytes."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=folder, capture_output=True, check=False,
        env=os.environ | {"PYTHONPATH": str(Path.cwd()), "PYTHONIOENCODING": "", "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    return done


def within(*arguments):
    """The command line in this process, its arguments as Python decodes them."""
    return run_cli([os.fsdecode(argument) for argument in arguments])


def test_paths_and_arguments_that_are_no_utf_8_never_cost_a_run(measured, monkeypatch, capfd):
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root))
    odd = b"caf\xe9"
    suite, store, out, base = odd + b".toml", odd + b"-store", odd + b"-out", odd + b".json"
    folder = os.fsencode(measured.folder)
    os.rename(os.path.join(folder, b"tiny.toml"), os.path.join(folder, suite))  # noqa: PTH104, PTH118
    os.rename(os.path.join(folder, b".crbench"), os.path.join(folder, store))  # noqa: PTH104, PTH118
    monkeypatch.chdir(root)
    first = command(folder, "run", suite, "--store", store, "--out", out)
    assert first.returncode == 0, first.stderr
    assert rb"caf\udce9-out/results.json" in first.stdout
    found = json.loads(command(folder, "run", suite, "--store", store, "--json", "--quiet").stdout)
    assert found["suite"]["path"] == r"caf\udce9.toml"
    assert found["run"]["argv"][2] == r"caf\udce9.toml"
    assert all(cell["cached"] for cell in found["cells"])
    monkeypatch.chdir(measured.folder)
    for arguments in (
        ("baseline", "accept", out, "-o", base),
        ("gate", out, "--baseline", base, "--json", "--junit", odd + b".xml", "--markdown", odd + b".md"),
        ("compare", out, out, "--json", "--junit", odd + b".xml", "--markdown", odd + b".md"),
        ("check", suite, "--store", store),
        ("why", "noise", "--suite", suite, "--store", store),
        ("gc", "--store", store),
    ):
        assert within(*arguments) == 0, (arguments, capfd.readouterr().err)
    for arguments in (("run", suite, "--only", odd, "-q"), ("why", odd, "--suite", suite), ("run", odd, "-q")):
        capfd.readouterr()
        assert within(*arguments) == 2
        said = capfd.readouterr().err
        assert len(said.splitlines()) == 1, said


def test_a_pair_of_files_whose_names_are_no_utf_8(tmp_path, monkeypatch, capfd):
    from tests.pytest_plugin.conftest import write_files

    write_files(tmp_path)
    monkeypatch.chdir(Path(__file__).parents[2])
    folder = os.fsencode(tmp_path)
    for old, new in ((b"close.onnx", b"cl\xf6se.onnx"), (b"x.npz", b"\xff.npz")):
        os.rename(os.path.join(folder, old), os.path.join(folder, new))  # noqa: PTH104, PTH118
    data = ("--data", b"\xff.npz")
    pair = ("diff", "reference.onnx", b"cl\xf6se.onnx", *data, "--metric", "fidelity.accuracy")
    done = command(folder, *pair)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    assert within(*pair, "--json") == 0
    assert json.loads(capfd.readouterr().out)["cells"][0]["variant"] == r"cl\udcf6se.onnx"
    assert within("why-diverged", "reference.onnx", b"cl\xf6se.onnx", *data, "--json") == 0
    capfd.readouterr()
    assert within("diff", "reference.onnx", b"n\xf6ne.onnx", *data, "-q") == 2
    assert len(capfd.readouterr().err.splitlines()) == 1
