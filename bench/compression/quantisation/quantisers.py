"""The quantisers themselves: which integers stand for weights, biases and activations, as brevitas builds them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.core.zero_point import ParameterFromRuntimeZeroPoint, ParameterZeroPoint
from brevitas.inject import this
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    Int32Bias,
    ShiftedUint8ActPerTensorFloat,
)
from torch import nn

from bench.compression.quantisation.options import PERCENTILE, Scheme
from bench.compression.quantisation.ranges import Ranges, covering, least_squares


@contextmanager
def quiet_brevitas() -> Iterator[None]:
    """Import and run brevitas without its notes on optional packages and on its own old calls."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fast_hadamard_transform package not found")
        warnings.filterwarnings("ignore", message="brevitas.fx is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Positional args are being deprecated", category=FutureWarning)
        yield


def quantised_layer(layer: Any, scheme: Scheme, bits: int, smallest: float = 0.0) -> nn.Module:
    """A convolution or linear layer with quantised weights and the very same parameters, which others may share.

    ``smallest`` is a lower limit of the weights' range. The layer keeps ``scheme`` and ``bits`` as attributes.
    """
    convolution, linear = layer_classes()
    biased = layer.bias is not None
    options = {
        "bias": biased,
        "weight_quant": _weight_quantiser(scheme.per_channel, scheme.weight_symmetric, scheme.stored_ranges),
        "weight_bit_width": bits,
        "bias_quant": Int32Bias if biased and scheme.activations is not None else None,
        "return_quant_tensor": False,
    }
    if smallest:
        options["weight_scaling_min_val"] = smallest
    quantised: Any
    if isinstance(layer, nn.Conv2d):
        sizes = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
        more = {"dilation": layer.dilation, "groups": layer.groups, "padding_mode": layer.padding_mode}
        quantised = convolution(layer.in_channels, layer.out_channels, **sizes, **more, **options)
    else:
        quantised = linear(layer.in_features, layer.out_features, **options)
    quantised.weight, quantised.bias = layer.weight, layer.bias  # quantisers find them anew while loading
    quantised.load_state_dict(layer.state_dict(), strict=False)  # the quantisers' own state comes by calibration
    quantised.scheme, quantised.bits = scheme, bits
    made: nn.Module = quantised.to(layer.weight.device)
    return made


def set_weight_range(layer: Any) -> None:
    """Store the range of a layer's present weights in its quantiser, in place; nothing where it follows them."""
    scheme: Scheme = layer.scheme
    if not scheme.stored_ranges:
        return
    rows = layer.weight.detach().cpu().double().numpy()
    rows = rows.reshape(len(rows), -1) if scheme.per_channel else rows.reshape(1, -1)
    ranges = covering(rows.min(axis=1), rows.max(axis=1))
    if scheme.weight_range == "mse":
        ranges = least_squares(rows, np.ones((1, 1)), ranges, layer.bits, scheme.weight_grid)
    _store(layer.weight_quant.tensor_quant, ranges, scheme.weight_symmetric)


def set_activation_range(quantiser: Any, low: float, high: float) -> None:
    """Store the range of a calibrated activation quantiser, in place."""
    core = quantiser.act_quant.fused_activation_quant_proxy.tensor_quant
    symmetric = not hasattr(core.zero_point_impl, "value")
    _store(core, covering(np.array([low]), np.array([high])), symmetric)


def reach_zero(quantiser: Any) -> None:
    """Widen a calibrated range that ends below zero up to it, in place; percentiles of negative values leave 0 out."""
    core = quantiser.act_quant.fused_activation_quant_proxy.tensor_quant
    if hasattr(core.zero_point_impl, "value"):
        with torch.no_grad():
            width = core.scaling_impl.value
            width.copy_(torch.maximum(width, core.zero_point_impl.value.abs()))


def _store(core: Any, ranges: Ranges, symmetric: bool) -> None:
    """Write ranges into a brevitas quantiser: its threshold is the whole range, or the largest size."""
    value = core.scaling_impl.value
    width = np.maximum(-ranges.low, ranges.high) if symmetric else ranges.high - ranges.low
    with torch.no_grad():
        value.copy_(torch.from_numpy(width).reshape(value.shape))
        if not symmetric:
            zero = core.zero_point_impl.value
            zero.copy_(torch.from_numpy(-ranges.low).reshape(zero.shape))


@functools.cache
def layer_classes() -> tuple[type, type]:
    """Quantised convolution and linear layer that compute on plain tensors.

    Their results are not integers of a known scale, so brevitas need not derive one (and warn that it cannot where
    the input has a zero point).
    """

    class Convolution(qnn.QuantConv2d):  # type: ignore[misc]
        def inner_forward_impl(self, x: Any, quant_weight: Any, quant_bias: Any) -> Any:
            return super().inner_forward_impl(plain_value(x), plain_value(quant_weight), plain_value(quant_bias))

    class Linear(qnn.QuantLinear):  # type: ignore[misc]
        def inner_forward_impl(self, x: Any, quant_weight: Any, quant_bias: Any) -> Any:
            return super().inner_forward_impl(plain_value(x), plain_value(quant_weight), plain_value(quant_bias))

    return Convolution, Linear


def plain_value(x: Any) -> Any:
    """The tensor of a value with its scale; a plain tensor, as during calibration, is that already."""
    return getattr(x, "value", x)


@functools.cache
def _weight_quantiser(per_channel: bool, symmetric: bool, stored: bool) -> type:
    """Signed integers without, or unsigned ones with a zero point (exports and runtimes take no negative one)."""
    base: Any = Int8WeightPerChannelFloat if per_channel else Int8WeightPerTensorFloat
    if not stored:
        return base  # type: ignore[no-any-return]

    class Stored(base):  # type: ignore[misc]
        scaling_impl_type = "parameter"
        scaling_init = 1.0

    if symmetric:
        return Stored

    class Shifted(Stored):
        narrow_range = False
        signed = False
        quantize_zero_point = True
        zero_point_impl = ParameterZeroPoint
        zero_point_init = 0.0
        zero_point_shape = this.scaling_shape

    return Shifted


def activation_quantiser(scheme: Scheme) -> nn.Module:
    """An activation quantiser, not yet calibrated; its results know their scale."""
    options: dict[str, Any] = {}
    if scheme.percentile != PERCENTILE:
        options = {"high_percentile_q": scheme.percentile}
        if not scheme.activation_symmetric:
            options["low_percentile_q"] = round(100 - scheme.percentile, 9)
    made: nn.Module = qnn.QuantIdentity(
        act_quant=_activation_class(scheme.activation_symmetric),
        bit_width=scheme.activations,
        return_quant_tensor=True,
        **options,
    )
    return made


@functools.cache
def _activation_class(symmetric: bool) -> type:
    """Signed integers, or unsigned ones with a zero point, range by percentiles; no warning on its state."""
    if symmetric:
        return Int8ActPerTensorFloat  # type: ignore[no-any-return]

    class ZeroPoint(ParameterFromRuntimeZeroPoint):  # type: ignore[misc]
        def state_dict(self, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
            with quiet_brevitas():
                return super().state_dict(destination, prefix, keep_vars)

    class ActivationQuantiser(ShiftedUint8ActPerTensorFloat):  # type: ignore[misc]
        zero_point_impl = ZeroPoint

    return ActivationQuantiser
