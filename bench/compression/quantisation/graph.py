"""Quantisers in a torch network: brevitas layers and activation quantisers placed on its graph."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Mapping
from typing import Any

import torch
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from torch import fx, nn
from torch.nn import functional

from bench.compression.quantisation.calls import separate_calls
from bench.compression.quantisation.options import Scheme
from bench.compression.quantisation.quantisers import (
    activation_quantiser,
    layer_classes,
    plain_value,
    quantised_layer,
    quiet_brevitas,
    set_weight_range,
)
from bench.errors import NotApplicable
from bench.networks.hooks import refuse_hooks

BIAS_LIMIT = 2**30  # half of 32 bits: the sum of products needs room too


def quantised_graph(module: nn.Module, scheme: Scheme) -> tuple[fx.GraphModule, dict[str, Any]]:
    """A copy of the module with quantised convolutions and linear layers, not yet calibrated, and what was placed.

    Symmetric weights and activations are signed integers, asymmetric ones unsigned integers with a zero point, biases
    32-bit integers on the product of the scales (float where only weights are quantised). One activation quantiser
    stands after each value that a convolution, a linear layer, an addition or an average pool reads (before max
    pooling and flattening, which do not change values), so that a runtime finds integers on both sides of each of
    these operators. The logits stay float.

    Layers that share a weight go on sharing it, and so do the calls of one layer, each with scales of its own. Raises
    ``NotApplicable`` where torch.fx cannot trace the module, nothing in it can be quantised, or a hook would be lost.
    """
    try:
        traced = fx.symbolic_trace(copy.deepcopy(module).eval())
    except (fx.proxy.TraceError, TypeError, RuntimeError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        what = f"torch.fx cannot trace the network, so quantisers cannot be placed: {why}"
        raise NotApplicable(f"{what}; quantise its file: onnx-export, then ort-static-quant") from error
    refuse_hooks([("", module), *_touched(traced)], "quantising would lose")
    with torch.random.fork_rng(devices=[]), quiet_brevitas():  # new layers draw initial weights
        layers = _replace_layers(traced, scheme, separate_calls(traced))
        if not layers:
            raise NotApplicable("the network has no 2d convolution and no linear layer to quantise")
        quantisers = {} if scheme.activations is None else _place_quantisers(traced, scheme)
    traced.graph.lint()
    traced.recompile()
    return traced.eval(), {"layers": layers, "quantisers": quantisers, "left_float": _left_float(traced)}


def _touched(traced: fx.GraphModule) -> list[tuple[str, nn.Module]]:
    """The layers that are replaced, and those that quantisers look through."""
    passing = {str(node.target) for node in traced.graph.nodes if _preserves_values(traced, node)}
    return [
        (name, layer)
        for name, layer in traced.named_modules()
        if type(layer) in (nn.Conv2d, nn.Linear) or name in passing
    ]


def _replace_layers(traced: fx.GraphModule, scheme: Scheme, calls: Mapping[str, str]) -> dict[str, Any]:
    layers: dict[str, Any] = {}
    first: dict[int, str] = {}
    called = {str(node.target) for node in traced.graph.nodes if node.op == "call_module"}
    for name, layer in list(traced.named_modules()):
        # what a module of torch's own holds inside, such as an encoder layer, gets no quantised input
        if type(layer) not in (nn.Conv2d, nn.Linear) or name not in called:
            continue
        bits = scheme.bits_of(calls.get(name, name))
        quantised = quantised_layer(layer, scheme, bits)
        set_weight_range(quantised)
        traced.set_submodule(name, quantised)
        layers[name] = {"shape": list(layer.weight.shape), "weight_bits": bits}
        if first.setdefault(id(layer.weight), name) != name:
            layers[name]["weight_of"] = first[id(layer.weight)]
    return layers


def bound_ranges(module: nn.Module, smallest: Mapping[str, float]) -> None:
    """Give the named layers' weight ranges a lower limit, in place."""
    with quiet_brevitas():
        for name, limit in smallest.items():
            layer: Any = module.get_submodule(name)
            module.set_submodule(name, quantised_layer(layer, layer.scheme, layer.bits, limit).eval())


def too_small_ranges(module: nn.Module, x: torch.Tensor) -> dict[str, float]:
    """The layers whose bias does not fit 32 bits, and how large the weights' range must be at least.

    The scale of a bias is that of the input times that of the weights. Where a channel's weights are all zero or
    nearly (a channel that BatchNorm switched off), it is so small that the bias would be cut off.
    """
    smallest: dict[str, float] = {}

    def look(layer: Any, inputs: tuple[Any, ...], name: str) -> None:
        if layer.bias is None or layer.scheme.activations is None:
            return
        scale = inputs[0].scale.detach() * layer.quant_weight().scale.detach().flatten()
        if bool((layer.bias.detach().abs() > BIAS_LIMIT * scale).any()):
            needed = float(layer.bias.detach().abs().max() / inputs[0].scale.detach()) / BIAS_LIMIT
            smallest[name] = needed * (
                2 ** (layer.bits - 1) - 1 if layer.scheme.weight_symmetric else 2**layer.bits - 1
            )

    handles = [
        layer.register_forward_pre_hook(functools.partial(look, name=name))
        for name, layer in module.named_modules()
        if type(layer) in layer_classes()
    ]
    with torch.no_grad():
        module(x)
    for handle in handles:
        handle.remove()
    return smallest


def _place_quantisers(traced: fx.GraphModule, scheme: Scheme) -> dict[str, Any]:
    """Insert activation quantisers; answers each one's name and the value that it quantises."""
    sources, path = _sources(traced)
    device = next(traced.parameters()).device
    names: dict[str, Any] = {}
    carrying: set[fx.Node] = set()  # these nodes hold values together with their scale
    for index, source in enumerate(sources):
        name = f"activation_quantiser_{index}"
        traced.add_submodule(name, activation_quantiser(scheme).to(device))
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


def _pass_values_on(traced: fx.GraphModule, node: fx.Node, carrying: set[fx.Node]) -> None:
    """Give plain values to the users that do not know of scales."""
    users = [user for user in node.users if user not in carrying and not _is_layer(traced, user)]
    if not users:
        return
    with traced.graph.inserting_after(node):
        plain = traced.graph.call_function(plain_value, (node,))
    for user in users:
        user.replace_input_with(node, plain)


def _sources(traced: fx.GraphModule) -> tuple[list[fx.Node], set[fx.Node]]:
    """The values to quantise, in the graph's order, and the value-preserving nodes on the way from them."""
    sources: set[fx.Node] = set()
    path: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if not _reads_quantised(traced, node):
            continue
        for operand in node.all_input_nodes:
            while _preserves_values(traced, operand) and isinstance(operand.args[0], fx.Node):
                path.add(operand)
                operand = operand.args[0]
            sources.add(operand)
    return [node for node in traced.graph.nodes if node in sources], path


def _is_layer(traced: fx.GraphModule, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(
        traced.get_submodule(str(node.target)), QuantWeightBiasInputOutputLayer
    )


def _reads_quantised(traced: fx.GraphModule, node: fx.Node) -> bool:
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
    if node.op == "call_module":
        kinds = nn.MaxPool2d | nn.Flatten | nn.Dropout | nn.Dropout2d | nn.Identity
        return isinstance(traced.get_submodule(str(node.target)), kinds)
    if node.op == "call_method":
        return node.target in {"flatten", "view", "reshape"} and len(node.all_input_nodes) == 1
    return node.op == "call_function" and node.target in {torch.flatten, functional.max_pool2d, functional.dropout}


def _left_float(traced: fx.GraphModule) -> list[str]:
    """Modules with parameters of their own that stay in floating point."""
    done = [name for name, part in traced.named_modules() if isinstance(part, QuantWeightBiasInputOutputLayer)]
    return [
        name
        for name, part in traced.named_modules()
        if any(True for _ in part.parameters(recurse=False))
        and not any(name == other or name.startswith(f"{other}.") for other in done)
        and not name.startswith("activation_quantiser_")
    ]
