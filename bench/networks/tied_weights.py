"""Parameters that several layers hold: tied weights."""

from __future__ import annotations

import torch
from torch import nn


def shared_names(module: nn.Module) -> dict[str, str]:
    """Each name in the state that stands for a tensor which an earlier name stands for, and that name.

    >>> from torch import nn
    >>> pair = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    >>> pair[1].weight = pair[0].weight
    >>> shared_names(pair)
    {'1.weight': '0.weight'}
    """
    first: dict[int, str] = {}
    shared = {}
    for name, value in module.state_dict(keep_vars=True).items():
        other = first.setdefault(id(value), name)
        if other != name:
            shared[name] = other
    return shared


def shared_layers(module: nn.Module) -> dict[str, str]:
    """Each layer that holds a parameter which another layer, of another name, holds too, and that other's name.

    >>> from torch import nn
    >>> pair = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    >>> pair[1].weight = pair[0].weight
    >>> shared_layers(pair)
    {'0': '1', '1': '0'}
    """
    holders: dict[int, list[str]] = {}
    for name, layer in module.named_modules():
        for value in layer.parameters(recurse=False):
            holders.setdefault(id(value), []).append(name)
    shared: dict[str, str] = {}
    for names in holders.values():
        for name in names if len(names) > 1 else ():
            shared.setdefault(name, next(other for other in names if other != name))
    return shared


def contradictions(module: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, str]:
    """Those of ``shared_names`` whose two tensors in a state differ."""
    return {name: other for name, other in shared_names(module).items() if not _equal(state[name], state[other])}


def _equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.shape == second.shape and torch.equal(first, second)
