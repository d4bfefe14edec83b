from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.functional.onnx_cost import onnx_figures


def graph(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], shape: list, classes: int = 3) -> bytes:
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", classes])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


WEIGHTS = {
    "w1": np.ones((4, 1, 3, 3), np.float32),
    "b1": np.ones(4, np.float32),
    "shape": np.array([0, -1]),
    "w2": np.ones((3, 16), np.float32),
    "b2": np.ones(3, np.float32),
}


def layers(first: str = "w1", second: str = "w2") -> list[onnx.NodeProto]:
    return [
        helper.make_node("Conv", ["x", first, "b1"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["c", "shape"], ["f"]),
        helper.make_node("Gemm", ["f", second, "b2"], ["z"], transB=1),
    ]


@pytest.mark.parametrize("batch", ["batch", 1])
def test_a_float_graph_by_hand(batch: str | int) -> None:
    found = onnx_figures(graph(layers(), WEIGHTS, [batch, 1, 4, 4]), (1, 4, 4))
    assert found.parameters == 36 + 4 + 48 + 3  # the shape is none
    assert found.bits == (32.0, 32.0)
    assert found.macs == 4 * 2 * 2 * 9 + 3 * 16


def dequantised(name: str, zero: str = "zero") -> onnx.NodeProto:
    return helper.make_node("DequantizeLinear", [name, "scale", zero], [f"{name}_real"])


SCALES = {"scale": np.array(0.1, np.float32), "zero": np.array(0, np.int8)}


def test_stored_integers_count_by_their_type_and_clips_by_their_range() -> None:
    constants = {
        **WEIGHTS,
        **SCALES,
        "w1": np.ones((4, 1, 3, 3), np.int8),
        "w2": np.ones((3, 16), np.int8),
        "low": np.array(-7, np.int8),
        "high": np.array(7, np.int8),
    }
    nodes = [
        dequantised("w1"),
        helper.make_node("Clip", ["w2", "low", "high"], ["w2_clipped"]),
        dequantised("w2_clipped"),
        *layers("w1_real", "w2_clipped_real"),
    ]
    found = onnx_figures(graph(nodes, constants, ["batch", 1, 4, 4]), (1, 4, 4))
    assert found.parameters == 36 + 4 + 48 + 3  # scales, zero points and clips are none
    assert found.bits is not None
    assert found.bits.stored == 8
    assert found.bits.nominal == pytest.approx((36 * 8 + 48 * 4) / 84)
    assert found.macs == 4 * 2 * 2 * 9 + 3 * 16


def test_floats_that_are_rounded_at_run_time_store_32_bits() -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["w1", "scale", "zero"], ["w1_q"]),
        dequantised("w1_q"),
        helper.make_node("QuantizeLinear", ["w2", "scale", "zero"], ["w2_q"]),
        dequantised("w2_q"),
        *layers("w1_q_real", "w2_q_real"),
    ]
    found = onnx_figures(graph(nodes, {**WEIGHTS, **SCALES}, ["batch", 1, 4, 4]), (1, 4, 4))
    assert found.bits == (32.0, 8.0)


def test_half_bytes_are_half_bytes() -> None:
    model = onnx.load_model_from_string(
        graph(
            [dequantised("w1"), *layers("w1_real")],
            {**WEIGHTS, **SCALES, "w1": np.ones((4, 1, 3, 3), np.int8)},
            ["b", 1, 4, 4],
        )
    )
    found = [tensor for tensor in model.graph.initializer if tensor.name in ("w1", "zero")]
    for tensor in found:
        shape = list(tensor.dims)
        tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.INT4, shape, [1] * int(np.prod(shape))))
    bits = onnx_figures(model.SerializeToString(), (1, 4, 4)).bits
    assert bits is not None
    assert bits.stored == pytest.approx((36 * 4 + 48 * 32) / 84)


def test_operators_of_other_domains_leave_the_count_open() -> None:
    model = onnx.load_model_from_string(graph(layers(), WEIGHTS, ["batch", 1, 4, 4]))
    model.graph.node[0].op_type = "FusedConv"
    model.graph.node[0].domain = "com.microsoft"
    found = onnx_figures(model.SerializeToString(), (1, 4, 4))
    assert (found.macs, found.reason) == (None, "what com.microsoft.FusedConv computes is not known")


def test_products_inside_recurrent_operators_and_branches_leave_the_count_open() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["steps"]),
        helper.make_node("LSTM", ["steps", "w", "r"], ["z"], hidden_size=2),
    ]
    held = {
        "shape": np.array([4, 1, 4], np.int64),
        "w": np.ones((1, 8, 4), np.float32),
        "r": np.ones((1, 8, 2), np.float32),
    }
    found = onnx_figures(graph(nodes, held, ["batch", 1, 4, 4]), (1, 4, 4))
    assert (found.macs, found.reason) == (None, "the products within LSTM are not counted")


def test_a_graph_without_weights_has_no_bits() -> None:
    nodes = [helper.make_node("Flatten", ["x"], ["z"])]
    found = onnx_figures(graph(nodes, {}, ["batch", 3, 1, 1]), (3, 1, 1))
    assert found == (0, None, 0, "")


def test_shapes_that_the_graph_computes_are_known() -> None:
    """As exporters write ``unflatten``: a size modulo another, which shape inference does not follow."""
    constants = {
        "five": np.array([5]), "three": np.array([3]), "rest": np.array([-1]), "w": np.ones((2, 3), np.float32),
        "flat": np.ones(8, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Mod", ["five", "three"], ["two"]),
        helper.make_node("Concat", ["rest", "two"], ["sizes"], axis=0),
        helper.make_node("Reshape", ["x", "sizes"], ["pairs"]),
        helper.make_node("MatMul", ["pairs", "w"], ["z"]),
        helper.make_node("Reshape", ["flat", "sizes"], ["made"]),  # a weight that is made of constants
        helper.make_node("MatMul", ["made", "w"], ["beside"]),
    ]
    found = onnx_figures(graph(nodes, constants, ["batch", 6]), (6,))
    assert (found.macs, found.reason) == (3 * 2 * 3 + 4 * 2 * 3, "")
