"""``crbench diff``: one pair from files or factories."""

import json
import sys

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from bench.cli import run_cli
from bench.errors import UserError
from bench.results import Cell
from bench.suite.given_metric import parse_metric
from bench.suite.given_pair import parse_bounds

FACTORY = """
import torch

def linear():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))

def wide():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 4))
"""


def _onnx_file(weight):
    """Flatten and a matrix product, as some other tool would write them."""
    ports = [
        onnx.helper.make_tensor_value_info("x", 1, ["n", 1, 4, 4]),
        onnx.helper.make_tensor_value_info("z", 1, ["n", 3]),
    ]
    nodes = [onnx.helper.make_node("Flatten", ["x"], ["f"]), onnx.helper.make_node("MatMul", ["f", "w"], ["z"])]
    graph = onnx.helper.make_graph(
        nodes, "net", ports[:1], ports[1:], [onnx.numpy_helper.from_array(weight.T.copy(), "w")]
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """A factory, two checkpoints of it, an ONNX file and data in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "diff_nets.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("diff_nets", None)
    random = np.random.default_rng(0)
    x = random.random((40, 1, 4, 4), dtype=np.float32)
    weight = random.normal(size=(3, 16)).astype(np.float32)
    y = (x.reshape(40, 16) @ weight.T).argmax(1)
    np.savez(tmp_path / "x.npz", x=x, y=y)
    np.savez(tmp_path / "unlabelled.npz", x=x)
    for name, scale in (("a", 1.0), ("b", -1.0)):
        save_file(
            {"1.weight": torch.from_numpy(weight * scale), "1.bias": torch.zeros(3)}, tmp_path / f"{name}.safetensors"
        )
    onnx.save(_onnx_file(weight * 0.5), tmp_path / "net.onnx")
    return tmp_path


def cells(capsys, *arguments, code=0):
    assert run_cli(["diff", *arguments, "--json"]) == code
    shown = capsys.readouterr()
    assert shown.err == ""
    return {cell["metric"]: cell for cell in json.loads(shown.out)["cells"]}


def test_a_network_is_no_different_from_itself(pair, capsys):
    found = cells(capsys, "diff_nets:linear", "diff_nets:linear", "--data", "x.npz")
    assert set(found) == {
        "fidelity.predictions", "fidelity.accuracy", "uncertainty.calibration", "uncertainty.calibration_errors",
        "uncertainty.selective", "uncertainty.temperature", "cost",
    }  # fmt: skip
    for cell in found.values():
        Cell.model_validate(cell)
        assert cell["status"] == "ok"
        for name, value in cell["values"].items():
            if name == "flip_rate_when_sure":  # the reference is sure of none
                assert value["estimate"] is None
                assert value["reason"] == "no sample is sure"
            elif name in (
                "js_tempered",
                "calibrated_nll",
            ):  # on these labels a uniform guess is better than the network
                assert value["estimate"] is None
                assert value["reason"].startswith("no temperature fits: ")
            elif value["better"] == "none" and value["kind"] == "quality":
                assert value["reference"] == value["variant"], name
            elif value["kind"] in ("change", "quality"):
                assert value["estimate"] == 0, name
    flips = found["fidelity.predictions"]["values"]["flip_rate"]
    assert flips["ci"] == pytest.approx([0, 1 - 0.025 ** (1 / 40)])
    assert flips["gap"] is None
    assert "yardstick" in flips["reason"]


def test_checkpoints_of_one_factory_and_a_metric_with_parameters(pair, capsys):
    found = cells(
        capsys, "diff_nets:linear@a.safetensors", "diff_nets:linear@b.safetensors", "--data", "x.npz",
        "--metric", "adversarial.pgd[epsilon=0.01, steps=2]", "--metric", "fidelity.accuracy",
    )  # fmt: skip
    assert found["fidelity.accuracy"]["values"]["accuracy"]["reference"] == 1.0
    assert found["fidelity.accuracy"]["values"]["accuracy"]["estimate"] > 0.5
    assert found["adversarial.pgd"]["params"]["epsilon"] == 0.01
    assert found["adversarial.pgd"]["params"]["steps"] == 2


def test_onnx_against_torch_runs_both_on_onnx_runtime(pair, capsys):
    found = cells(capsys, "diff_nets:linear", "net.onnx", "--data", "unlabelled.npz")
    assert set(found) == {"fidelity.predictions", "uncertainty.calibration", "uncertainty.selective", "cost"}
    assert {cell["target"] for cell in found.values()} == {"onnxruntime"}
    assert found["fidelity.predictions"]["values"]["js"]["estimate"] > 0
    calibration = found["uncertainty.calibration"]["values"]
    assert calibration["confidence_change"]["estimate"] > 0
    assert calibration["nll"]["reason"] == "needs labels; the data has none"


def test_the_table_is_for_people_and_nothing_is_written(pair, capsys, monkeypatch):
    before = sorted(path.name for path in pair.iterdir())
    monkeypatch.setenv("COLUMNS", "120")
    assert run_cli(["diff", "diff_nets:linear", "net.onnx", "--data", "x.npz"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name in ("flip rate", "Jensen-Shannon divergence", "logit relative error", "accuracy", "NLL", "MACs"):
        assert f" {name} " in shown  # without yardsticks too
    assert shown.count("no gate was set") == 1
    assert [name for name in sorted(path.name for path in pair.iterdir()) if name != "__pycache__"] == before


PAIR = "diff_nets:linear net.onnx"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("nowhere.onnx net.onnx --data x.npz", "REFERENCE: no file nowhere.onnx"),
        ("diff_nets:linear diff_nets:liner --data x.npz", "did you mean 'linear'?"),
        ("diff_nets:linear no_module:f --data x.npz", "no module 'no_module'"),
        ("diff_nets:linear diff_nets:wide --data x.npz", "4 classes, the reference has 3"),
        ("diff_nets:linear diff_nets:linear@c.safetensors --data x.npz", "no file c.safetensors"),
        ("diff_nets:wide@a.safetensors net.onnx --data x.npz", "1.weight"),
        (f"{PAIR} --data none.npz", "no file 'none.npz'"),
        (f"{PAIR} --data small.npz", "shape"),
        (f"{PAIR} --data large.npz", "--bounds: x lies in [0, 255]"),
        (f"{PAIR} --data large.npz --bounds 1,0", "--bounds: 1 is not below 0"),
        (f"{PAIR} --data nan.npz", "NaN"),
        (f"{PAIR} --data badlabel.npz", "classes 0 to 2"),
        ("diff_nets:linear x.npz --data x.npz", "is not an .onnx file"),
        ("diff_nets:linear broken.onnx --data x.npz", "broken.onnx"),
        (f"{PAIR} --data x.npz --metric fidelity.prediction", "did you mean 'fidelity.predictions'?"),
        (f"{PAIR} --data x.npz --metric adversarial.pgd[eps=1]", "no parameter 'eps'"),
        (f"{PAIR} --data x.npz --metric adversarial.pgd[epsilon=-1]", "epsilon"),
        (f"{PAIR} --data x.npz --metric adversarial.pgd", "epsilon"),
        (f"{PAIR} --data x.npz --metric fidelity.accuracy[samples=99]", "99 asked"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(pair, capsys, arguments, expected):
    x = np.zeros((3, 1, 4, 4), dtype=np.float32)
    np.savez(pair / "small.npz", x=x[:, :, :3])
    np.savez(pair / "large.npz", x=np.r_[x, x + 255])
    np.savez(pair / "nan.npz", x=x * np.nan)
    np.savez(pair / "badlabel.npz", x=x, y=np.array([0, 1, 7]))
    (pair / "broken.onnx").write_bytes(b"not a protobuf")
    assert run_cli(["diff", *arguments.split()]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert expected in shown.err, shown.err
    assert len(shown.err.strip().splitlines()) == 1, shown.err
    assert "Traceback" not in shown.err


def test_metric_parameters_are_toml_literals():
    metric = parse_metric("adversarial.pgd[epsilon=0.1,samples=7]")
    assert (metric.epsilon, metric.samples) == (0.1, 7)
    with pytest.raises(UserError, match="cannot be read"):
        parse_metric("adversarial.pgd[epsilon")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("os:system", "'os:system' is no metric"),
        ("bench.suite.given_metric:parse_metric", "is no metric"),
        ("bench.metrics.base:Metric", "is no metric"),
        ("builtins:int", "is no metric"),
        ("fails_of_test_diff:Mine", "cannot be imported: RuntimeError: at once"),
        ("adversarial.pgd[epsilon=0.1,epsilon=0.2]", "given 'epsilon' twice"),
    ],
)
def test_what_is_no_metric_is_told_in_a_line(tmp_path, monkeypatch, text, said):
    (tmp_path / "fails_of_test_diff.py").write_text("raise RuntimeError('at\\nonce')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=said):
        parse_metric(text)


@pytest.mark.parametrize("text", ["0,inf", "-inf,1", "nan,1", "0,nan"])
def test_bounds_are_finite(text):
    with pytest.raises(UserError, match="not finite"):
        parse_bounds(text)
