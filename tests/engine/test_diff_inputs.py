"""Pairs whose networks take their input each in its own way, on the command line, in Python and in pytest."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench import api
from bench.cli import run_cli
from bench.data.digits import Digits
from bench.suite.given_pair import Inputs

WEIGHT = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
VARIANT = "layout=NHWC,dtype=uint8,scale=255"


def save(path, nodes, kind, shape, more=()):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(WEIGHT, "w"), *more],
    )
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reference on [0, 1] NCHW; a variant that takes whole pixels NHWC and gives probabilities."""
    folder = tmp_path_factory.mktemp("pair")
    digits = Digits().load(200, 16).evaluation
    np.savez(folder / "data.npz", x=np.round(digits.x * 255) / 255, y=digits.y)
    matrix = [helper.make_node("Flatten", ["a"], ["b"]), helper.make_node("MatMul", ["b", "w"], ["z"])]
    plain = [helper.make_node("Identity", ["x"], ["a"]), *matrix, helper.make_node("Identity", ["z"], ["y"])]
    save(folder / "reference.onnx", plain, TensorProto.FLOAT, ["n", 1, 8, 8])
    whole = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "many"], ["g"]),
        helper.make_node("Transpose", ["g"], ["a"], perm=[0, 3, 1, 2]),
        *matrix,
        helper.make_node("Softmax", ["z"], ["y"]),
    ]
    many = numpy_helper.from_array(np.float32(255), "many")
    save(folder / "variant.onnx", whole, TensorProto.UINT8, ["n", 8, 8, 1], [many])
    return folder


def test_each_network_takes_its_own(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    pair = ["reference.onnx", "variant.onnx", "--data", "data.npz", "--json"]
    assert run_cli(["diff", *pair, "--variant-input", VARIANT]) == 0
    cells = {cell["metric"]: cell for cell in json.loads(capsys.readouterr().out)["cells"]}
    assert cells["fidelity.predictions"]["values"]["flip_rate"]["estimate"] == 0
    assert cells["fidelity.predictions"]["values"]["js"]["estimate"] < 1e-10
    assert run_cli(["why-diverged", *pair, "--variant-input", VARIANT]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["deployed"]["js"]["estimate"] < 1e-10
    assert run_cli(["diff", *pair]) == 2
    assert "UINT8" in capsys.readouterr().err


def test_in_python(folder):
    files = (str(folder / "variant.onnx"), str(folder / "reference.onnx"), folder / "data.npz")
    inputs = Inputs(both={"scale": 1}, reference=VARIANT, variant={})
    results = api.diff(*files, metrics=["fidelity.predictions"], inputs=inputs)
    assert results.cells[0].values["js"].estimate < 1e-10
    again = api.diff(files[0], files[0], files[2], metrics=["fidelity.predictions"], inputs=Inputs(VARIANT))
    assert again.cells[0].values["js"].estimate == 0
    alike = api.diff(
        *files[:1], *files[:1], files[2], metrics=["fidelity.predictions"], inputs=Inputs(reference=VARIANT)
    )
    assert alike.cells[0].values["js"].estimate == 0  # the variant as the reference
    assert again.cells[0].details["variant"]["output"] == {"is": "probabilities", "softmax": "removed"}
