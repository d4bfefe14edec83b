"""Files rewritten with uint8 weights: the same function, exact on every processor, and nothing else touched.

All scales are powers of two: floats of the unfused graph are then exact, and every level must give the same numbers.
"""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from bench.integer_sums.products import products_of
from bench.integer_sums.unsigned_weights import with_exact_sums
from bench.runtimes.base import Target
from bench.runtimes.onnx_session import saved
from tests.integer_sums.cases import (
    CONVOLUTIONS,
    LEVELS,
    MICROSOFT,
    PRODUCTS,
    Geometry,
    convolution,
    model_of,
    product,
    ran,
)

RANDOM = np.random.default_rng(5)
A_SCALE, W_SCALE, OUT_SCALE = np.float32(2.0**-4), np.float32(2.0**-7), np.float32(2.0**-1)
WEIGHT = RANDOM.integers(-128, 127, (6, 3, 3, 3), np.int8, endpoint=True)
MATRIX = RANDOM.integers(-128, 127, (30, 6), np.int8, endpoint=True)
PIXELS = RANDOM.integers(120, 255, (4, 3, 5, 6), np.uint8, endpoint=True)
ROWS = RANDOM.integers(120, 255, (4, 30), np.uint8, endpoint=True)


def rewritten(model):
    """The model with exact sums, and its bytes."""
    made = with_exact_sums(model.SerializeToString())
    return onnx.load_model_from_string(made), made


def running(model, level="extended"):
    """Types of activation and weight of each product in the graph that a session runs."""
    target = Target(name="edge", runtime="onnxruntime", optimisation=level)
    graph = onnx.load_model_from_string(saved(model.SerializeToString(), target, "ONNX"))
    return [each.types for each in products_of(graph)]


def constants(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def untouched(model):
    given = model.SerializeToString()
    return with_exact_sums(given) is given


# integer operators


@pytest.mark.parametrize("zero", [0, -9])
@pytest.mark.parametrize("operator", PRODUCTS)
def test_matrix_products_become_exact(operator, zero):
    case = product(operator, ROWS, MATRIX, a_zero=130, b_zero=zero, scales=(A_SCALE, W_SCALE), spread=1)
    assert (case.expected["exact"] != case.expected["saturating"]).any()
    model, made = rewritten(case.model)
    assert running(model, "disabled") == [("uint8", "uint8")]
    assert with_exact_sums(made) is made
    for level in LEVELS:
        np.testing.assert_array_equal(ran(made, {"x": case.x}, level), case.expected["exact"])


@pytest.mark.parametrize("zero", [0, 11])
@pytest.mark.parametrize("operator", CONVOLUTIONS)
def test_convolutions_become_exact(operator, zero):
    """ConvInteger the other way round: its unsigned weights beside signed activations become signed."""
    geometry = Geometry(3, 6, (3, 3), pads=(1, 1, 1, 1), size=(5, 6))
    signed = operator == "ConvInteger"
    x, w = (PIXELS.view(np.int8), WEIGHT.view(np.uint8)) if signed else (PIXELS, WEIGHT)
    case = convolution(operator, x, w, x_zero=-3 if signed else 130, w_zero=zero, geometry=geometry)
    assert (case.expected["exact"] != case.expected["saturating"]).any()
    model, made = rewritten(case.model)
    assert running(model, "disabled") == [("int8", "int8") if signed else ("uint8", "uint8")]
    assert with_exact_sums(made) is made
    for level in LEVELS:
        np.testing.assert_array_equal(ran(made, {"x": case.x}, level), case.expected["exact"])


def test_a_zero_point_that_was_left_out_is_written_down():
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]
    model = model_of(nodes, {"x": (np.uint8, [None, 30])}, {"w": MATRIX}, {"y": (np.int32, None)})
    made, _ = rewritten(model)
    expected = ROWS.astype(int) @ MATRIX.astype(int)
    np.testing.assert_array_equal(ran(made, {"x": ROWS}), expected)
    assert made.graph.node[0].input[2] == ""
    assert constants(made)[made.graph.node[0].input[3]].tolist() == 128
    nodes = [helper.make_node("DynamicQuantizeMatMul", ["x", "w", "s"], ["y"], domain=MICROSOFT)]
    model = model_of(nodes, {"x": (np.float32, [None, 30])}, {"w": MATRIX, "s": W_SCALE}, {"y": (np.float32, None)})
    x = ROWS.astype(np.float32)
    x[:, 0], x[:, 1] = 0, 255
    np.testing.assert_array_equal(ran(rewritten(model)[0], {"x": x}), x @ MATRIX.astype(np.float32) * W_SCALE)


def test_zero_points_of_columns_move_too():
    zeros = np.int8([0, 5, -128, 127, -1, 1])
    nodes = [helper.make_node("MatMulInteger", ["x", "w", "", "z"], ["y"])]
    model = model_of(nodes, {"x": (np.uint8, [None, 30])}, {"w": MATRIX, "z": zeros}, {"y": (np.int32, None)})
    made, _ = rewritten(model)
    np.testing.assert_array_equal(ran(made, {"x": ROWS}), ROWS.astype(int) @ (MATRIX.astype(int) - zeros))


@pytest.mark.parametrize("types", [("uint8", "uint8"), ("int8", "int8"), ("int8", "uint8")])
def test_products_that_are_exact_everywhere_stay(types):
    a, b = ROWS.view(types[0]), MATRIX.view(types[1])
    for operator in PRODUCTS:
        if types[0] == "uint8" or operator == "MatMulInteger":
            assert untouched(product(operator, a, b).model)
    geometry = Geometry(3, 6, (3, 3), size=(5, 6))
    x, w = PIXELS.view(types[0]), WEIGHT.view(types[1])
    assert untouched(convolution("QLinearConv", x, w, geometry=geometry).model)
    if types != ("int8", "uint8"):
        assert untouched(convolution("ConvInteger", x, w, geometry=geometry).model)


def test_weights_beside_codes_of_a_known_type_stay():
    """Without a constant zero point, the activation's own maker or declaration tells its type."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("ConvInteger", ["q", "w", "z"], ["y"]),
    ]
    constant = {"w": WEIGHT.view(np.uint8)}
    assert untouched(model_of(nodes, {"x": (np.float32, [1, 3, 5, 6])}, constant, {"y": (np.int32, None)}))
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]
    assert untouched(model_of(nodes, {"x": (np.int8, [1, 30])}, {"w": MATRIX}, {"y": (np.int32, None)}))
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"]),
        helper.make_node("MatMulInteger", ["t", "w"], ["y"]),
    ]
    assert untouched(model_of(nodes, {"x": (np.int8, [30, 1])}, {"w": MATRIX}, {"y": (np.int32, None)}))
    assert not untouched(model_of(nodes, {"x": (np.uint8, [30, 1])}, {"w": MATRIX}, {"y": (np.int32, None)}))


def test_attention_keeps_its_function():
    """With weights of which no pair can saturate, so that every processor can be asked."""
    weight = RANDOM.integers(-64, 64, (8, 24), np.int8)
    held = {
        "w": weight, "b": np.zeros(24, np.float32), "xs": A_SCALE, "ws": W_SCALE, "xz": np.uint8(100),
        "wz": np.int8(3), "m": np.full(2, 3, np.int32),
    }  # fmt: skip
    inputs = ["x", "w", "b", "xs", "ws", "m", "xz", "wz"]
    node = helper.make_node("QAttention", inputs, ["y"], domain=MICROSOFT, num_heads=2)
    model = model_of([node], {"x": (np.uint8, [2, 3, 8])}, held, {"y": (np.float32, None)})
    x = RANDOM.integers(0, 255, (2, 3, 8), np.uint8, endpoint=True)
    made, _ = rewritten(model)
    assert running(made, "disabled") == [("uint8", "uint8")]
    np.testing.assert_array_equal(ran(made, {"x": x}), ran(model, {"x": x}))


def test_a_recurrent_layer_stays_whole():
    """Its two weights share a type: one alone cannot change."""
    held = {
        "w": RANDOM.integers(-60, 60, (1, 5, 16), np.int8), "r": RANDOM.integers(-60, 60, (1, 4, 16), np.int8),
        "ws": np.full(1, W_SCALE), "rs": np.full(1, W_SCALE), "wz": np.zeros(1, np.int8), "rz": np.zeros(1, np.int8),
    }  # fmt: skip
    inputs = ["x", "w", "r", "", "", "", "", "", "ws", "wz", "rs", "rz"]
    node = helper.make_node("DynamicQuantizeLSTM", inputs, ["y"], domain=MICROSOFT, hidden_size=4)
    model = model_of([node], {"x": (np.float32, [3, 1, 5])}, held, {"y": (np.float32, None)})
    x = RANDOM.normal(size=(3, 1, 5)).astype(np.float32)
    made, _ = rewritten(model)
    np.testing.assert_array_equal(ran(made, {"x": x}), ran(model, {"x": x}))


# floats between quantisers


def quantised(node, weight, held, x, out_shape=None, opset=21, ir=10, kind=np.uint8, before=()):
    """x, quantised, through a float operator with the value "real" as its weight, quantised and dequantised."""
    zero, signed = kind(130 if kind is np.uint8 else 2), kind is np.int8
    nodes = [
        *before,
        helper.make_node("QuantizeLinear", ["x", "as", "az"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "as", "az"], ["a"]),
        *weight,
        node,
        helper.make_node("QuantizeLinear", ["f", "ys", "yz"], ["p"]),
        helper.make_node("DequantizeLinear", ["p", "ys", "yz"], ["y"]),
    ]
    every = {"as": A_SCALE, "az": zero, "ys": OUT_SCALE, "yz": kind(-8 if signed else 120), **held}
    inputs = {"x": (np.float32, [None, *x.shape[1:]])}
    return model_of(nodes, inputs, every, {"y": (np.float32, out_shape)}, opset=opset, ir=ir)


CONV = helper.make_node("Conv", ["a", "real"], ["f"], pads=[1, 1, 1, 1])
MATMUL = helper.make_node("MatMul", ["a", "real"], ["f"])
GEMM = helper.make_node("Gemm", ["a", "real"], ["f"], transB=1)
REAL_PIXELS = (PIXELS.astype(np.float32) - 130) * A_SCALE
REAL_ROWS = (ROWS.astype(np.float32) - 130) * A_SCALE
CHANNELS = np.float32(2.0) ** np.array([-7, -6, -7, -8, -6, -7], np.float32)


def dequantised(inputs, out="real", **attributes):
    return helper.make_node("DequantizeLinear", inputs, [out], **attributes)


def constant(array, name):
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))


FLOATS = WEIGHT * W_SCALE + np.float32(2.0**-10)  # rounded to codes they are WEIGHT
NARROW = {"low": np.int8(-7), "high": np.int8(100)}
FORMS = {
    "a constant": (CONV, [dequantised(["w", "ws", "wz"])], {"w": WEIGHT, "ws": W_SCALE, "wz": np.int8(0)}),
    "a zero point": (CONV, [dequantised(["w", "ws", "wz"])], {"w": WEIGHT, "ws": W_SCALE, "wz": np.int8(-5)}),
    "no zero point": (CONV, [dequantised(["w", "ws"])], {"w": WEIGHT, "ws": W_SCALE}),
    "channels": (
        CONV,
        [dequantised(["w", "ws", "wz"], axis=0)],
        {"w": WEIGHT, "ws": CHANNELS, "wz": np.zeros(6, np.int8)},
    ),
    "channels without zero points": (CONV, [dequantised(["w", "ws"], axis=0)], {"w": WEIGHT, "ws": CHANNELS}),
    "a matrix": (MATMUL, [dequantised(["w", "ws", "wz"])], {"w": MATRIX, "ws": W_SCALE, "wz": np.int8(0)}),
    "columns": (
        MATMUL,
        [dequantised(["w", "ws", "wz"], axis=1)],
        {"w": MATRIX, "ws": CHANNELS, "wz": np.zeros(6, np.int8)},
    ),
    "a turned matrix": (
        GEMM,
        [dequantised(["w", "ws", "wz"])],
        {"w": MATRIX.T.copy(), "ws": W_SCALE, "wz": np.int8(0)},
    ),
    "a constant's node": (
        CONV,
        [constant(WEIGHT, "w"), constant(np.int8(0), "wz"), dequantised(["w", "ws", "wz"])],
        {"ws": W_SCALE},
    ),
    "clipped": (
        CONV,
        [helper.make_node("Clip", ["w", "low", "high"], ["c"]), dequantised(["c", "ws", "wz"])],
        {"w": WEIGHT, "ws": W_SCALE, "wz": np.int8(0), **NARROW},
    ),
    "clipped from above": (
        CONV,
        [helper.make_node("Clip", ["w", "", "high"], ["c"]), dequantised(["c", "ws", "wz"])],
        {"w": WEIGHT, "ws": W_SCALE, "wz": np.int8(0), "high": np.int8(100)},
    ),
    "turned codes": (
        MATMUL,
        [helper.make_node("Transpose", ["w"], ["t"]), dequantised(["t", "ws", "wz"])],
        {"w": MATRIX.T.copy(), "ws": W_SCALE, "wz": np.int8(0)},
    ),
    "turned reals": (
        MATMUL,
        [dequantised(["w", "ws", "wz"], "r"), helper.make_node("Transpose", ["r"], ["real"])],
        {"w": MATRIX.T.copy(), "ws": W_SCALE, "wz": np.int8(0)},
    ),
    "reshaped codes": (
        CONV,
        [helper.make_node("Reshape", ["w", "shape"], ["t"]), dequantised(["t", "ws", "wz"])],
        {"w": WEIGHT.reshape(6, 27), "ws": W_SCALE, "wz": np.int8(0), "shape": np.array([6, 3, 3, 3])},
    ),
    "quantised floats": (
        CONV,
        [helper.make_node("QuantizeLinear", ["w", "ws", "wz"], ["c"]), dequantised(["c", "ws", "wz"])],
        {"w": FLOATS, "ws": W_SCALE, "wz": np.int8(0)},
    ),
    "quantised and clipped floats": (
        CONV,
        [
            helper.make_node("QuantizeLinear", ["w", "ws", "wz"], ["c"], axis=0),
            helper.make_node("Clip", ["c", "low", "high"], ["d"]),
            dequantised(["d", "ws", "wz"], axis=0),
        ],
        {"w": FLOATS, "ws": CHANNELS, "wz": np.zeros(6, np.int8), **NARROW},
    ),
    "quantised floats of a declared type": (
        CONV,
        [
            helper.make_node("QuantizeLinear", ["w", "ws", "wz"], ["c"], output_dtype=TensorProto.INT8),
            dequantised(["c", "ws", "wz"]),
        ],
        {"w": FLOATS, "ws": W_SCALE, "wz": np.int8(0)},
    ),
    "blocks": (
        MATMUL,
        [dequantised(["w", "ws", "wz"], axis=0, block_size=15)],
        {"w": MATRIX, "ws": np.stack([CHANNELS, CHANNELS * 2]), "wz": np.zeros((2, 6), np.int8)},
    ),
    "blocks without zero points": (
        MATMUL,
        [dequantised(["w", "ws"], axis=0, block_size=15)],
        {"w": MATRIX, "ws": np.stack([CHANNELS, CHANNELS * 2])},
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_weights_between_quantisers_become_exact(form, kind):
    """Whatever the activations' type: ONNX Runtime makes uint8 of int8 on x86."""
    node, weight, held = FORMS[form]
    x = REAL_PIXELS if node is CONV else REAL_ROWS
    model = quantised(node, weight, held, x, kind=kind)
    made, given = rewritten(model)
    assert with_exact_sums(given) is given
    expected = ran(model, {"x": x})
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(ran(given, {"x": x}), expected)  # unfused: floats, as in the file
    for level in ("basic", "extended", "all"):
        np.testing.assert_array_equal(ran(given, {"x": x}, level), expected)
        found = running(made, level)
        assert set(found) <= {("uint8", "uint8")}
        # without rewriting there are integers where weights are plain constants
        assert len(found) == (len(running(model, level)) if kind is np.uint8 else len(found))
    assert running(made) == [("uint8", "uint8")] * len(running(model))


@pytest.mark.parametrize(("ir", "opset"), [(3, 13), (8, 17), (10, 21)])
def test_files_of_any_version(ir, opset):
    """Until version 3 every constant is an input as well."""
    node, weight, held = FORMS["channels"]
    model = quantised(node, weight, held, REAL_PIXELS, opset=opset, ir=ir)
    if ir == 3:
        for name, array in constants(model).items():
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            model.graph.input.append(helper.make_tensor_value_info(name, kind, array.shape))
    made, given = rewritten(model)
    assert made.ir_version == ir
    assert running(made) == [("uint8", "uint8")]
    for level in LEVELS:
        np.testing.assert_array_equal(ran(given, {"x": REAL_PIXELS}, level), ran(model, {"x": REAL_PIXELS}))


def test_activations_and_everything_else_stay():
    node, weight, held = FORMS["a constant"]
    model = quantised(node, weight, held, REAL_PIXELS)
    made, _ = rewritten(model)
    before, after = constants(model), constants(made)
    assert set(before) - set(after) == {"w", "wz"}  # which nobody reads any more
    assert all(np.array_equal(after[name], before[name]) for name in set(before) - {"w", "wz"})
    assert [found.op_type for found in made.graph.node] == [found.op_type for found in model.graph.node]
    changed = {tuple(found.input) for found in made.graph.node} - {tuple(found.input) for found in model.graph.node}
    assert changed == {("w/uint8", "ws", "w/uint8/zero_point"), ("a", "real/exact_sums")}
    assert (after["w/uint8"] - 128).view(np.int8).tolist() == WEIGHT.tolist()
    assert made.graph.input == model.graph.input
    assert made.graph.output == model.graph.output


def test_a_weight_of_several_nodes_is_rewritten_once():
    """Beside uint8 activations; a node with int8 activations keeps the file's own."""
    nodes = [
        helper.make_node("MatMulInteger", ["s", "w", "sz", "wz"], ["a"], name="signed"),
        helper.make_node("MatMulInteger", ["x", "w", "xz", "wz"], ["b"], name="first"),
        helper.make_node("MatMulInteger", ["x", "w", "xz", "wz"], ["c"], name="second"),
    ]
    held = {"w": MATRIX, "wz": np.int8(3), "xz": np.uint8(100), "sz": np.int8(-2)}
    inputs = {"x": (np.uint8, [None, 30]), "s": (np.int8, [None, 30])}
    model = model_of(nodes, inputs, held, {name: (np.int32, None) for name in "abc"})  # noqa: C420
    made, _ = rewritten(model)
    read = {node.name: node.input[1] for node in made.graph.node}
    assert read["signed"] == "w"
    assert read["first"] == read["second"] != "w"
    assert sorted(array.shape for array in constants(made).values()).count(MATRIX.shape) == 2
    signed = ROWS.view(np.int8)
    feeds, matrix = {"x": ROWS, "s": signed}, MATRIX.astype(int) - 3
    np.testing.assert_array_equal(ran(made, feeds), (signed.astype(int) + 2) @ matrix)
    made.graph.output.reverse()
    np.testing.assert_array_equal(ran(made, feeds), (ROWS.astype(int) - 100) @ matrix)


def test_a_real_weight_of_several_nodes_shares_its_codes_and_stands_before_its_readers():
    """A third reader takes it as a number like any other."""
    node, weight, held = FORMS["a turned matrix"]
    model = quantised(node, weight, held, REAL_ROWS)
    model.graph.node.insert(0, model.graph.node.pop(2))  # the dequantiser stands before all
    model.graph.node.extend(
        [
            helper.make_node("Gemm", ["a", "real"], ["g"], transB=1),
            helper.make_node("ReduceSum", ["real"], ["sum"], keepdims=0),
            helper.make_node("Sub", ["g", "sum"], ["h"]),
        ]
    )
    model.graph.output.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, None))
    made, _ = rewritten(model)
    makers = {node.output[0]: node for node in made.graph.node}
    read = [makers[node.input[1]] for node in made.graph.node if node.op_type == "Gemm"]
    assert [(maker.op_type, maker.input[0]) for maker in read] == [("DequantizeLinear", "w/uint8")] * 2
    assert [node.input[0] for node in made.graph.node if node.op_type == "ReduceSum"] == ["real"]
    made.graph.output.reverse()
    model.graph.output.reverse()
    for level in LEVELS:
        np.testing.assert_array_equal(ran(made, {"x": REAL_ROWS}, level), ran(model, {"x": REAL_ROWS}))


def test_only_what_nobody_reads_any_more_goes():
    """A weight that a graph inside a node reads, or that is an output, stays; so does what nobody read before."""
    node, weight, held = FORMS["turned codes"]
    inner = helper.make_graph(
        [helper.make_node("Cast", ["t"], ["inside"], to=TensorProto.FLOAT)],
        "inner",
        [],
        [helper.make_tensor_value_info("inside", TensorProto.FLOAT, None)],
    )
    model = quantised(node, weight, held | {"unread": np.float32(1), "yes": np.array(True)}, REAL_ROWS)
    made, _ = rewritten(model)
    assert not {"w", "t", "real"} & {name for found in made.graph.node for name in found.output}
    assert set(constants(made)) >= {"unread", "w/uint8"}
    assert "w" not in constants(made)
    model.graph.node.append(helper.make_node("If", ["yes"], ["z"], then_branch=inner, else_branch=inner))
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    made, _ = rewritten(model)
    assert [list(found.input) for found in made.graph.node if found.op_type == "Transpose"] == [["w"], ["w/uint8"]]
    np.testing.assert_array_equal(ran(made, {"x": REAL_ROWS}), ran(model, {"x": REAL_ROWS}))
    model.graph.output.append(helper.make_tensor_value_info("real", TensorProto.FLOAT, None))
    made, _ = rewritten(model)
    assert [found.output[0] for found in made.graph.node if found.op_type == "DequantizeLinear"].count("real") == 1
    np.testing.assert_array_equal(ran(made, {"x": REAL_ROWS}), ran(model, {"x": REAL_ROWS}))


def test_bytes_that_are_no_file_are_returned():
    given = b"nothing"
    assert with_exact_sums(given) is given


def test_names_that_are_taken_are_not_taken_again():
    _, weight, held = FORMS["a constant"]
    held = held | {"w/uint8": np.float32(2), "w/uint8/zero_point": np.float32(0)}
    scaled = helper.make_node("Mul", ["f0", "w/uint8"], ["f1"])
    shifted = helper.make_node("Add", ["f1", "w/uint8/zero_point"], ["f"])
    conv = helper.make_node("Conv", ["a", "real"], ["f0"], pads=[1, 1, 1, 1])
    model = quantised(scaled, [*weight, conv], held, REAL_PIXELS)
    model.graph.node.insert(5, shifted)
    made, given = rewritten(model)
    assert "w/uint8_" in constants(made)
    np.testing.assert_array_equal(ran(given, {"x": REAL_PIXELS}), ran(model, {"x": REAL_PIXELS}))


def test_a_file_without_signed_weights_is_returned_as_it_is():
    node, weight, held = FORMS["a constant"]
    unsigned = held | {"w": WEIGHT.view(np.uint8), "wz": np.uint8(128)}
    assert untouched(quantised(node, weight, unsigned, REAL_PIXELS))
    floats = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    assert untouched(model_of(floats, {"x": (np.float32, [1, 30])}, {"w": MATRIX.astype(np.float32)}, {}))
    given = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]  # weights that nobody knows yet
    assert untouched(model_of(given, {"x": (np.uint8, [1, 30]), "w": (np.int8, [30, 6])}, {}, {}))


def test_what_cannot_be_moved_stays():
    """A zero point, a scale, or a limit that another node makes."""
    for form, inputs in (
        ("a constant", {"wz": "DequantizeLinear"}),
        ("no zero point", {"ws": "DequantizeLinear"}),
        ("clipped", {"low": "Clip"}),
        ("quantised floats", {"wz": "QuantizeLinear"}),
    ):
        node, weight, held = FORMS[form]
        held = {(f"{name}/before" if name in inputs else name): array for name, array in held.items()}
        makers = [helper.make_node("Abs", [f"{name}/before"], [name]) for name in inputs]
        assert untouched(quantised(node, weight, held, REAL_PIXELS, before=makers)), form


def test_graphs_inside_nodes_stay():
    inner = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["z"])],
        "inner",
        [],
        [helper.make_empty_tensor_value_info("z")],
        [numpy_helper.from_array(MATRIX, "w")],
    )
    nodes = [helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)]
    inputs = {"c": (np.bool_, []), "x": (np.uint8, [1, 30])}
    assert untouched(model_of(nodes, inputs, {}, {"y": (np.int32, None)}))


@given(st.integers(-128, 127), st.integers(-128, 127))
def test_a_weight_and_its_zero_point_move_together(code, zero):
    nodes = [helper.make_node("MatMulInteger", ["x", "w", "", "z"], ["y"])]
    held = {"w": np.full((1, 1), code, np.int8), "z": np.int8(zero)}
    made, _ = rewritten(model_of(nodes, {"x": (np.uint8, [1, 1])}, held, {"y": (np.int32, None)}))
    codes, zeros = (constants(made)[made.graph.node[0].input[at]] for at in (1, 3))
    assert codes.dtype == zeros.dtype == np.uint8
    assert int(codes.item()) - int(zeros) == code - zero
