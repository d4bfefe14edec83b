"""Forward hooks that set weights themselves: found by moving the weights, and refused."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from bench.errors import UserError
from bench.networks.hooks import has_hooks


def refuse_setters(module: nn.Module, run: Callable[[], object], where: str) -> None:
    """Raise ``UserError`` where a forward hook writes weights: what steps change would be overwritten or stale.

    Every parameter is moved by 1, the network is run, and the parameters are looked at; they are put back.

    Args:
        module: materialised, in evaluation mode.
        run: a forward pass.
        where: what the error names.
    """
    if not any(has_hooks(layer) for layer in module.modules()):
        return
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    with torch.no_grad():
        for value in module.parameters():
            value.add_(1)
        moved = {name: value.detach().clone() for name, value in module.named_parameters()}
        try:
            run()
            after = dict(module.named_parameters())
            written = [
                name for name, value in moved.items() if name not in after or not torch.equal(after[name], value)
            ]
        finally:
            for name, value in module.named_parameters():
                if name in before:
                    value.copy_(before[name])
    if written:
        raise _set_by_hook(written[0], where)
    refuse_plain(module, where)


def refuse_plain(module: nn.Module, where: str) -> None:
    """Raise ``UserError`` where a layer of torch computes with a tensor that is neither parameter nor buffer."""
    kinds = (nn.Linear, _ConvNd, _NormBase, nn.LayerNorm, nn.GroupNorm, nn.Embedding, nn.RNNBase)
    for name, layer in module.named_modules():
        for tensor, value in vars(layer).items() if isinstance(layer, kinds) else ():
            if isinstance(value, torch.Tensor) and tensor.startswith(("weight", "bias")):
                raise _set_by_hook(f"{name}.{tensor}" if name else tensor, where)


def _set_by_hook(weight: str, where: str) -> UserError:
    path, _, tensor = weight.rpartition(".")
    layer = f'network.get_submodule("{path}")'
    what = f"layer {path!r}: its {tensor} is not a parameter of its own: a forward hook or other code sets it"
    right = f"call handle.remove() of the hook, then layer = {layer}; value = layer.{tensor}.detach().clone(); "
    right += f'layer.__dict__.pop("{tensor}", None); layer.{tensor} = torch.nn.Parameter(value)'
    return UserError.at(where, what, right)
