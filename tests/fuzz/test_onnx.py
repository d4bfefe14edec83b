"""Damaged ONNX files: an error in words, or the very answers that ONNX Runtime gives on the damaged file.

A changed byte in a weight is another network: it has another hash, and so other keys, and its answers are its own.
"""

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.errors import NotDifferentiable, UserError
from bench.networks.network import InputSpec
from bench.outside_networks.loading import load_outside
from bench.runtimes.base import Target
from bench.runtimes.onnx_runtime import OnnxRuntime
from tests.fuzz.damage import PARTS, answer, generator, one_byte, seeds, torn

DECLARED = InputSpec(shape=(1, 4, 4), classes=("a", "b", "c"))
TARGET = Target(name="edge", runtime="onnxruntime", optimisation="disabled")
X = np.random.default_rng(3).random((5, 1, 4, 4)).astype(np.float32)


def tensor(name, *shape):
    return numpy_helper.from_array(np.random.default_rng(len(name)).normal(size=shape).astype(np.float32), name)


def plain():
    """A small network, with batch normalisation and a constant."""
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["n"], name="norm"),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("Constant", [], ["half"], value=numpy_helper.from_array(np.array(0.5, np.float32))),
        helper.make_node("Mul", ["r", "half"], ["h"]),
        helper.make_node("GlobalAveragePool", ["h"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "weight", "offset"], ["y"], transB=1, name="head"),
    ]
    held = [
        tensor("kernel", 4, 1, 3, 3), tensor("bias", 4), tensor("scale", 4), tensor("shift", 4), tensor("mean", 4),
        numpy_helper.from_array(np.ones(4, np.float32), "variance"), tensor("weight", 3, 4), tensor("offset", 3),
    ]  # fmt: skip
    return nodes, held, []


def shaped():
    """One whose shapes are made of numbers, with a loop, a branch and a function."""
    inner = helper.make_graph(
        [
            helper.make_node("Add", ["v", "v"], ["v2"]),
            helper.make_node("Identity", ["go"], ["go2"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, ["n", 16]),
        ],
        [
            helper.make_tensor_value_info("go2", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v2", TensorProto.FLOAT, ["n", 16]),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    twice = helper.make_function("own", "twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], opsets)
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["f"]),
        helper.make_node("Loop", ["rounds", "", "f"], ["l"], body=inner),
        helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]),
        helper.make_node("Expand", ["one", "wide"], ["ones"]),
        helper.make_node("Range", ["from", "to", "by"], ["range"]),
        helper.make_node("Cast", ["range"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["l", "zeros"], ["a"]),
        helper.make_node("Mul", ["a", "ones"], ["m"]),
        helper.make_node("Mul", ["m", "numbers"], ["k"]),
        helper.make_node("twice", ["k"], ["t"], domain="own"),
        helper.make_node("Gemm", ["t", "weight", "offset"], ["y"]),
    ]
    whole = [("flat", [0, 16]), ("sizes", [16]), ("wide", [1, 16])]
    single = [("rounds", 3), ("from", 0), ("to", 16), ("by", 1)]
    held = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in (*whole, *single)]
    held += [numpy_helper.from_array(np.ones(1, np.float32), "one"), tensor("weight", 16, 3), tensor("offset", 3)]
    return nodes, held, [twice]


def built(nodes, held, functions):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid("own", 1)] if functions else [])]
    graph = helper.make_graph(nodes, "net", [x], [y], held)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)
    onnx.checker.check_model(model)
    return model.SerializeToString()


WHOLE = [built(*plain()), built(*shaped())]
INTEGERS = (-1, 0, 1, 2, 7, 1000, 2**31, 2**40, 2**62, -(2**63))
OPERATORS = (
    "Add", "Tile", "Range", "ConstantOfShape", "Loop", "If", "Resize", "Reshape", "Conv", "Nonsense", "", "Shape",
    "Dropout",
)  # fmt: skip
NUMBERS = {"i": INTEGERS, "f": (np.nan, np.inf, 1e38, -0.0)}
EXTERNAL = {
    "location": ("net.onnx", "../x", "a\0b", "a" * 5000, ""),
    "offset": ("0", "-1", "9" * 30, "x"),
    "length": ("4", "-4", "9" * 500),
}


def rewritten(rng):
    """Another number, name, operator or size in a field of the file."""
    model = onnx.load_model_from_string(rng.choice(WHOLE))
    graph = model.graph
    node, held = rng.choice(graph.node), rng.choice(graph.initializer)
    kind = rng.randrange(12)
    if kind == 0:
        node.op_type = rng.choice(OPERATORS)
    elif kind == 1 and node.input:
        names = ["", "x", "y", "nowhere", rng.choice(graph.initializer).name]
        node.input[rng.randrange(len(node.input))] = rng.choice(names)
    elif kind == 2:
        node.output[0] = rng.choice(["", "x", "y", "weight"])
    elif kind == 3:
        graph.node.remove(node)
    elif kind == 4:
        graph.node.append(node)
    elif kind == 5 and held.dims:
        held.dims[rng.randrange(len(held.dims))] = rng.choice(INTEGERS)
    elif kind == 6:
        held.data_type = rng.randrange(0, 30)
    elif kind == 7:
        array = numpy_helper.to_array(held).copy()
        array.reshape(-1)[rng.randrange(array.size)] = rng.choice(NUMBERS[array.dtype.kind])
        held.raw_data = array.tobytes()
    elif kind == 8:
        held.raw_data = torn(held.raw_data, rng)
    elif kind == 9:
        model.opset_import[0].version = rng.choice((-1, 0, 1, 6, 12, 21, 99))
        model.ir_version = rng.choice((-1, 0, 3, 8, 13, 99))
    elif kind == 10:
        held.data_location = TensorProto.EXTERNAL
        for key, values in EXTERNAL.items():
            entry = held.external_data.add()
            entry.key, entry.value = key, rng.choice(values)
    elif node.attribute:
        attribute = rng.choice(node.attribute)
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(INTEGERS)
        attribute.i, attribute.f = rng.choice(INTEGERS), rng.choice((0.0, -1.0, np.nan, 1e38))
        attribute.type = rng.randrange(0, 15) if rng.random() < 0.3 else attribute.type
    return model.SerializeToString()


def answers_of(path, content):
    """The hash of what is taken in, our answers, and those of our own import of the graph where it has any."""
    path.write_bytes(content)
    network = load_outside(DECLARED, onnx=path)
    predictor = OnnxRuntime().open(network, TARGET, "cpu")
    x = torch.from_numpy(X)
    scores = predictor.logits(x)[0].numpy()
    try:
        predictor.trust(x)
        with torch.no_grad():
            twin = predictor.differentiable(gradient="straight_through")(x).numpy()
    except (NotDifferentiable, UserError):
        twin = None
    return network, scores, twin


def runtime_of(content):
    """What ONNX Runtime itself says on the file; None where it reads no such file."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return session.run(["y"], {"x": X})[0]
    except Exception:
        return None


@pytest.mark.parametrize("part", range(PARTS))
def test_a_damaged_file_says_so_or_answers_as_onnx_runtime_does(tmp_path, monkeypatch, part):
    for name, most in (("ONNX_ELEMENTS", 10**6), ("LOOP_ROUNDS", 1000), ("LOOP_SECONDS", 10)):
        monkeypatch.setenv(f"CRBENCH_MAX_{name}", str(most))
    path = tmp_path / "net.onnx"
    whole = {content: answers_of(path, content) for content in WHOLE}
    for seed in seeds(part):
        rng = generator(seed)
        if seed % 2 == 0:
            content = one_byte(rng.choice(WHOLE), rng)
        else:
            content = rewritten(rng) if rng.random() < 0.6 else torn(rng.choice(WHOLE), rng)
        found, error = answer(seed, lambda content=content: answers_of(path, content))
        if error is not None:
            continue
        network, scores, twin = found
        assert network.record["sha256"] == hashlib.sha256(network.model).hexdigest(), f"seed {seed}"
        for other in whole.values():
            if not np.array_equal(scores, other[1]):
                assert network.record["sha256"] != other[0].record["sha256"], f"seed {seed}: other answers of one hash"
        own = runtime_of(content)
        if own is not None:
            np.testing.assert_array_equal(scores, own.reshape(scores.shape), f"seed {seed}: not what the file says")
        if twin is not None:
            np.testing.assert_allclose(twin, scores, rtol=1e-3, atol=1e-4, err_msg=f"seed {seed}: the import differs")
