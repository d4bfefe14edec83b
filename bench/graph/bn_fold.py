"""BatchNorm folding: the same function without the layer, exact in real arithmetic."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import fx, nn


@dataclass(frozen=True)
class Folded:
    """A BatchNorm and the layer that takes it over."""

    batch_norm: str
    into: str


@dataclass(frozen=True)
class Kept:
    """A BatchNorm that stays, and why."""

    batch_norm: str
    reason: str


class Folding(NamedTuple):
    """A folded copy, and what became of each BatchNorm."""

    module: nn.Module
    folded: tuple[Folded, ...]
    kept: tuple[Kept, ...]


def fold_batch_norms(module: nn.Module, shape: tuple[int, ...]) -> Folding:
    """Fold every BatchNorm that directly follows a convolution or linear layer of its own into that layer.

    In eval mode ``BN(y) = s y + t`` with ``s = gamma / sqrt(var + eps)`` and ``t = beta - mu s``, so the layer before
    it gets ``W' = s W`` (per output channel) and ``b' = s b + t``. Computed in float64, then cast to the layer's type.
    The BatchNorm becomes an ``Identity``; the module tree otherwise stays as it is. The given module is not changed.

    Args:
        module: a torch module.
        shape: (channels, height, width) of one input, to see the layers' shapes.

    Returns:
        The copy in eval mode, the folded pairs in the order of the forward pass, and the BatchNorms that stay.
    """
    copied = copy.deepcopy(module).eval()
    folded, kept = find_chains(copied, shape)
    for pair in folded:
        weight, bias = folded_parameters(copied.get_submodule(pair.into), copied.get_submodule(pair.batch_norm))
        layer = replace_batch_norm(copied, pair)
        layer.weight.data.copy_(weight)
        layer.bias.data.copy_(bias)
    return Folding(copied, folded, kept)


def folded_parameters(layer: Any, batch_norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """``W' = s W`` and ``b' = s b + t`` in float64, with ``s = gamma / sqrt(var + eps)`` and ``t = beta - mu s``.

    >>> import torch
    >>> layer, norm = torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1, eps=0.0)
    >>> state = {"weight": [2.0], "bias": [1.0], "running_mean": [3.0], "running_var": [4.0], "num_batches_tracked": 1}
    >>> norm.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    <All keys matched successfully>
    >>> layer.load_state_dict({"weight": torch.tensor([[5.0]]), "bias": torch.tensor([7.0])})
    <All keys matched successfully>
    >>> [v.item() for v in folded_parameters(layer, norm)]  # s = 2/2 = 1, t = 1 - 3 = -2
    [5.0, 5.0]
    """
    import torch

    var, mean = batch_norm.running_var.double(), batch_norm.running_mean.double()
    scale = torch.rsqrt(var + batch_norm.eps)
    if batch_norm.weight is not None:
        scale = scale * batch_norm.weight.detach().double()
    shift = -mean * scale
    if batch_norm.bias is not None:
        shift = shift + batch_norm.bias.detach().double()
    weight: torch.Tensor = layer.weight.detach().double()
    if layer.bias is not None:
        shift = shift + scale * layer.bias.detach().double()
    return weight * scale.view(-1, *[1] * (weight.ndim - 1)), shift


def replace_batch_norm(module: nn.Module, pair: Folded) -> Any:
    """Put an ``Identity`` in the BatchNorm's place and give the layer a bias; weights are left. Returns the layer."""
    from torch import nn

    layer: Any = module.get_submodule(pair.into)
    if layer.bias is None:
        layer.bias = nn.Parameter(layer.weight.new_zeros(layer.weight.shape[0]))
    module.set_submodule(pair.batch_norm, nn.Identity())
    return layer


def find_chains(module: nn.Module, shape: tuple[int, ...]) -> tuple[tuple[Folded, ...], tuple[Kept, ...]]:
    """Which BatchNorms can be folded into the layer before them, and why the others cannot; nothing is changed."""
    from torch import fx
    from torch.nn.modules.batchnorm import _BatchNorm

    names = [name for name, child in module.named_modules() if isinstance(child, _BatchNorm)]
    try:
        graph = fx.Tracer().trace(module)
    except Exception as error:  # tracing runs the network's own code: whatever it raises, nothing can be folded
        reason = f"torch.fx cannot trace the network: {' '.join(str(error).split())[:200]}"
        return (), tuple(Kept(name, reason) for name in names)
    modules = dict(module.named_modules())
    ranks = _output_ranks(module, shape)
    folded: list[Folded] = []
    kept: list[Kept] = []
    seen: set[str] = set()
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules.get(str(node.target)), _BatchNorm):
            continue
        name = str(node.target)
        if name in seen:
            continue
        seen.add(name)
        reason = _obstacle(node, modules, graph, ranks)
        if reason:
            kept.append(Kept(name, reason))
        else:
            folded.append(Folded(name, str(node.args[0].target)))
    kept += [Kept(name, "the forward pass does not call it") for name in names if name not in seen]
    return tuple(folded), tuple(kept)


def _output_ranks(module: nn.Module, shape: tuple[int, ...]) -> dict[int, int]:
    """Number of dimensions of what each layer puts out, by the identity of the layer."""
    import torch

    ranks: dict[int, int] = {}

    def note(child: nn.Module, _: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            ranks[id(child)] = output.ndim

    handles = [child.register_forward_hook(note) for child in module.modules()]
    was_training = module.training
    first = next(module.parameters(), None)
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(2, *shape, dtype=None if first is None else first.dtype))
    finally:
        module.train(was_training)
        for handle in handles:
            handle.remove()
    return ranks


def _obstacle(node: fx.Node, modules: dict[str, nn.Module], graph: fx.Graph, ranks: dict[int, int]) -> str:
    """Why a BatchNorm cannot go into the layer before it; empty where it can."""
    from torch import fx, nn

    norm: Any = modules[str(node.target)]
    before = node.args[0] if node.args else None
    if norm.running_mean is None or norm.running_var is None:
        return "it has no running statistics: it normalises by the batch"
    if not isinstance(before, fx.Node) or before.op != "call_module":
        return f"it follows {_describe(before)}, not a convolution or linear layer"
    layer = modules[str(before.target)]
    if type(layer) not in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear):
        return f"it follows {type(layer).__name__}, not a convolution or linear layer"
    if type(norm) not in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        return f"it is a {type(norm).__name__}"
    if len(before.users) > 1:
        return f"the output of {before.target} is also used elsewhere"
    for child, word in ((layer, str(before.target)), (norm, "it")):
        if _uses(child, modules, graph) > 1:
            return f"{word} is used more than once"
        if getattr(child, "parametrizations", None) or child._forward_hooks or child._forward_pre_hooks:
            return f"{word} has hooks or parametrizations"
    if isinstance(layer, nn.Linear) and ranks.get(id(layer)) != 2:
        return f"{before.target} has more than one position, so its features are not the BatchNorm's channels"
    return ""


def _uses(child: nn.Module, modules: dict[str, nn.Module], graph: fx.Graph) -> int:
    """How often a module is called or its parameters are read, under any of its names."""
    parameters = {id(parameter) for parameter in child.parameters()}
    shared = [other for other in _distinct(modules.values()) if other is not child and _shares(other, parameters)]
    calls = sum(1 for n in graph.nodes if n.op == "call_module" and modules.get(str(n.target)) is child)
    owners = {name for name, other in modules.items() if other is child}
    reads = sum(1 for n in graph.nodes if n.op == "get_attr" and str(n.target).rpartition(".")[0] in owners)
    return calls + reads + len(shared)


def _distinct(found: Iterable[nn.Module]) -> list[nn.Module]:
    return list({id(other): other for other in found}.values())


def _shares(other: nn.Module, parameters: set[int]) -> bool:
    return any(id(parameter) in parameters for parameter in other.parameters(recurse=False))


def _describe(before: object) -> str:
    op = getattr(before, "op", None)
    if op == "placeholder":
        return "the input"
    name = getattr(before, "target", before)
    return f"{getattr(name, '__name__', name)}"
