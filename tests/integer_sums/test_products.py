"""Which nodes of a graph sum 8-bit products, of which types, and what share of their pairs can saturate: by hand."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from bench.integer_sums.products import OPERANDS, SATURATING, products_of
from tests.integer_sums.cases import (
    CONVOLUTIONS,
    MICROSOFT,
    PRODUCTS,
    Geometry,
    convolution,
    model_of,
    product,
    ran,
)

# nine pairs along the rows, the last beside nothing; 127 + 127, 65 + 64 and -65 - 64 reach 129, no other does
MATRIX = np.int8([[64, 127, -64], [64, 127, -64], [65, 1, -65], [64, 0, -64], [127, -128, 127]])
SHARE = 3 / 9


def only(model):
    (found,) = products_of(model)
    return found


def test_operands_stand_where_onnx_runtime_has_them():
    """By the names and the types of its own schemas."""
    from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

    seen = set()
    for schema in get_all_operator_schema():
        if schema.name not in OPERANDS or schema.domain not in ("", MICROSOFT):
            continue
        place, inputs = OPERANDS[schema.name], schema.inputs
        weight, activation = inputs[place.weight], inputs[place.activation]
        pairs = [(weight, place.weight_zero), (activation, place.activation_zero)]
        assert weight.name.lower() in ("b", "w", "weight"), schema.name
        assert activation.name.lower() in ("a", "x", "input"), schema.name
        for codes, zero in pairs:
            named = [entry.name.lower() for entry in inputs]
            assert zero == (
                named.index(f"{codes.name.lower()}_zero_point") if f"{codes.name.lower()}_zero_point" in named else -1
            )
            assert zero < 0 or inputs[zero].typeStr == codes.typeStr
        assert place.kernel == ("Conv" in schema.name)
        seen.add(schema.name)
    assert seen == set(OPERANDS)


@pytest.mark.parametrize("operator", PRODUCTS)
def test_the_share_of_a_matrix(operator):
    found = only(product(operator, np.full((1, 5), 255, np.uint8), MATRIX).model)
    assert (found.name, found.node.op_type) == ("it", operator.split()[0])
    assert found.types == ("uint8", "int8")
    assert found.suspect
    assert found.matrix().tolist() == MATRIX.tolist()
    assert found.share == SHARE


@pytest.mark.parametrize("types", [("uint8", "uint8"), ("int8", "int8"), ("int8", "uint8"), ("uint8", "int8")])
def test_only_one_pair_of_types_saturates(types):
    a, b = np.zeros((1, 2), types[0]), np.full((2, 1), 127, types[1])
    found = only(product("MatMulInteger", a, b).model)
    assert found.types == types
    assert found.suspect == (types == ("uint8", "int8"))
    assert found.share == (1.0 if types == ("uint8", "int8") else 0.0)
    geometry = Geometry(2, 1)
    x, w = np.zeros((1, *geometry.image), types[0]), np.full(geometry.weights, 200, np.uint8).view(types[1])
    found = only(convolution("ConvInteger", x, w, geometry=geometry).model)
    assert found.types == types
    assert found.share == (1.0 if types == ("int8", "uint8") else 0.0)
    assert SATURATING["ConvInteger"] == ("int8", "uint8")


@pytest.mark.parametrize("operator", CONVOLUTIONS)
def test_the_share_of_a_convolution(operator):
    """Its pairs stand in another order where the channel is slowest: neighbours are then pixels."""
    geometry = Geometry(3, 2, (1, 2))
    signed = operator == "ConvInteger"
    # outputs, channels, one row, two columns
    w = np.array([[[[65, 64]], [[64, 1]], [[1, 64]]], [[[0, 0]], [[0, 0]], [[-65, -64]]]]) + 128 * signed
    x = np.zeros((1, *geometry.image), "int8" if signed else "uint8")
    found = only(convolution(operator, x, w.astype("uint8" if signed else "int8"), geometry=geometry).model)
    assert found.types == SATURATING[operator.split()[0]]
    if signed:  # pixels of a channel: 193 and 192, 192 and 129, 129 and 192; 128 and 128 twice, 63 and 64
        assert (found.matrix().T - 128).tolist() == [[65, 64, 64, 1, 1, 64], [0, 0, 0, 0, -65, -64]]
        assert found.share == 3 / 6  # 128 · (w1 + w2) beyond 32,768: all of the first output, none of 256 or less
    else:  # channels of a pixel: 65 and 64, 1 and 64, 1 and 64; 0 and 0, -65 and 0, 0 and -64
        assert found.matrix().T.tolist() == [[65, 64, 1, 64, 1, 64], [0, 0, -65, 0, 0, -64]]
        assert found.share == 1 / 6


@pytest.mark.parametrize(
    ("geometry", "depthwise"),
    [
        (Geometry(4, 4, (3, 3), group=4), True),
        (Geometry(1, 1, (3, 3)), True),
        (Geometry(4, 4, (1, 3), group=4, size=(1, 9), axes=1), True),
        (Geometry(4, 8, (3, 3), group=4), False),
        (Geometry(4, 4, (3, 3), group=2), False),
        (Geometry(1, 4, (3, 3)), False),
    ],
)
def test_one_channel_in_and_one_out_a_group_never_saturates(geometry, depthwise):
    for operator in CONVOLUTIONS:
        signed = operator == "ConvInteger"
        x = np.zeros((1, *geometry.image), "int8" if signed else "uint8")
        w = np.full(geometry.weights, 255 if signed else 127, "uint8" if signed else "int8")
        found = only(convolution(operator, x, w, geometry=geometry).model)
        assert found.depthwise == (depthwise and not signed)
        assert (found.share == 0) == (depthwise and not signed)


def test_what_is_not_known_of_types_is_empty_and_suspect():
    w = np.full((2, 1), 127, np.int8)
    nodes = [
        helper.make_node("MaxPool", ["x"], ["pooled"], kernel_shape=[1]),
        helper.make_node("MatMulInteger", ["pooled", "w"], ["a"], name="unknown"),
        helper.make_node("MatMulInteger", ["pooled", "w", "zero"], ["b"], name="by its zero point"),
        helper.make_node("MatMulInteger", ["x", "w"], ["c"], name="an input"),
        helper.make_node("QuantizeLinear", ["f", "one", "signed"], ["q"]),
        helper.make_node("MatMulInteger", ["q", "w"], ["d"], name="quantised"),
        helper.make_node("QuantizeLinear", ["f", "one"], ["r"]),
        helper.make_node("MatMulInteger", ["r", "w"], ["e"], name="quantised without a zero point"),
        helper.make_node("DynamicQuantizeLinear", ["f"], ["t", "ts", "tz"]),
        helper.make_node("MatMulInteger", ["t", "w"], ["g"], name="dynamically quantised"),
        helper.make_node("MatMulInteger", ["t", "q"], ["h"], name="made by another node"),
    ]
    inputs = {"x": (np.int8, [1, 1, 2]), "f": (np.float32, [2, 2])}
    constants = {"w": w, "zero": np.int8(0), "one": np.float32(1), "signed": np.int8(0)}
    found = {each.name: each for each in products_of(model_of(nodes, inputs, constants, {"a": (np.int32, None)}))}
    assert {name: each.types[0] for name, each in found.items()} == {
        "unknown": "",
        "by its zero point": "int8",
        "an input": "int8",
        "quantised": "int8",
        "quantised without a zero point": "",
        "dynamically quantised": "uint8",
        "made by another node": "uint8",
    }
    shares = {name: each.share for name, each in found.items()}
    assert [name for name, share in shares.items() if share == 0] == ["by its zero point", "an input", "quantised"]
    assert shares.pop("made by another node") is None
    assert set(shares.values()) == {0.0, 1.0}
    assert found["made by another node"].types[1] == "int8"
    assert found["made by another node"].weights is None


def test_weights_of_any_rank():
    """One column, several matrices side by side, directions of a recurrent layer."""
    vector = only(model_of(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        {"x": (np.uint8, [1, 3])}, {"w": np.int8([127, 127, 5])}, {"y": (np.int32, None)},
    ))  # fmt: skip
    assert vector.name == "y"  # a node without a name is known by what it makes
    assert vector.matrix().tolist() == [[127], [127], [5]]
    assert vector.share == 1 / 2
    several = only(model_of(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        {"x": (np.uint8, [1, 2])}, {"w": np.int8([[[1, 2], [3, 4]], [[5, 127], [6, 127]]])}, {"y": (np.int32, None)},
    ))  # fmt: skip
    assert several.matrix().tolist() == [[1, 2, 5, 127], [3, 4, 6, 127]]
    assert several.share == 1 / 4


def branch(name, weights, own):
    """A graph of one product of x, whose weights it holds itself or has from around it."""
    held = [numpy_helper.from_array(weights, "v")] if own else []
    node = helper.make_node("MatMulInteger", ["x", "v" if own else "w"], [f"{name}/y"], name=name)
    return helper.make_graph([node], name, [], [helper.make_empty_tensor_value_info(f"{name}/y")], held)


def test_graphs_inside_nodes_and_constants_made_by_nodes_count():
    outer, inner = np.int8([[127], [127]]), np.int8([[1], [2]])
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(outer)),
        helper.make_node(
            "If", ["c"], ["y"], then_branch=branch("then", inner, True), else_branch=branch("else", inner, False)
        ),
        helper.make_node("MatMulInteger", ["x", "w"], ["z"], name="outside"),
    ]
    inputs = {"c": (np.bool_, []), "x": (np.uint8, [1, 2])}
    model = model_of(nodes, inputs, {}, {"y": (np.int32, None), "z": (np.int32, None)})
    assert ran(model, {"c": np.array(True), "x": np.uint8([[1, 1]])}).tolist() == [[3]]  # ONNX Runtime takes it
    assert {each.name: each.share for each in products_of(model)} == {"else": 1.0, "then": 0.0, "outside": 1.0}


def test_a_graph_of_floats_has_none():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    assert products_of(model_of(nodes, {"x": (np.float32, [1, 2])}, {"w": np.ones((2, 1), np.float32)}, {})) == []
