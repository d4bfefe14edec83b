"""Layers that a network calls more than once, taken apart into one layer a call."""

from __future__ import annotations

import copy

from torch import fx, nn


def separate_calls(traced: fx.GraphModule) -> dict[str, str]:
    """Give every further call of a convolution or linear layer a layer of its own with the very same parameters.

    In place. A quantised layer has one scale for its input, and its bias is rounded on it; two calls read two values.

    Returns:
        Each new layer and the one whose parameters it has.

    >>> from torch import fx, nn
    >>> layer = nn.Linear(2, 2)
    >>> separate_calls(fx.symbolic_trace(nn.Sequential(layer, nn.ReLU(), layer)))
    {'0_call_2': '0'}
    """
    calls: dict[str, int] = {}
    made = {}
    for node in traced.graph.nodes:
        name = str(node.target)
        if node.op != "call_module" or type(traced.get_submodule(name)) not in (nn.Conv2d, nn.Linear):
            continue
        calls[name] = calls.get(name, 0) + 1
        if calls[name] > 1:
            node.target = f"{name}_call_{calls[name]}"
            traced.add_submodule(node.target, copy.copy(traced.get_submodule(name)))
            made[node.target] = name
    return made
