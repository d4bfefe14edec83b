"""Stored arrays that turn out to be damaged while values are derived of them: asked again, and the same numbers."""

import json
import shutil
import warnings

import numpy as np
import onnx
import pytest

import bench
from bench.engine import observations
from bench.store import spill, stored
from tests.engine.test_run import numbers


def flip(path, place=-1):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def arrays(folder, name="*"):
    return sorted((folder / ".crbench" / "observations").rglob(f"*.{name}.npy"))


def without(folder, *kinds):
    for kind in kinds:
        shutil.rmtree(folder / ".crbench" / kind)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("name", "read"), [("log_probabilities", "all"), ("robust_correct", "all"), ("clean_correct", 5)]
)
def test_any_observation_may_be_damaged_in_the_middle_of_a_derivation(
    measured, monkeypatch, capsys, name, read, mapped
):
    expected = numbers(measured.results())
    without(measured.folder, "cells", "families", "networks")
    if mapped:
        monkeypatch.setattr(stored, "SMALL", 0)
    damaged = arrays(measured.folder, name)
    assert len(damaged) > 5
    for path in damaged:
        flip(path)
    capsys.readouterr()
    assert measured.run("run", "tiny.toml", "--quiet", "--gate") == 0
    assert numbers(measured.results()) == expected
    (line,) = capsys.readouterr().err.splitlines()
    found = len(damaged) if read == "all" else read  # details are of the reference and the variants alone
    assert f"{found} files were damaged and counted as absent, what needs them is measured again" in line
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_a_stored_cell_is_measured_again_where_its_gate_needs_an_array_of_which_one_byte_is_another(measured, capsys):
    expected = numbers(measured.results())
    before = (measured.folder / "reports" / "tiny" / "arrays.npz").read_bytes()
    for path in arrays(measured.folder, "log_probabilities"):
        flip(path)
    for rerun, count in (("never", 3), ("missing", 15)):  # what is to be judged; then what cells are derived from
        capsys.readouterr()
        assert measured.run("run", "tiny.toml", "--quiet", "--gate", "--rerun", rerun) == 0
        assert f"{count} files were damaged and counted as absent" in capsys.readouterr().err
        kept = (measured.folder / "reports" / "tiny" / "arrays.npz").read_bytes()
        assert (kept == before) == (rerun == "missing")  # nothing is judged on what cannot be read
    assert measured.run("run", "tiny.toml", "--quiet", "--gate") == 0
    assert numbers(measured.results()) == expected
    assert (measured.folder / "reports" / "tiny" / "arrays.npz").read_bytes() == before
    assert capsys.readouterr().err == ""


def test_damage_that_is_found_while_stages_are_derived_is_asked_again_too(tiny, capsys):
    noise = 'steps = [{ use = "weight-noise", sigma = 0.3 }]'
    tiny.write(noise, f"{noise}\nstages = true")
    only = ("run", "tiny.toml", "--quiet", "--only", "noise/torch/fidelity.predictions")
    assert tiny.run(*only) == 0

    def stages():
        found = [variant["stages"] for variant in tiny.results()["variants"]]
        for metric in (metric for stage in found for item in stage for metric in item["metrics"]):
            assert metric["status"] == "ok"
            del metric["cached"]
        return json.dumps(found)

    expected = stages()
    waterfalls = [
        path for path in (tiny.folder / ".crbench" / "cells").rglob("*.json")
        if "stages" in json.loads(path.read_text())["content"]
    ]  # fmt: skip
    assert len(waterfalls) == 1
    waterfalls[0].unlink()
    for path in arrays(tiny.folder, "log_probabilities"):
        flip(path)
    capsys.readouterr()
    assert tiny.run(*only) == 0
    assert stages() == expected
    assert "counted as absent" in capsys.readouterr().err


def test_a_store_that_keeps_other_bytes_than_were_written_ends_in_an_error_of_the_cell(tiny, monkeypatch):
    monkeypatch.setattr(observations, "SMALL", 0)  # every answer is read again from the store
    commit = observations.Store.__init__

    def broken(self, *arguments, **named):
        commit(self, *arguments, **named)
        write = self.files.write

        def other(name, content):
            whole = content if isinstance(content, bytes) else b"".join(content)
            write(name, whole[:-1] + bytes([whole[-1] ^ 1]) if name.endswith("log_probabilities.npy") else whole)

        self.files.write = other

    monkeypatch.setattr(observations.Store, "__init__", broken)
    assert tiny.run("run", "tiny.toml", "--quiet", "--only", "noise/torch/fidelity.accuracy") == 3
    (cell,) = tiny.results()["cells"]
    assert cell["status"] == "error"
    assert "the store does not keep what is written into it" in cell["reason"]
    assert "its checksum does not fit" in cell["reason"]


def onnx_file(path, weight):
    ports = [
        onnx.helper.make_tensor_value_info("x", 1, ["n", 1, 4, 4]),
        onnx.helper.make_tensor_value_info("z", 1, ["n", 3]),
    ]
    nodes = [onnx.helper.make_node("Flatten", ["x"], ["f"]), onnx.helper.make_node("MatMul", ["f", "w"], ["z"])]
    held = onnx.numpy_helper.from_array(weight.astype(np.float32), "w")
    graph = onnx.helper.make_graph(nodes, "net", ports[:1], ports[1:], [held])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, path)


def test_the_reference_s_answer_that_another_probe_needs_is_asked_again_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    weight = random.normal(size=(16, 3))
    onnx_file("a.onnx", weight)
    onnx_file("b.onnx", weight + 0.1 * random.normal(size=(16, 3)))
    x = random.random((60, 1, 4, 4)).astype(np.float32)

    def found():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = bench.diff("a.onnx", "b.onnx", x, metrics=["attribution.ig[steps=2]"], store=".crbench")
        (cell,) = result.cells
        assert cell.status == "ok", cell.reason
        return {name: value.model_dump() for name, value in cell.values.items()}, cell.cached

    expected, _ = found()
    without(tmp_path, "cells")
    for path in arrays(tmp_path, "attribution"):
        path.with_name(f"{path.name.partition('.')[0]}.json").unlink()
    (needed,) = arrays(tmp_path, "log_probabilities")
    flip(needed)
    capsys.readouterr()
    assert found() == (expected, False)
    assert f"{needed.name}: its checksum does not fit" in capsys.readouterr().err
    assert found() == (expected, True)
    assert capsys.readouterr().err == ""


def test_large_answers_are_kept_mapped_and_not_as_copies(measured, monkeypatch):
    kept = []
    ask = observations.Observations._ask
    monkeypatch.setattr(observations, "SMALL", 0)
    monkeypatch.setattr(stored, "SMALL", 0)

    def keep(self, item, **options):
        kept.append(ask(self, item, **options))
        return kept[-1]

    monkeypatch.setattr(observations.Observations, "_ask", keep)
    expected = numbers(measured.results())
    without(measured.folder, "cells", "families", "observations")
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert numbers(measured.results()) == expected
    shown = [item.arrays[name] for item in kept for name in item.arrays]
    assert len(shown) > 20
    assert all(spill.is_mapped(array) and not array.flags.writeable for array in shown)
