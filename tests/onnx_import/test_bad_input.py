"""Files that are broken or mean: an error that names what is wrong, and nothing worse."""

from __future__ import annotations

import resource

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.onnx_import import import_onnx

node = helper.make_node
FLOAT = TensorProto.FLOAT
X = torch.ones(2, 3, 8, 8)


def model(nodes, held=None, stored=(), functions=(), opset=17):
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (held or {}).items()]
    inputs = [helper.make_tensor_value_info("x", FLOAT, None)]
    outputs = [helper.make_tensor_value_info("y", FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [*tensors, *stored])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))


def refused(given, match):
    with pytest.raises(UserError, match=match):
        import_onnx(given)


def everything():
    """A small file with a bit of all that the import reads: tensors, attributes of each kind, a graph in a node."""
    rng = np.random.default_rng(0)
    then = helper.make_graph([node("Neg", ["d"], ["t"])], "then", [], [helper.make_tensor_value_info("t", FLOAT, None)])
    other = helper.make_graph(
        [node("Abs", ["d"], ["o"])], "else", [], [helper.make_tensor_value_info("o", FLOAT, None)]
    )
    nodes = [
        node("DequantizeLinear", ["wq", "ws", "wz"], ["w"]),
        node("Conv", ["x", "w", "four"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "four", "four", "four", "four"], ["n"], name="bn"),
        node("MaxPool", ["n"], ["p"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        node("Resize", ["p", "", "scales"], ["u"], mode="linear"),
        node("Pad", ["u", "pads"], ["d"]),
        node("Size", ["d"], ["size"]),
        node("Greater", ["size", "limit"], ["many"]),
        node("If", ["many"], ["i"], then_branch=then, else_branch=other),
        node("Shape", ["i"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["zeros"], value=helper.make_tensor("v", FLOAT, [1], [0.5])),
        node("Add", ["i", "zeros"], ["e"]),
        node("Tile", ["e", "repeats"], ["r"]),
        node("AveragePool", ["r"], ["a"], kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
        node("GlobalAveragePool", ["a"], ["g"]),
        node("Flatten", ["g"], ["y"]),
    ]
    held = {"wq": rng.integers(0, 255, (4, 3, 3, 3)).astype(np.uint8), "ws": np.float32(0.1), "wz": np.uint8(128)}
    held |= {"four": np.ones(4, np.float32), "scales": np.float32([1, 1, 2, 2]), "limit": np.int64(7)}
    held |= {"pads": np.int64([0, 0, 1, 1, 0, 0, 1, 1]), "repeats": np.int64([1, 1, 1, 2])}
    return model(nodes, held).SerializeToString()


def attempt(blob):
    """Import and run; True if both were possible."""
    try:
        module = import_onnx(blob)
        module.values(dict.fromkeys(module.graph.inputs, X), module.graph.outputs)
    except UserError:
        return False
    return True


def test_flipped_bytes_and_truncation_end_in_an_answer_or_a_user_error():
    blob = everything()
    assert attempt(blob)
    rng = np.random.default_rng(7)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ran = 0
    for trial in range(400):
        broken = bytearray(blob)
        for place in rng.integers(len(blob), size=rng.integers(1, 4)):
            broken[place] = rng.integers(256)
        ran += attempt(bytes(broken[: rng.integers(len(blob))] if trial % 8 == 0 else broken))
    assert 20 < ran < 380
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 3 * 2**20  # KiB


@pytest.mark.parametrize("blob", [b"", b"\x80\x04pickle", b"\x08", everything()[:700]])
def test_no_onnx(blob):
    refused(blob, "the file (does not parse as ONNX|holds no graph)")


def test_sizes_that_lie():
    for size in (2**40, 2**62, 7, -3):
        tensor = numpy_helper.from_array(np.ones(4, np.float32), "w")
        tensor.dims[0] = size
        refused(model([node("Add", ["x", "w"], ["y"])], stored=[tensor]), "tensor 'w' (does not hold|has sizes)")
    tensor = helper.make_tensor("w", FLOAT, [4], [1, 2, 3, 4])
    tensor.dims[:] = [2**31, 2**31]
    refused(model([node("Add", ["x", "w"], ["y"])], stored=[tensor]), "tensor 'w' does not hold what it declares")


@pytest.mark.parametrize(
    ("operator", "inputs", "held"),
    [
        ("ConstantOfShape", ["n"], {"n": np.int64([2**40])}),
        ("Expand", ["x", "n"], {"n": np.int64([2**20, 2**20, 1, 1, 1, 1])}),
        ("Tile", ["x", "n"], {"n": np.int64([2**20, 2**20, 1, 1])}),
        ("Pad", ["x", "n"], {"n": np.int64([0, 0, 0, 0, 0, 0, 2**20, 2**20])}),
        ("Resize", ["x", "", "n"], {"n": np.float32([1, 1, 1e6, 1e6])}),
        ("Range", ["zero", "n", "one"], {"n": np.int64(2**50), "zero": np.int64(0), "one": np.int64(1)}),
    ],
)
def test_no_huge_tensor_of_a_small_file(operator, inputs, held):
    module = import_onnx(model([node(operator, inputs, ["y"], name="huge")], held))
    with pytest.raises(UserError, match=rf"node 'huge' \({operator}, opset 17\) cannot run.* is not allowed"):
        module(X)


def test_a_cycle():
    nodes = [node("Add", ["x", "b"], ["a"], name="first"), node("Relu", ["a"], ["b"]), node("Relu", ["a"], ["y"])]
    refused(model(nodes), r"node 'first' \(Add\) needs 'b', and a cycle leads to it")


def test_a_missing_initialiser():
    nodes = [node("Relu", ["m"], ["y"]), node("MatMul", ["x", "lost"], ["m"], name="product")]
    refused(model(nodes), r"node 'product' \(MatMul\) needs 'lost', and no node, input or initialiser makes it")


def test_a_name_made_twice():
    refused(model([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])]), "two nodes make 'y'")


def test_an_output_that_nobody_makes():
    refused(model([node("Relu", ["x"], ["z"])]), "no node makes the output 'y'")


def test_operators_that_are_not_listed_are_all_named():
    nodes = [
        node("Det", ["x"], ["d"], name="det"),
        node("Mystery", ["d"], ["m"], name="odd", domain="com.microsoft"),
        node("NonMaxSuppression", ["m", "m"], ["y"]),
    ]
    with pytest.raises(UserError) as caught:
        import_onnx(model(nodes))
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("onnx: node 'det' (Det, opset 17) cannot be imported; ")
    assert "node 'odd' (com.microsoft.Mystery, opset 1) cannot be imported" in lines[1]
    assert "docs/onnx-operators.md" in lines[2]


def test_an_opset_of_the_future():
    refused(model([node("Relu", ["x"], ["y"])], opset=999), "opset 999 is not known here")


def test_data_outside_the_file():
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, "/etc/hostname")
    tensor.ClearField("raw_data")
    refused(model([node("Add", ["x", "w"], ["y"])], stored=[tensor]), "tensor 'w' keeps its data outside the file")
    constant = node("Constant", [], ["w"], value=tensor)
    refused(model([constant, node("Add", ["x", "w"], ["y"])]), "tensor 'w' keeps its data outside the file")


def test_element_types_out_of_scope():
    text = helper.make_tensor("w", TensorProto.STRING, [1], [b"a"])
    refused(model([node("Add", ["x", "w"], ["y"])], stored=[text]), "tensor 'w' is of type STRING")
    small = helper.make_tensor("w", TensorProto.FLOAT8E5M2, [1], [1.0])
    refused(model([node("Add", ["x", "w"], ["y"])], stored=[small]), "tensor 'w' is of type FLOAT8E5M2")


def test_a_network_in_training_mode():
    held = {"s": np.ones(3, np.float32)}
    trains = node("BatchNormalization", ["x", "s", "s", "s", "s"], ["y", "a", "b"], name="bn", training_mode=1)
    with pytest.raises(UserError, match=r"node 'bn' \(BatchNormalization, opset 17\).* as in training"):
        import_onnx(model([trains], held))(X)
    drops = node("Dropout", ["x", "", "yes"], ["y"], name="drop")
    with pytest.raises(UserError, match=r"node 'drop' \(Dropout, opset 17\).* at random"):
        import_onnx(model([drops], {"yes": np.array(True)}))(X)


def function(name, called, domain):
    inner = node(called, ["a"], ["b"], domain=domain)
    return helper.make_function(
        "local", name, ["a"], ["b"], [inner], [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    )


def test_functions_are_inlined_unless_they_lead_to_themselves():
    calls = node("Twice", ["x"], ["y"], domain="local")
    module = import_onnx(model([calls], functions=[function("Twice", "Neg", "")]))
    assert module(X).equal(-X)
    endless = [function("Twice", "Other", "local"), function("Other", "Twice", "local")]
    refused(model([calls], functions=endless), "function local.Other leads to itself")
