"""A split that no step demands may be empty; one that is there is cut as ever, so that no key changes."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from bench import load_suite
from bench.cli import run_cli
from bench.engine.planning import plan_suite

SUITE = """
[data]
loader = "npz"
path = "x.npz"
evaluation = 60

[reference]
onnx = "float.onnx"

[[variant]]
name = "again"
onnx = "float.onnx"

[[metric]]
use = "fidelity.accuracy"
"""
QUANTISED = '[[variant]]\nname = "int8"\nsteps = [{ use = "ort-static-quant" }]\n\n[[metric]]'


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Sixty samples, all of them for evaluation; answers a function that writes the suite with pieces replaced."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    weight = random.normal(size=(16, 3)).astype(np.float32)
    x = random.random((60, 1, 4, 4), dtype=np.float32)
    np.savez("x.npz", x=x, y=np.arange(60) % 3)
    ports = [helper.make_tensor_value_info(*port) for port in (("x", 1, ["n", 1, 4, 4]), ("z", 1, ["n", 3]))]
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["z"])]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), "float.onnx")
    (tmp_path / "unused_nets.py").write_text("import torch\ndef make():\n    return MODULE\n".replace("MODULE", NET))

    def write(*changes):
        text = SUITE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "s.toml").write_text(text)
        return tmp_path / "s.toml"

    return write


NET = "torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))"
NOISY = ('onnx = "float.onnx"\n\n[[variant]]\nname = "again"\nonnx = "float.onnx"', (
    'factory = "unused_nets:make"\n\n[yardstick]\nweight_noise_sigma = 0.1\n\n'
    '[[variant]]\nname = "noise"\nsteps = [{ use = "weight-noise", sigma = 0.1 }]'
))  # fmt: skip


@pytest.mark.parametrize("changes", [(), (NOISY,), (("evaluation = 60", "evaluation = 60\ncalibration = 0"), NOISY)])
def test_what_no_step_demands_is_not_asked_for(suite, capsys, changes):
    suite(*changes)
    assert run_cli(["check", "s.toml"]) == 0
    assert run_cli(["run", "s.toml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]))
    assert found["suite"]["data"]["calibration"] == found["suite"]["data"]["train"] == 0
    assert {cell["status"] for cell in found["cells"]} == {"ok"}


def test_what_a_step_demands_is(suite, capsys):
    for changes, message in (
        ([("[[metric]]", QUANTISED)], "60 + 128 samples asked, 'npz' has 60"),
        (
            [("[[metric]]", QUANTISED), ("evaluation = 60", "evaluation = 60\ncalibration = 0")],
            "no calibration samples",
        ),
        ([("evaluation = 60", "evaluation = 60\ncalibration = 10")], "60 + 10 samples asked, 'npz' has 60"),
        ([("evaluation = 60", "evaluation = 61")], "61 + 0 samples asked, 'npz' has 60"),
    ):
        suite(*changes)
        assert run_cli(["run", "s.toml", "--quiet"]) == 2
        assert message in capsys.readouterr().err


def test_where_there_are_enough_samples_no_key_changes(tiny):
    start, end = (tiny.text.index(mark) for mark in ('[[variant]]\nname = "int8"', "[[metric]]"))
    text = tiny.text[:start] + tiny.text[end:]
    keys = []
    for calibration in ("", "calibration = 128"):
        (tiny.folder / "tiny.toml").write_text(text.replace("calibration = 64", calibration))
        planned_suite = plan_suite(load_suite("tiny.toml"))
        plan, dataset = planned_suite.plan, planned_suite.dataset
        keys.append([cell.key for cell in plan.cells])
        assert len(dataset.calibration) == 128
    assert keys[0] == keys[1]
