"""Outside files that can be read and cannot be used: errors of their own cells, the others are measured."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

WIDTH = 64  # pixels of a digit


def network(shape=("n", 1, 8, 8), classes=10, operator="Flatten", domain="", width=WIDTH, kind=TensorProto.FLOAT):
    weight = np.random.default_rng(0).normal(size=(width, classes)).astype(np.float32) / 8
    graph = helper.make_graph(
        [
            helper.make_node(operator, ["x"], ["flat"], domain=domain),
            helper.make_node("MatMul", ["flat", "w"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(weight, "w")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    return helper.make_model(graph, ir_version=10, opset_imports=opsets)


UNUSABLE = {
    "custom": (network(operator="Whiten", domain="acme"), "needs the custom operators 'acme.Whiten'"),
    "classes": (network(classes=7), "puts out 7 classes, the data has 10"),
    "shape": (network(shape=("n", 1, 9, 9)), "the input has shape (?, 1, 9, 9)"),
    "dynamic": (network(shape=("n", "c", "h", "w"), width=32), "ONNX Runtime cannot run it on inputs (2, 1, 8, 8)"),
    "unloadable": (network(operator="Celu7"), "Celu7"),
}


ON_FILES = """
name = "tiny"

[data]
loader = "digits"
evaluation = 150
calibration = 64

[reference]
onnx = "net.onnx"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[variant]]
name = "same"
onnx = "net.onnx"

[[metric]]
use = "fidelity.accuracy"
"""


def variant(name, steps=""):
    return f'\n[[variant]]\nname = "{name}"\nonnx = "{name}.onnx"\n{steps}'


def test_unusable_files_are_errors_of_their_own_cells_and_the_others_go_on(measured, capsys):
    for name, (model, _) in UNUSABLE.items():
        (measured.folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    (measured.folder / "good.onnx").write_bytes(network().SerializeToString())
    listed = "".join(variant(name) for name in [*UNUSABLE, "good"])
    measured.write(text=measured.text + listed)
    assert measured.run("run", "tiny.toml", "--quiet", "--only", "*/fidelity.*") == 3
    cells = measured.results()["cells"]
    for name, (_, said) in UNUSABLE.items():
        own = [cell for cell in cells if cell["variant"] == name]
        assert own, name
        for cell in own:
            assert cell["status"] == "error", name
            assert said in cell["reason"], cell["reason"]
            assert "\n" not in cell["reason"]
    others = [cell for cell in cells if cell["variant"] in ("good", "noise", "int8")]
    assert {cell["status"] for cell in others} == {"ok"}
    assert {cell["variant"] for cell in others} == {"good", "noise", "int8"}
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["custom", "classes", "shape"])
def test_a_reference_that_cannot_be_used_stops_the_run(tiny, capsys, name):
    model, said = UNUSABLE[name]
    (tiny.folder / "net.onnx").write_bytes(model.SerializeToString())
    tiny.write(text=ON_FILES)
    assert tiny.run("run", "tiny.toml", "--quiet") == 2
    captured = capsys.readouterr()
    assert said in captured.err + captured.out
    assert not (tiny.folder / "reports").exists()
