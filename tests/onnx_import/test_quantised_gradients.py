"""Gradients through integer graphs: straight through, hard, and the same values in every mode."""

from typing import get_args

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from bench.onnx_import import import_onnx
from bench.onnx_import.rounding import GradientMode

SCALE, ZERO = np.float32(0.05), np.uint8(20)  # the input's range is [-1, 11.75]
W_SCALE = np.float32([0.02, 0.05])
OUT_SCALE, OUT_ZERO = np.float32(0.3), np.uint8(100)
WEIGHT = np.random.default_rng(1).integers(-127, 128, (2, 1, 3, 3)).astype(np.int8)
BIAS = np.array([150, -90], np.int32)


def conv_file(out_zero=OUT_ZERO) -> bytes:
    """Quantise, QLinearConv, dequantise."""
    constants = {
        "s": SCALE, "z": ZERO, "w": WEIGHT, "ws": W_SCALE, "wz": np.zeros(2, np.int8),
        "ys": OUT_SCALE, "yz": out_zero, "b": BIAS,
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "ws", "wz", "ys", "yz", "b"], ["p"], pads=[1, 1, 1, 1]),
        helper.make_node("DequantizeLinear", ["p", "ys", "yz"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "conv",
        [value("x", TensorProto.FLOAT, ["n", 1, 6, 5])],
        [value("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(tensor), name) for name, tensor in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString()


@pytest.fixture
def x():
    return torch.from_numpy(np.random.default_rng(2).uniform(-3, 14, (4, 1, 6, 5)).astype(np.float32))


def gradient_of(module, x):
    x = x.clone().requires_grad_()
    y = module(x)
    return torch.autograd.grad(y.sum(), x)[0], y.detach()


def reals(x):
    """The convolution of the quantised image in real numbers (n, 2, 6, 5)."""
    weight = torch.from_numpy(WEIGHT * W_SCALE.reshape(2, 1, 1, 1))
    codes = ((x / SCALE).round() + float(ZERO)).clamp(0, 255)
    bias = torch.from_numpy(BIAS.astype(np.float32) * SCALE * W_SCALE)
    return functional.conv2d((codes - float(ZERO)) * SCALE, weight, bias, padding=1), weight


def test_straight_through_is_the_convolution_inside_both_ranges(x):
    """dy/dx = 1[x in range] · convT(1[y in range], w): the closed form."""
    found, _ = gradient_of(import_onnx(conv_file(), "straight_through"), x)
    y, weight = reals(x)
    inside = ((y / OUT_SCALE).round() >= -100) & ((y / OUT_SCALE).round() <= 155)
    within = ((x / SCALE).round() >= -20) & ((x / SCALE).round() <= 235)
    assert 0.1 < float(inside.double().mean()) < 0.9
    assert 0.1 < float(within.double().mean()) < 0.9
    expected = functional.conv_transpose2d(inside.float(), weight, padding=1) * within
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_quantiser_from_zero_on_passes_no_gradient_below_zero(x):
    """As the ReLU did that ONNX Runtime fuses into it, also where a negative value rounds to zero."""
    found, values = gradient_of(import_onnx(conv_file(np.uint8(0)), "straight_through"), x)
    y, weight = reals(x)
    inside = (y > 0) & ((y / OUT_SCALE).round() <= 255)
    rounds_to_zero = (y < 0) & ((y / OUT_SCALE).round() == 0)
    assert rounds_to_zero.any()
    within = ((x / SCALE).round() >= -20) & ((x / SCALE).round() <= 235)
    expected = functional.conv_transpose2d(inside.float(), weight, padding=1) * within
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert values.min() == 0


def test_at_sums_of_exactly_zero_a_product_has_the_relus_gradient():
    """Two entries that cancel: zero, as the fused ReLU has it; a quantiser alone passes the gradient there."""
    constants = {"s": np.float32(1), "z": np.uint8(0), "w": np.array([[1], [-1]], np.int8), "wz": np.int8(0)}
    product = helper.make_node("QLinearMatMul", ["q", "s", "z", "w", "s", "wz", "s", "z"], ["p"])
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        product,
        helper.make_node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "cancel",
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(tensor), name) for name, tensor in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    module = import_onnx(model, "straight_through")
    found, _ = gradient_of(module, torch.tensor([[3.0, 3.0], [4.0, 3.0], [0.0, 0.0]]))
    assert found.tolist() == [[0, 0], [1, -1], [0, 0]]
    x = torch.zeros(1, 2, requires_grad=True)
    codes = module.values({"x": x}, ["q"])["q"]
    assert codes.tolist() == [[0, 0]]


def test_hard_and_exact_gradients_are_zero(x):
    for mode in ("hard", "exact"):
        found, _ = gradient_of(import_onnx(conv_file(), mode), x)
        assert (found == 0).all()


@pytest.mark.parametrize("zero", [0, 100])
def test_values_are_the_same_in_every_mode(x, zero):
    shown = [gradient_of(import_onnx(conv_file(np.uint8(zero)), mode), x)[1] for mode in get_args(GradientMode)]
    assert all(torch.equal(shown[0], other) for other in shown[1:])
    with torch.no_grad():
        assert torch.equal(import_onnx(conv_file(np.uint8(zero)), "straight_through")(x), shown[0])


def dynamic_file() -> bytes:
    """Quantise by the range of the sample itself, multiply, scale back."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "s"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "dynamic",
        [value("x", TensorProto.FLOAT, ["n", 3])],
        [value("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([[1, -2], [3, 4], [-5, 6]], np.int8), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString()


def test_a_dynamic_range_is_a_constant_of_the_gradient():
    """Else the largest entry, which sets the scale, would have another gradient than its weights."""
    x = torch.tensor([[-1.0, 0.3, 4.0]])
    found, _ = gradient_of(import_onnx(dynamic_file(), "straight_through"), x)
    torch.testing.assert_close(found, torch.tensor([[-1.0, 7.0, 1.0]]))
    assert (gradient_of(import_onnx(dynamic_file(), "hard"), x)[0] == 0).all()


@pytest.mark.parametrize("operator", ["Round", "Floor"])
def test_round_and_floor(operator):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"])],
        "step",
        [value("x", TensorProto.FLOAT, [3])],
        [value("y", TensorProto.FLOAT, [3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    x = torch.tensor([0.5, 1.7, -2.5])
    through, values = gradient_of(import_onnx(model, "straight_through"), x)
    assert through.tolist() == [1, 1, 1]
    assert values.tolist() == ([0, 2, -2] if operator == "Round" else [0, 1, -3])
    assert gradient_of(import_onnx(model, "hard"), x)[0].tolist() == [0, 0, 0]
