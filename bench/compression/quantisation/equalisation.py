"""Cross-layer equalisation: the same float function with like ranges in every channel, before quantising."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from bench.networks.hooks import has_hooks

ROUNDS = 20
LARGEST = 1e4  # of a channel's factor and its inverse


@dataclass(frozen=True)
class LayerPair:
    """Two layers with nothing but positively homogeneous functions between them."""

    first: str
    second: str


@dataclass(frozen=True)
class Equalised:
    """A copy with equalised weights, the pairs, and the largest factor by which a channel changed."""

    module: nn.Module
    pairs: tuple[LayerPair, ...]
    largest_factor: float


def equalise(module: nn.Module) -> Equalised:
    """Scale the channels between two layers so that both use their ranges alike; the given module is not changed.

    For a channel i between layers with weights V (its rows) and W (its columns) and a function f(s x) = s f(x), s > 0:
    ``V_i / s_i, b_i / s_i, s_i W_:i`` compute the same, and ``s_i = sqrt(max|V_i| / max|W_:i|)`` makes the two ranges
    equal. Repeated over all pairs until nothing moves. A channel without weights on one side keeps them.
    Nagel et al., arXiv:1906.04721.
    """
    made = copy.deepcopy(module).eval()
    pairs = find_pairs(made)
    layers: dict[str, Any] = {name: made.get_submodule(name) for pair in pairs for name in (pair.first, pair.second)}
    weights = {name: layer.weight.detach().double() for name, layer in layers.items()}
    biases = {name: layer.bias.detach().double() for name, layer in layers.items() if layer.bias is not None}
    totals = {pair: torch.ones(len(weights[pair.first]), dtype=torch.float64) for pair in pairs}
    for _ in range(ROUNDS):
        moved = 0.0
        for pair in pairs:
            factors = _factors(weights[pair.first], weights[pair.second], _is_depthwise(layers[pair.second]))
            factors = (totals[pair] * factors).clamp(1 / LARGEST, LARGEST) / totals[pair]
            totals[pair] = totals[pair] * factors
            weights[pair.first] = weights[pair.first] / _along(factors, weights[pair.first], 0)
            if pair.first in biases:
                biases[pair.first] = biases[pair.first] / factors
            weights[pair.second] = _scale_inputs(weights[pair.second], factors, _is_depthwise(layers[pair.second]))
            moved = max(moved, float(factors.log().abs().max()))
        if moved < 1e-3:
            break
    with torch.no_grad():
        for name, layer in layers.items():
            layer.weight.copy_(weights[name])
            if name in biases:
                layer.bias.copy_(biases[name])
    largest = max((float(total.log().abs().max().exp()) for total in totals.values()), default=1.0)
    return Equalised(made, pairs, largest)


def _factors(first: torch.Tensor, second: torch.Tensor, depthwise: bool) -> torch.Tensor:
    """``sqrt(max|V_i| / max|W_:i|)`` a channel; 1 where either is zero."""
    rows = first.flatten(1).abs().amax(dim=1)
    columns = second.abs() if depthwise else second.abs().transpose(0, 1)
    ends = columns.reshape(len(rows), -1).amax(dim=1)
    factors = (rows / ends.clamp_min(torch.finfo(ends.dtype).tiny)).sqrt()
    return torch.where((rows > 0) & (ends > 0), factors, torch.ones_like(factors))


def _scale_inputs(weight: torch.Tensor, factors: torch.Tensor, depthwise: bool) -> torch.Tensor:
    """Multiply what reads each channel: its own filter, a column, or (after flattening) a run of columns."""
    if depthwise:
        return weight * _along(factors, weight, 0)
    return weight * _along(factors.repeat_interleave(weight.shape[1] // len(factors)), weight, 1)


def _along(factors: torch.Tensor, weight: torch.Tensor, dim: int) -> torch.Tensor:
    return factors.view(*[-1 if axis == dim else 1 for axis in range(weight.ndim)])


def find_pairs(module: nn.Module) -> tuple[LayerPair, ...]:
    """The pairs of layers between which channels may be scaled, in the graph's order; none where it cannot be traced.

    Both are 2d convolutions or linear layers that are called once and share nothing; the value between them goes
    nowhere else and passes only ReLU, leaky ReLU, dropout, pooling and flattening.
    """
    try:
        traced = fx.symbolic_trace(module)
    except (fx.proxy.TraceError, TypeError, RuntimeError):
        return ()
    calls: dict[int, int] = {}
    for node in traced.graph.nodes:
        if node.op == "call_module":
            for parameter in traced.get_submodule(str(node.target)).parameters():
                calls[id(parameter)] = calls.get(id(parameter), 0) + 1
    pairs = []
    for node in traced.graph.nodes:
        first = _layer(traced, node, calls)
        if first is None:
            continue
        following = _next_layer(traced, node)
        second = None if following is None else _layer(traced, following, calls)
        if following is not None and second is not None and _fits(first, second):
            pairs.append(LayerPair(str(node.target), str(following.target)))
    return tuple(pairs)


def _layer(traced: fx.GraphModule, node: fx.Node, calls: dict[int, int]) -> Any:
    if node.op != "call_module":
        return None
    layer = traced.get_submodule(str(node.target))
    alone = all(calls[id(parameter)] == 1 for parameter in layer.parameters())
    return layer if type(layer) in (nn.Conv2d, nn.Linear) and alone and not has_hooks(layer) else None


def _next_layer(traced: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The only reader of a value, past functions with f(s x) = s f(x)."""
    while len(node.users) == 1:
        node = next(iter(node.users))
        if not _homogeneous(traced, node):
            return node if node.op == "call_module" else None
    return None


def _homogeneous(traced: fx.GraphModule, node: fx.Node) -> bool:
    if len(node.all_input_nodes) != 1:
        return False
    if node.op == "call_module":
        part = traced.get_submodule(str(node.target))
        if has_hooks(part):
            return False
        pools = nn.MaxPool2d | nn.AvgPool2d | nn.AdaptiveAvgPool2d | nn.Flatten
        return isinstance(part, pools | nn.ReLU | nn.LeakyReLU | nn.Dropout | nn.Dropout2d | nn.Identity)
    if node.op == "call_method":
        return node.target in {"relu", "flatten"} or (node.target == "mean" and _spatial(node))
    known = {torch.relu, functional.relu, functional.leaky_relu, torch.flatten, functional.dropout}
    pooled = {functional.max_pool2d, functional.avg_pool2d, functional.adaptive_avg_pool2d}
    return node.op == "call_function" and (
        node.target in known | pooled or (node.target is torch.mean and _spatial(node))
    )


def _spatial(node: fx.Node) -> bool:
    """Whether a mean leaves batch and channels alone."""
    dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    return isinstance(dims, list | tuple) and set(dims) <= {2, 3, -1, -2}


def _is_depthwise(layer: Any) -> bool:
    return getattr(layer, "groups", 1) > 1


def _fits(first: Any, second: Any) -> bool:
    """Whether the second layer's inputs are the first's channels, each perhaps at several positions."""
    channels = first.weight.shape[0]
    groups = getattr(second, "groups", 1)
    if groups > 1:
        return bool(groups == channels == second.in_channels == second.out_channels)
    return bool(second.weight.shape[1] % channels == 0)
