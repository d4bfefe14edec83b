"""Where quantisers stand in a torch network: brevitas layers and activation quantisers placed on its graph."""

from __future__ import annotations

import copy
import functools
import operator
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.errors import NotApplicable

if TYPE_CHECKING:
    import torch
    from torch import fx, nn


BIAS_LIMIT = 2**30  # half of 32 bits: the sum of products needs room too


@dataclass(frozen=True)
class Widths:
    """Bit widths of weights and activations; one weight scale an output channel, or one a tensor."""

    weights: int
    activations: int
    per_channel: bool


def quantised_graph(module: nn.Module, widths: Widths) -> tuple[fx.GraphModule, dict[str, Any]]:
    """A copy of the module with quantised convolutions and linear layers, not yet calibrated, and what was placed.

    Weights are symmetric signed integers, biases 32-bit integers on the product of the scales, activations unsigned
    integers with a zero point. One activation quantiser stands after each value that a convolution, a linear layer,
    an addition or an average pool reads (before max pooling and flattening, which do not change values), so that a
    runtime finds integers on both sides of each of these operators. The logits stay float.

    Raises ``NotApplicable`` where torch.fx cannot trace the module or nothing in it can be quantised.
    """
    import torch
    from torch import fx

    try:
        traced = fx.symbolic_trace(copy.deepcopy(module).eval())
    except (fx.proxy.TraceError, TypeError, RuntimeError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NotApplicable(f"torch.fx cannot trace the network, so quantisers cannot be placed: {why}") from error
    with torch.random.fork_rng(devices=[]), quiet_brevitas():  # new layers draw initial weights
        layers = _replace_layers(traced, widths)
        if not layers:
            raise NotApplicable("the network has no 2d convolution and no linear layer to quantise")
        quantisers = _place_quantisers(traced, widths.activations)
    traced.graph.lint()
    traced.recompile()
    return traced.eval(), {"layers": layers, "quantisers": quantisers, "left_float": _left_float(traced)}


@contextmanager
def quiet_brevitas() -> Iterator[None]:
    """Import and run brevitas without its notes on optional packages and on its own old calls."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fast_hadamard_transform package not found")
        warnings.filterwarnings("ignore", message="brevitas.fx is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Positional args are being deprecated", category=FutureWarning)
        yield


def _replace_layers(traced: fx.GraphModule, widths: Widths) -> dict[str, Any]:
    from torch import nn

    layers: dict[str, Any] = {}
    for name, layer in list(traced.named_modules()):
        if type(layer) not in (nn.Conv2d, nn.Linear):
            continue
        traced.set_submodule(name, _quantised_layer(layer, widths))
        layers[name] = {"shape": list(layer.weight.shape), "weight_bits": widths.weights}
    return layers


def bound_ranges(module: nn.Module, widths: Widths, smallest: Mapping[str, float]) -> None:
    """Give the named layers' weight ranges a lower limit, in place."""
    with quiet_brevitas():
        for name, limit in smallest.items():
            module.set_submodule(name, _quantised_layer(module.get_submodule(name), widths, limit).eval())


def too_small_ranges(module: nn.Module, widths: Widths, x: torch.Tensor) -> dict[str, float]:
    """The layers whose bias does not fit 32 bits, and how large the weights' range must be at least.

    The scale of a bias is that of the input times that of the weights. Where a channel's weights are all zero or
    nearly (a channel that BatchNorm switched off), it is so small that the bias would be cut off.
    """
    import torch

    found: dict[str, float] = {}

    def look(layer: Any, inputs: tuple[Any, ...], name: str) -> None:
        if layer.bias is None:
            return
        scale = inputs[0].scale.detach() * layer.quant_weight().scale.detach().flatten()
        if bool((layer.bias.detach().abs() > BIAS_LIMIT * scale).any()):
            needed = float(layer.bias.detach().abs().max() / inputs[0].scale.detach()) / BIAS_LIMIT
            found[name] = needed * (2 ** (widths.weights - 1) - 1)

    handles = [
        layer.register_forward_pre_hook(functools.partial(look, name=name))
        for name, layer in module.named_modules()
        if type(layer) in _layer_classes()
    ]
    with torch.no_grad():
        module(x)
    for handle in handles:
        handle.remove()
    return found


def _quantised_layer(layer: Any, widths: Widths, smallest: float = 0.0) -> nn.Module:
    from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat, Int32Bias
    from torch import nn

    convolution, linear = _layer_classes()
    options = {
        "bias": layer.bias is not None,
        "weight_quant": Int8WeightPerChannelFloat if widths.per_channel else Int8WeightPerTensorFloat,
        "weight_bit_width": widths.weights,
        "bias_quant": None if layer.bias is None else Int32Bias,
        "return_quant_tensor": False,
    }
    if smallest:
        options["weight_scaling_min_val"] = smallest
    quantised: nn.Module
    if isinstance(layer, nn.Conv2d):
        sizes = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
        more = {"dilation": layer.dilation, "groups": layer.groups, "padding_mode": layer.padding_mode}
        quantised = convolution(layer.in_channels, layer.out_channels, **sizes, **more, **options)
    else:
        quantised = linear(layer.in_features, layer.out_features, **options)
    quantised.load_state_dict(layer.state_dict(), strict=False)  # the quantisers' own state comes by calibration
    return quantised.to(layer.weight.device)


@functools.cache
def _layer_classes() -> tuple[type, type]:
    """Quantised convolution and linear layer that compute on plain tensors.

    Their results are not integers of a known scale, so brevitas need not derive one (and warn that it cannot where
    the input has a zero point).
    """
    import brevitas.nn as qnn

    class Convolution(qnn.QuantConv2d):  # type: ignore[misc]
        def inner_forward_impl(self, x: Any, quant_weight: Any, quant_bias: Any) -> Any:
            return super().inner_forward_impl(plain_value(x), plain_value(quant_weight), plain_value(quant_bias))

    class Linear(qnn.QuantLinear):  # type: ignore[misc]
        def inner_forward_impl(self, x: Any, quant_weight: Any, quant_bias: Any) -> Any:
            return super().inner_forward_impl(plain_value(x), plain_value(quant_weight), plain_value(quant_bias))

    return Convolution, Linear


def _place_quantisers(traced: fx.GraphModule, bits: int) -> dict[str, Any]:
    """Insert activation quantisers; answers each one's name and the value that it quantises."""
    import brevitas.nn as qnn

    sources, path = _sources(traced)
    device = next(traced.parameters()).device
    names: dict[str, Any] = {}
    carrying: set[fx.Node] = set()  # these nodes hold values together with their scale
    for index, source in enumerate(sources):
        name = f"activation_quantiser_{index}"
        quantiser = qnn.QuantIdentity(act_quant=_activation_quantiser(), bit_width=bits, return_quant_tensor=True)
        traced.add_submodule(name, quantiser.to(device))
        names[name] = {"after": source.target if isinstance(source.target, str) else source.name}
        users = [user for user in source.users if user in path or _reads_quantised(traced, user)]
        with traced.graph.inserting_after(source):
            node = traced.graph.call_module(name, (source,))
        for user in users:
            user.replace_input_with(source, node)
        carrying.add(node)
    for node in list(traced.graph.nodes):
        if node in path and node.args[0] in carrying:
            carrying.add(node)
    for node in list(traced.graph.nodes):
        if node in carrying:
            _pass_values_on(traced, node, carrying)
    return names


@functools.cache
def _activation_quantiser() -> type:
    """Unsigned integers with a zero point, range by percentiles; its state is read without a warning."""
    from brevitas.core.zero_point import ParameterFromRuntimeZeroPoint
    from brevitas.quant import ShiftedUint8ActPerTensorFloat

    class ZeroPoint(ParameterFromRuntimeZeroPoint):  # type: ignore[misc]
        def state_dict(self, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
            with quiet_brevitas():
                return super().state_dict(destination, prefix, keep_vars)

    class ActivationQuantiser(ShiftedUint8ActPerTensorFloat):  # type: ignore[misc]
        zero_point_impl = ZeroPoint

    return ActivationQuantiser


def _pass_values_on(traced: fx.GraphModule, node: fx.Node, carrying: set[fx.Node]) -> None:
    """Give plain values to the users that do not know of scales."""
    users = [user for user in node.users if user not in carrying and not _is_layer(traced, user)]
    if not users:
        return
    with traced.graph.inserting_after(node):
        plain = traced.graph.call_function(plain_value, (node,))
    for user in users:
        user.replace_input_with(node, plain)


def plain_value(x: Any) -> Any:
    """The tensor of a value with its scale; a plain tensor, as during calibration, is that already."""
    return getattr(x, "value", x)


def _sources(traced: fx.GraphModule) -> tuple[list[fx.Node], set[fx.Node]]:
    """The values to quantise, in the graph's order, and the value-preserving nodes on the way from them."""
    from torch import fx

    found: set[fx.Node] = set()
    path: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if not _reads_quantised(traced, node):
            continue
        for operand in node.all_input_nodes:
            while _preserves_values(traced, operand) and isinstance(operand.args[0], fx.Node):
                path.add(operand)
                operand = operand.args[0]
            found.add(operand)
    return [node for node in traced.graph.nodes if node in found], path


def _is_layer(traced: fx.GraphModule, node: fx.Node) -> bool:
    from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer

    return node.op == "call_module" and isinstance(
        traced.get_submodule(str(node.target)), QuantWeightBiasInputOutputLayer
    )


def _reads_quantised(traced: fx.GraphModule, node: fx.Node) -> bool:
    import torch
    from torch import nn
    from torch.nn import functional

    if _is_layer(traced, node):
        return True
    if node.op == "call_module":
        return isinstance(traced.get_submodule(str(node.target)), nn.AvgPool2d | nn.AdaptiveAvgPool2d)
    averages = {functional.avg_pool2d, functional.adaptive_avg_pool2d, torch.mean}
    if node.op == "call_function" and node.target in {operator.add, operator.iadd, torch.add}:
        return len(node.all_input_nodes) == 2
    return (node.op == "call_function" and node.target in averages) or (
        node.op == "call_method" and node.target == "mean"
    )


def _preserves_values(traced: fx.GraphModule, node: fx.Node) -> bool:
    import torch
    from torch import nn
    from torch.nn import functional

    if node.op == "call_module":
        kinds = nn.MaxPool2d | nn.Flatten | nn.Dropout | nn.Dropout2d | nn.Identity
        return isinstance(traced.get_submodule(str(node.target)), kinds)
    if node.op == "call_method":
        return node.target in {"flatten", "view", "reshape"} and len(node.all_input_nodes) == 1
    return node.op == "call_function" and node.target in {torch.flatten, functional.max_pool2d, functional.dropout}


def _left_float(traced: fx.GraphModule) -> list[str]:
    """Modules with parameters of their own that stay in floating point."""
    from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer

    done = [name for name, part in traced.named_modules() if isinstance(part, QuantWeightBiasInputOutputLayer)]
    return [
        name
        for name, part in traced.named_modules()
        if any(True for _ in part.parameters(recurse=False))
        and not any(name == other or name.startswith(f"{other}.") for other in done)
        and not name.startswith("activation_quantiser_")
    ]
