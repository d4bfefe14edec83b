"""ONNX graphs as layers, operators on integers taken apart, and alignments."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from bench.errors import UserError
from bench.integer_sums.unsigned_weights import with_exact_sums
from bench.layer_matching import OUTPUT, Layer, align, in_qdq_form, piece, read_layers, replaceable, weight_value

MICROSOFT = "com.microsoft"
RANDOM = np.random.default_rng(3)


def _model(nodes, stored, shape=("n", 3, 6, 6), opset=17, out="out"):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, shape)],
        [onnx.ValueInfoProto(name=out)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def _run(model, feeds, names=None):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(names, feeds)


U8, I8, F32 = np.uint8, np.int8, np.float32
STEP = 0.05
SCALES = {"s": F32(0.0213), "z": U8(128), "t": F32(STEP), "u": U8(100)}
WEIGHT = {"w": RANDOM.integers(-127, 128, (4, 3, 3, 3), I8), "ws": np.full(4, 0.01, F32), "wz": np.zeros(4, I8)}
MATRIX = {
    "w": RANDOM.integers(-127, 128, (108, 5), I8),
    "ws": np.linspace(0.005, 0.02, 5, dtype=F32),
    "wz": np.zeros(5, I8),
}
BIAS = {"b": RANDOM.integers(-4000, 4000, 4, np.int32)}
INTEGERS = ["q", "s", "z"]


def _quantised(node, stored, flat=False):
    """x, quantised, through one operator on integers, dequantised."""
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q4" if flat else "q"])]
    if flat:
        nodes.append(helper.make_node("Flatten", ["q4"], ["q"]))
    nodes += [node, helper.make_node("DequantizeLinear", ["y", "t", "u"], ["out"])]
    return _model(nodes, {**SCALES, **stored})


def _node(name, inputs, domain=MICROSOFT, **attributes):
    return helper.make_node(name, inputs, ["y"], name="it", domain=domain, **attributes)


TWICE = [*INTEGERS, *INTEGERS, "t", "u"]
CASES = {
    "convolution": _quantised(
        _node("QLinearConv", [*INTEGERS, "w", "ws", "wz", "t", "u", "b"], "", pads=[1, 1, 1, 1], strides=[2, 2]),
        {**WEIGHT, **BIAS},
    ),
    "without bias": _quantised(_node("QLinearConv", [*INTEGERS, "w", "ws", "wz", "t", "u"], ""), WEIGHT),
    "matrix": _quantised(_node("QLinearMatMul", [*INTEGERS, "w", "ws", "wz", "t", "u"], ""), MATRIX, flat=True),
    "gemm": _quantised(
        _node("QGemm", [*INTEGERS, "w", "ws", "wz", "b", "t", "u"], transB=1, alpha=0.5),
        {"w": MATRIX["w"].T.copy(), "ws": F32(0.01), "wz": I8(3), "b": np.arange(5, dtype=np.int32) * 900},
        flat=True,
    ),
    "columns": _quantised(_node("QGemm", [*INTEGERS, "w", "ws", "wz", "", "t", "u"]), MATRIX, flat=True),
    "add": _quantised(_node("QLinearAdd", TWICE), {}),
    "mul": _quantised(_node("QLinearMul", TWICE), {}),
    "concat": _quantised(_node("QLinearConcat", ["t", "u", *INTEGERS, *INTEGERS], axis=1), {}),
    "global pool": _quantised(_node("QLinearGlobalAveragePool", [*INTEGERS, "t", "u"], channels_last=0), {}),
    "channels last": _quantised(_node("QLinearGlobalAveragePool", [*INTEGERS, "t", "u"], channels_last=1), {}),
    "pool": _quantised(_node("QLinearAveragePool", [*INTEGERS, "t", "u"], kernel_shape=[2, 2], strides=[2, 2]), {}),
    "sigmoid": _quantised(_node("QLinearSigmoid", [*INTEGERS, "t", "u"]), {}),
    "leaky": _quantised(_node("QLinearLeakyRelu", [*INTEGERS, "t", "u"], alpha=0.2), {}),
    "softmax": _quantised(_node("QLinearSoftmax", [*INTEGERS, "t", "u"], axis=1, opset=17), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_integer_operators_keep_their_results(name):
    """Their exact ones: taken apart they run on floats, whose sums no processor saturates."""
    model = CASES[name]
    exact = onnx.load_model_from_string(with_exact_sums(model.SerializeToString()))
    rewritten = in_qdq_form(model)
    assert not {n.op_type for n in rewritten.graph.node} & {n.op_type for n in model.graph.node if n.name == "it"}
    x = RANDOM.normal(size=(5, 3, 6, 6)).astype(F32)
    (before,), (after,) = _run(exact, {"x": x}), _run(rewritten, {"x": x})
    assert len(np.unique(before)) > 3
    steps = np.abs(before - after) / STEP
    assert steps.max() < 1.01  # single sums fall on the other side of a half
    assert (steps > 0.5).mean() < 0.02


@pytest.mark.parametrize(
    ("operator", "name", "opset", "said"),
    [
        ("QAttention", "deep", 17, "node 'deep' (com.microsoft.QAttention, opset 1): it cannot be taken apart"),
        ("QLinearReduceMean", "", 17, "node 'out' (com.microsoft.QLinearReduceMean, opset 1): it cannot"),
        ("QGemm", "old", 9, "node 'old' (com.microsoft.QGemm, opset 1): opset 10 is needed beside it"),
    ],
)
def test_what_cannot_be_taken_apart_is_named(operator, name, opset, said):
    node = helper.make_node(operator, ["x"], ["out"], name=name, domain=MICROSOFT)
    with pytest.raises(UserError) as caught:
        in_qdq_form(_model([node], {"w": F32(1)}, opset=opset))
    assert said in str(caught.value)


def _convolution(name, inputs, out):
    return helper.make_node("Conv", inputs, [out], name=name, pads=[1, 1, 1, 1])


SQUARE = {"k": np.ones((3, 3, 3, 3), F32), "c": np.zeros(3, F32)}


def test_every_node_has_an_owner():
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["scaled"]),
        _convolution("a", ["scaled", "k", "c"], "a"),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Sigmoid", ["r"], ["gate"]),
        helper.make_node("Mul", ["r", "gate"], ["swish"]),
        _convolution("b", ["swish", "k"], "b"),
        helper.make_node("Add", ["b", "swish"], ["sum"], name="join"),
        helper.make_node("GlobalAveragePool", ["sum"], ["p"]),
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "zero"], ["size"]),
        helper.make_node("Concat", ["size", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["p", "target"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["y"], name="last"),
        helper.make_node("Add", ["y", "d"], ["out"]),
        helper.make_node("Relu", ["y"], ["unused"]),
    ]
    stored = {
        **SQUARE, "two": F32(2), "zero": np.array([0]), "rest": np.array([-1]), "m": np.ones((3, 5), F32),
        "d": np.ones(5, F32),
    }  # fmt: skip
    graph = read_layers(_model(nodes, stored))
    found = [(layer.kind, layer.name, layer.shape, layer.entries, layer.exits) for layer in graph.layers]
    assert found == [
        ("input", "input", None, ("x",), ("scaled",)),
        ("convolution", "a", (3, 3, 3, 3), ("scaled",), ("swish",)),
        ("convolution", "b", (3, 3, 3, 3), ("swish",), ("b",)),
        ("add", "join", None, ("b", "swish"), ("flat",)),
        ("linear", "last", (5, 3), ("flat",), ("out",)),
    ]
    assert graph.layers[1].operators == ("Conv", "Relu", "Sigmoid", "Mul")
    assert graph.layers[1].before_activation == "a"
    assert graph.readers["swish"] == {2, 3}
    assert graph.readers["out"] == {OUTPUT}
    assert not graph.dynamic


def test_dynamic_rounding_belongs_to_its_reader():
    nodes = [
        _convolution("a", ["x", "k"], "a"),
        helper.make_node("DynamicQuantizeLinear", ["a"], ["q", "s", "z"]),
        helper.make_node("Mul", ["s", "ws"], ["scale"]),
        helper.make_node("ConvInteger", ["q", "w", "z"], ["sums"], name="b"),
        helper.make_node("Cast", ["sums"], ["cast"], to=1),
        helper.make_node("Mul", ["cast", "scale"], ["out"]),
    ]
    stored = {**SQUARE, "w": np.ones((2, 3, 3, 3), I8), "ws": F32(0.1)}
    graph = read_layers(_model(nodes, stored))
    assert graph.dynamic
    assert [(layer.name, layer.entries, layer.exits) for layer in graph.layers] == [
        ("input", ("x",), ("x",)),
        ("a", ("x",), ("a",)),
        ("b", ("a",), ("out",)),
    ]
    assert graph.layers[2].operators == ("ConvInteger", "Cast", "Mul")


def test_names_are_paths_of_modules():
    def named(node_name, weight):
        graph = read_layers(_model([_convolution(node_name, ["x", weight], "out")], {weight: SQUARE["k"]}))
        return graph.layers[1].name

    assert named("/layer1/layer1.0/conv1/Conv", "onnx::Conv_7") == "layer1.0.conv1"
    assert named("node_conv", "block.conv.weight") == "block.conv"
    assert named("", "w") == "out"


def test_a_piece_runs_alone():
    nodes = [
        _convolution("a", ["x", "k"], "a"),
        helper.make_node("Relu", ["a"], ["r"]),
        _convolution("b", ["r", "k"], "b"),
        helper.make_node("Add", ["b", "r"], ["out"]),
    ]
    model = _model(nodes, SQUARE)
    x = RANDOM.normal(size=(2, 3, 6, 6)).astype(F32)
    head = piece(model, {"x": 1}, ["r", "out"])
    r, out = _run(head, {"x": x})
    tail = piece(model, {"r": 1}, ["out", "r"])
    assert len(tail.graph.node) == 3  # a convolution, a sum, and what is passed through
    again, passed = _run(tail, {"r": r})
    assert np.array_equal(out, again)
    assert np.array_equal(passed, r)
    with pytest.raises(ValueError, match="stands on the input 'x'"):
        piece(model, {"b": 1}, ["out"])


def test_values_are_replaced_only_where_asked():
    nodes = [
        helper.make_node("Log", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Add", ["r", "x"], ["out"]),
    ]
    made = replaceable(_model(nodes, {}, shape=("n", 1, 1, 2)), {"x": 1, "a": 1, "out": 1})
    x = np.array([[[[-1.0, 1.0]]]], F32)

    def run(**replaced):
        feeds = {"x": x}
        for name in ("x", "a", "out"):
            feeds |= {
                f"{name}/use": np.array(name in replaced),
                f"{name}/given": np.asarray(replaced.get(name, 0), F32),
            }
        (out,) = _run(made, feeds)
        return out.ravel().tolist()

    plain = run()
    assert np.isnan(plain[0])
    assert plain[1] == 1
    assert run(a=np.full(x.shape, 5)) == [4, 6]  # NaN that nobody chose is gone
    assert run(x=np.full(x.shape, np.e, F32)) == pytest.approx([1 + np.e] * 2)
    assert run(out=np.full(x.shape, 9), a=np.full(x.shape, 5)) == [9, 9]


def _layer(kind, *shape, weighted=True):
    return Layer(kind, "", shape or None, (), (), (), None, weighted)


A, B, C = (_layer("convolution", n, n, 3, 3) for n in (8, 16, 32))
JOIN, LAST = _layer("add", weighted=False), _layer("linear", 10, 32)


@pytest.mark.parametrize(
    ("reference", "variant", "expected"),
    [
        ([A, B, LAST], [A, B, LAST], [(0, 0), (1, 1), (2, 2)]),
        ([A, B, C, LAST], [A, C, LAST], [(0, 0), (1, None), (2, 1), (3, 2)]),
        ([A, LAST], [A, B, LAST], [(0, 0), (None, 1), (1, 2)]),
        ([A, JOIN, LAST], [A, LAST], [(0, 0), (1, None), (2, 1)]),
        # pruned: shapes differ, kinds and order remain
        ([A, B, LAST], [_layer("convolution", 5, 8, 3, 3), _layer("convolution", 9, 5, 3, 3), LAST],
         [(0, 0), (1, 1), (2, 2)]),
        # another kernel is another layer only where something better is there
        ([_layer("convolution", 8, 8, 1, 1), A], [A], [(0, None), (1, 0)]),
        ([A], [LAST], [(0, None), (None, 0)]),
        # of equal ones, those at the nearer place
        ([A, A, A, A], [A, A, A], None),
    ],
)  # fmt: skip
def test_alignments(reference, variant, expected):
    found = align(reference, variant)
    if expected is None:
        assert sum(p.reference is not None and p.variant is not None for p in found) == 3
    elif expected == [(0, None), (None, 0)]:
        assert sorted(found, key=str) == sorted(expected, key=str)
    else:
        assert [tuple(p) for p in found] == expected
    matched = [(p.reference, p.variant) for p in found if None not in p]
    assert matched == sorted(matched)


def test_where_a_layers_weights_are():
    """Of a grouped convolution nothing is said: its weights' second axis is not its inputs."""
    stored = {
        "k": np.zeros((4, 3, 3, 3), F32),
        "b": np.zeros(4, F32),
        "d": np.zeros((4, 1, 3, 3), F32),
        "m": np.zeros((16, 5), F32),
        "g": np.zeros((2, 5), F32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "k", "b"], ["c"]),
        helper.make_node("Conv", ["c", "d"], ["e"], group=4),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["h"]),
        helper.make_node("Gemm", ["h", "g"], ["out"], transB=1),
    ]
    graph = read_layers(_model(nodes, stored))
    found = {layer.name: weight_value(graph, place) for place, layer in enumerate(graph.layers)}
    assert list(found.values()) == [None, ("k", False, "b"), None, ("m", True, None), ("g", False, "")]
