"""Operators on integer codes that ONNX Runtime's quantiser and optimiser write."""

from __future__ import annotations

from collections.abc import Callable

import torch
from onnx import TensorProto
from torch.nn import functional

from bench.onnx_import.operators.com_microsoft import MICROSOFT
from bench.onnx_import.operators.pooling import average_pool, max_pool
from bench.onnx_import.operators.quantisation import (
    RANGES,
    dequantise,
    dynamic_range,
    element_of,
    quantise,
    range_of,
)
from bench.onnx_import.operators.quantised_linear import (
    Numbers,
    matrix_weight,
    multiplied,
    requantised,
    total,
)
from bench.onnx_import.saturation import lost_in_product
from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import Codes, as_codes


def _scalar(value: Numbers | None) -> torch.Tensor:
    """A scale or zero point of a whole tensor; zero where it is left out."""
    return torch.zeros(()) if value is None else as_codes(value).reshape(())


def _columns(scale: torch.Tensor) -> torch.Tensor:
    """A weight's scale: one a column, or one for all without axes."""
    return scale if scale.numel() > 1 else scale.reshape(())


def fused(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """``a b + c`` of float32 rounded once, as the processor's instruction does."""
    return (a.double() * b.double() + c.double()).float()


def _already_shifted(node: OnnxNode, values: torch.Tensor, zero: torch.Tensor, element: int) -> Codes:
    """Codes of values that hold the zero point already: they are rounded as they are."""
    low, high = range_of(node, element)
    if values.requires_grad and float(zero) == low:
        values = values.clamp(min=low)
    return Codes(node.rounding.saturate(values, low, high), element)


@operator("QLinearAdd", domain=MICROSOFT)
def qlinear_add(
    node: OnnxNode,
    a: Numbers,
    a_scale: torch.Tensor,
    a_zero: Numbers | None,
    b: Numbers,
    b_scale: torch.Tensor,
    b_zero: Numbers | None,
    y_scale: torch.Tensor,
    y_zero: Numbers | None = None,
) -> Codes:
    """``saturate(round(a ra + (b rb + (y_zero - (ra a_zero + rb b_zero)))))``, ra = a_scale / y_scale."""
    first, second = (_scalar(scale) / _scalar(y_scale) for scale in (a_scale, b_scale))
    fixed = _scalar(y_zero) - fused(first, _scalar(a_zero), second * _scalar(b_zero))
    sums = fused(as_codes(a), first, fused(as_codes(b), second, fixed))
    return _already_shifted(node, sums, _scalar(y_zero), element_of(a))


@operator("QLinearMul", domain=MICROSOFT)
def qlinear_mul(
    node: OnnxNode,
    a: Numbers,
    a_scale: torch.Tensor,
    a_zero: Numbers | None,
    b: Numbers,
    b_scale: torch.Tensor,
    b_zero: Numbers | None,
    y_scale: torch.Tensor,
    y_zero: Numbers | None = None,
) -> Codes:
    """``saturate(round((a - a_zero)(b - b_zero) · a_scale b_scale / y_scale + y_zero))``."""
    ratio = _scalar(a_scale) * _scalar(b_scale) / _scalar(y_scale)
    product = (as_codes(a) - _scalar(a_zero)) * (as_codes(b) - _scalar(b_zero))
    return _already_shifted(node, product * ratio + _scalar(y_zero), _scalar(y_zero), element_of(a))


@operator("QGemm", domain=MICROSOFT)
def qgemm(
    node: OnnxNode,
    a: Numbers,
    a_scale: torch.Tensor,
    a_zero: Numbers | None,
    b: Numbers,
    b_scale: torch.Tensor,
    b_zero: Numbers | None,
    c: Numbers | None = None,
    y_scale: torch.Tensor | None = None,
    y_zero: Numbers | None = None,
) -> Codes | torch.Tensor:
    """``(Σ (a - a_zero)(b - b_zero) + c) · alpha a_scale b_scale``, quantised where an output scale is given."""
    turned = bool(node.get("transB", 0))
    prepared = matrix_weight(b, b_zero, transposed=turned)
    left = Codes(as_codes(a).mT, element_of(a)) if node.get("transA", 0) else a
    bias = None if c is None else as_codes(c, torch.float64)
    lost = lost_in_product(node.summing, node.label, left, b, transposed=turned)
    sums = total(torch.matmul, left, a_zero, prepared, bias, lost)
    factor: torch.Tensor = node.get("alpha", 1.0) * a_scale.reshape(()) * _columns(b_scale)
    if y_scale is None:
        return sums.float() * factor
    return requantised(node, sums, factor / y_scale.reshape(()), y_zero, element_of(a if y_zero is None else y_zero))


@operator("MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_integer_to_float(
    node: OnnxNode,
    a: Numbers,
    b: Numbers,
    a_scale: torch.Tensor,
    b_scale: torch.Tensor,
    a_zero: Numbers | None = None,
    b_zero: Numbers | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """``Σ (a - a_zero)(b - b_zero) · a_scale b_scale + bias``."""
    factor = a_scale.reshape(()) * _columns(b_scale)
    product = multiplied(node, a, a_zero, b, b_zero).float() * factor
    return product if bias is None else product + bias


@operator("DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_quantize_matmul(
    node: OnnxNode,
    a: torch.Tensor,
    b: Numbers,
    b_scale: torch.Tensor,
    b_zero: Numbers | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """The product of b and a, which is first quantised to uint8 over its own range."""
    scale, zero = dynamic_range(a)
    codes = Codes(quantise(a, scale, zero, RANGES[TensorProto.UINT8], node.rounding), TensorProto.UINT8)
    return matmul_integer_to_float(node, codes, b, scale, b_scale, zero, b_zero, bias)


@operator("QLinearGlobalAveragePool", domain=MICROSOFT)
def qlinear_global_average_pool(
    node: OnnxNode,
    x: Numbers,
    x_scale: torch.Tensor,
    x_zero: Numbers,
    y_scale: torch.Tensor,
    y_zero: Numbers,
) -> Codes:
    """``saturate(round(Σ (x - x_zero) · x_scale / (y_scale n)) + y_zero)`` over the n positions of a channel."""
    codes = as_codes(x)
    axes = tuple(range(1, codes.ndim - 1) if node.get("channels_last", 0) else range(2, codes.ndim))
    count = 1
    for axis in axes:
        count *= codes.shape[axis]
    # the zero point is taken off first, so that what is summed is in proportion to the reals, as Grad-CAM needs it
    sums = (codes.double() - _scalar(x_zero).double()).sum(axes, keepdim=True)
    factor = _scalar(x_scale) / (_scalar(y_scale) * float(count))
    return requantised(node, sums, factor, y_zero, element_of(y_zero), products=False)


def _through_reals(
    node: OnnxNode,
    function: Callable[[torch.Tensor], torch.Tensor],
    x: Numbers,
    x_parameters: tuple[torch.Tensor, Numbers | None],
    y_parameters: tuple[torch.Tensor, Numbers | None],
) -> Codes:
    """Dequantise, apply a function of reals, quantise: what runtimes write into a table of 256 entries."""
    element = element_of(x)
    reals = function(dequantise(as_codes(x), _scalar(x_parameters[0]), _scalar(x_parameters[1])))
    scale, zero = (_scalar(value) for value in y_parameters)
    return Codes(quantise(reals, scale, zero, range_of(node, element), node.rounding), element)


@operator("QLinearAveragePool", domain=MICROSOFT)
def qlinear_average_pool(
    node: OnnxNode,
    x: Numbers,
    x_scale: torch.Tensor,
    x_zero: Numbers | None,
    y_scale: torch.Tensor,
    y_zero: Numbers | None = None,
) -> Codes:
    """The average pool of the dequantised values, quantised."""

    def pool(reals: torch.Tensor) -> torch.Tensor:
        if not node.get("channels_last", 0):
            return average_pool(node, reals)
        return average_pool(node, reals.movedim(-1, 1)).movedim(1, -1)

    return _through_reals(node, pool, x, (x_scale, x_zero), (y_scale, y_zero))


@operator("QLinearLeakyRelu", domain=MICROSOFT)
def qlinear_leaky_relu(
    node: OnnxNode,
    x: Numbers,
    x_scale: torch.Tensor,
    x_zero: Numbers | None,
    y_scale: torch.Tensor,
    y_zero: Numbers | None = None,
) -> Codes:
    """The leaky ReLU of the dequantised values, quantised."""
    slope = node.get("alpha", 0.01)
    return _through_reals(
        node, lambda reals: functional.leaky_relu(reals, slope), x, (x_scale, x_zero), (y_scale, y_zero)
    )


@operator("QLinearSigmoid", domain=MICROSOFT)
def qlinear_sigmoid(
    node: OnnxNode,
    x: Numbers,
    x_scale: torch.Tensor,
    x_zero: Numbers | None,
    y_scale: torch.Tensor,
    y_zero: Numbers | None = None,
) -> Codes:
    """The sigmoid of the dequantised values, quantised."""
    return _through_reals(node, torch.sigmoid, x, (x_scale, x_zero), (y_scale, y_zero))


@operator("QLinearSoftmax", domain=MICROSOFT)
def qlinear_softmax(
    node: OnnxNode,
    x: Numbers,
    x_scale: torch.Tensor,
    x_zero: Numbers | None,
    y_scale: torch.Tensor,
    y_zero: Numbers | None = None,
) -> Codes:
    """``saturate(round(softmax(x_scale x) · floor(1 / y_scale)) + y_zero)``, as ONNX Runtime has it.

    Before opset 13 over all axes from ``axis`` on. Its kernel rounds the inverse of the scale down.
    """
    older = node.get("opset", 13) < 13
    axis = node.get("axis", 1 if older else -1)
    reals = as_codes(x, torch.float64) * _scalar(x_scale).double()
    if older:
        rows = reals.shape[: axis % reals.ndim].numel()
        shares = reals.reshape(rows, -1).softmax(1).reshape(reals.shape)
    else:
        shares = reals.softmax(axis)
    factor = (1 / _scalar(y_scale)).floor()
    return requantised(node, shares, factor, y_zero, element_of(x), products=False)


@operator("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(node: OnnxNode, y_scale: torch.Tensor, y_zero: Numbers, *parts: Numbers) -> Codes:
    """Each part (codes, scale, zero point) requantised to the output's scale, joined along the axis."""
    made = [
        _through_reals(node, lambda reals: reals, x, (as_codes(scale), zero), (y_scale, y_zero))
        for x, scale, zero in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]
    return Codes(torch.cat([part.codes for part in made], dim=node.get("axis")), element_of(y_zero))


@operator("NhwcMaxPool", domain=MICROSOFT)
def nhwc_max_pool(node: OnnxNode, x: Numbers) -> Codes:
    """The largest code of each window, channels last."""
    largest = max_pool(node, as_codes(x).movedim(-1, 1))
    assert isinstance(largest, torch.Tensor)
    return Codes(largest.movedim(1, -1), element_of(x))
