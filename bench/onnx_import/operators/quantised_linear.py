"""Convolutions and matrix products of integer codes: sums without any rounding error, then one requantisation."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

import torch
from onnx import TensorProto
from torch.utils.weak import WeakIdKeyDictionary

from bench.onnx_import.operators.convolution import conv, reach
from bench.onnx_import.operators.quantisation import RANGES, element_of, range_of, saturated
from bench.onnx_import.saturation import is_kind, lost_in_convolution, lost_in_product
from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import Codes, as_codes

EXACT = 2**24
"""Whole numbers below it, and their sums, are exact in float32."""

Numbers = torch.Tensor | Codes


class Weight(NamedTuple):
    """A weight without its zero point: float32 numbers, and the largest sum of magnitudes of one output."""

    numbers: torch.Tensor
    reach: float


# constants are converted once; an entry goes with its tensor
_weights: MutableMapping[torch.Tensor, Any] = WeakIdKeyDictionary()


def weight_of(weight: Numbers, zero: Numbers | None, axes: tuple[int, ...], spread: tuple[int, ...]) -> Weight:
    """The weight as real numbers.

    Args:
        weight: integers, (outputs, inputs, ...) or (..., inputs, outputs).
        zero: of all of it or one an output.
        axes: over which an output sums.
        spread: the shape in which one zero point an output meets the weight.
    """
    if isinstance(weight, Codes):  # made by another node
        return _shifted(weight, zero, axes, spread)
    kept = _weights.get(weight)
    if kept is None or kept[0] is not zero or kept[1] != axes:
        kept = (zero, axes, _shifted(weight, zero, axes, spread))
        _weights[weight] = kept
    cached: Weight = kept[2]
    return cached


def _shifted(weight: Numbers, zero: Numbers | None, axes: tuple[int, ...], spread: tuple[int, ...]) -> Weight:
    numbers = as_codes(weight)
    if zero is not None:
        shift = as_codes(zero)
        numbers = numbers - (shift.reshape(()) if shift.numel() == 1 else shift.view(spread))
    return Weight(numbers, float(numbers.detach().double().abs().sum(axes).max()) if numbers.numel() else 0.0)


def total(
    multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    x: Numbers,
    zero: Numbers | None,
    weight: Weight,
    bias: torch.Tensor | None = None,
    lost: torch.Tensor | None = None,
) -> torch.Tensor:
    """``multiply(x - zero, weight) + bias + lost``, free of rounding: in float32 where every sum stays below 2^24.

    The bound is ``reach · max|x - zero|`` over all codes x can have; elsewhere the sum is done in float64.

    Args:
        multiply: a product that is linear in both.
        x: integer codes.
        zero: their zero point, one a tensor (or, in a matrix product, one a row).
        weight: from ``weight_of``.
        bias: whole numbers that broadcast against the product.
        lost: what saturation takes from the sums (float64), of the product's shape.
    """
    low, high = RANGES[element_of(x)]
    shift = 0.0 if zero is None else as_codes(zero)
    codes = as_codes(x)
    if isinstance(shift, torch.Tensor):
        shift = shift.reshape(()) if shift.numel() == 1 else shift.unsqueeze(-1)
        largest = float(torch.maximum((low - shift).abs(), (high - shift).abs()).max())
        codes = codes - shift if bool(shift.any()) else codes
    else:
        largest = float(max(-low, high))
    most = weight.reach * largest
    wide = most >= EXACT or (bias is not None and bool((bias.abs() >= EXACT).any()))
    exact = torch.float64 if wide else torch.float32
    product = multiply(codes.to(exact), weight.numbers.to(exact))
    product = product if bias is None else product + bias.to(product.dtype)
    return product if lost is None else product.double() + lost


def requantised(
    node: OnnxNode,
    sums: torch.Tensor,
    factor: torch.Tensor,
    scale_zero: torch.Tensor | Codes | None,
    element: int,
    *,
    products: bool = True,
) -> Codes:
    """``saturate(round(sums · factor) + zero)``, the product in float32 as ONNX Runtime has it.

    ``products``: of a layer that a ReLU may have stood behind. Where the smallest code means zero, the gradient at
    sums of exactly zero is then that ReLU's, zero; on coarse grids such sums are common.
    """
    limits = range_of(node, element)
    zero = sums.new_zeros((), dtype=torch.float32) if scale_zero is None else as_codes(scale_zero).reshape(())
    values = sums.float() * factor
    if products and values.requires_grad and float(zero) == limits[0]:
        values = torch.relu(values)
    return Codes(saturated(values, zero, limits, node.rounding), element)


def convolve(node: OnnxNode, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The convolution that the node's attributes describe; channels are last where it says so."""
    if not node.get("channels_last", 0):
        return conv(node, x, weight)
    return conv(node, x.movedim(-1, 1), weight).movedim(1, -1)


def _channels(node: OnnxNode, values: torch.Tensor, rank: int) -> torch.Tensor:
    """One value a channel in a shape that meets the convolution's result."""
    if values.numel() == 1:
        return values.reshape(())
    return values if node.get("channels_last", 0) else values.view(-1, *[1] * (rank - 2))


def _convolved(
    node: OnnxNode, x: Numbers, zero: Numbers | None, weight: Numbers, weight_zero: Numbers | None, bias: Numbers | None
) -> torch.Tensor:
    rank = (weight.codes if isinstance(weight, Codes) else weight).ndim
    prepared = weight_of(weight, weight_zero, tuple(range(1, rank)), (-1, *[1] * (rank - 1)))
    added = None if bias is None else _channels(node, as_codes(bias, torch.float64), rank)
    lost = _lost(node, x, zero, weight)
    return total(lambda a, b: convolve(node, a, b), x, zero, prepared, added, lost)


def _lost(node: OnnxNode, x: Numbers, zero: Numbers | None, weight: Numbers) -> torch.Tensor | None:
    """The part of a convolution's sums that saturation takes; None where they are exact.

    Products of uint8 with int8 codes saturate in QLinearConv, of int8 with uint8 codes in ConvInteger. One channel in
    and one out a group is a kernel of its own, which is exact.
    """
    signed = node.operator == "ConvInteger"
    kinds = (TensorProto.INT8, TensorProto.UINT8) if signed else (TensorProto.UINT8, TensorProto.INT8)
    if node.summing.sums == "exact" or not (is_kind(x, kinds[0]) and is_kind(weight, kinds[1])):
        return None
    shape, group = as_codes(weight).shape, node.get("group", 1)
    if not signed and shape[1] == 1 and shape[0] == group:
        return None
    last = bool(node.get("channels_last", 0))
    codes = as_codes(x).movedim(-1, 1) if last else as_codes(x)
    padding = 0.0 if zero is None else float(as_codes(zero))
    read = reach(node, codes, list(shape[2:]), padding)
    lost = lost_in_convolution(node.summing, node.label, read, weight, group, signed=signed)
    return lost.movedim(1, -1) if last else lost


@operator("QLinearConv", since=10)
@operator("QLinearConv", domain="com.microsoft")
def qlinear_conv(
    node: OnnxNode,
    x: Numbers,
    x_scale: torch.Tensor,
    x_zero: Numbers,
    w: Numbers,
    w_scale: torch.Tensor,
    w_zero: Numbers,
    y_scale: torch.Tensor,
    y_zero: Numbers,
    bias: Numbers | None = None,
) -> Codes:
    """``saturate(round((Σ (x - x_zero)(w - w_zero) + bias) · x_scale w_scale / y_scale) + y_zero)``."""
    sums = _convolved(node, x, x_zero, w, w_zero, bias)
    factor = x_scale.reshape(()) * w_scale / y_scale.reshape(())
    return requantised(node, sums, _channels(node, factor, sums.ndim), y_zero, element_of(y_zero))


@operator("ConvInteger", since=10)
def conv_integer(
    node: OnnxNode, x: Numbers, w: Numbers, x_zero: Numbers | None = None, w_zero: Numbers | None = None
) -> Codes:
    """``Σ (x - x_zero)(w - w_zero)`` as 32-bit integers."""
    return Codes(_convolved(node, x, x_zero, w, w_zero, None), TensorProto.INT32)


def matrix_weight(b: Numbers, zero: Numbers | None, *, transposed: bool = False) -> Weight:
    """The right factor (..., inputs, outputs) of a matrix product as numbers; ``transposed``: it is given turned."""
    if transposed:
        numbers, reach = weight_of(b, zero, (-1,), (-1, 1))
        return Weight(numbers.mT, reach)
    return weight_of(b, zero, (-2,), (1, -1))


def multiplied(node: OnnxNode, a: Numbers, a_zero: Numbers | None, b: Numbers, b_zero: Numbers | None) -> torch.Tensor:
    """``Σ_k (a_ik - a_zero)(b_kj - b_zero)``: a (..., m, k), b (..., k, n)."""
    vector = (b.codes if isinstance(b, Codes) else b).ndim == 1
    weight = weight_of(b, b_zero, (-1,), (1,)) if vector else matrix_weight(b, b_zero)
    return total(torch.matmul, a, a_zero, weight, lost=lost_in_product(node.summing, node.label, a, b))


@operator("MatMulInteger", since=10)
def matmul_integer(
    node: OnnxNode, a: Numbers, b: Numbers, a_zero: Numbers | None = None, b_zero: Numbers | None = None
) -> Codes:
    """``Σ_k (a_ik - a_zero)(b_kj - b_zero)`` as 32-bit integers."""
    return Codes(multiplied(node, a, a_zero, b, b_zero), TensorProto.INT32)


@operator("QLinearMatMul", since=10)
def qlinear_matmul(
    node: OnnxNode,
    a: Numbers,
    a_scale: torch.Tensor,
    a_zero: Numbers,
    b: Numbers,
    b_scale: torch.Tensor,
    b_zero: Numbers,
    y_scale: torch.Tensor,
    y_zero: Numbers,
) -> Codes:
    """``saturate(round(Σ_k (a - a_zero)(b - b_zero) · a_scale b_scale / y_scale) + y_zero)``."""
    sums = multiplied(node, a, a_zero, b, b_zero)
    rows = a_scale.reshape(()) if a_scale.numel() == 1 else a_scale.unsqueeze(-1)
    columns = b_scale.reshape(()) if b_scale.numel() == 1 else b_scale
    factor = (rows * columns / y_scale.reshape(())).float()
    return requantised(node, sums, factor, y_zero, element_of(y_zero))
