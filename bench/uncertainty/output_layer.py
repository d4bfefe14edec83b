"""The layer that puts out the class scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bench.errors import UserError
from bench.networks.network import InputSpec


def linear_output(module: nn.Module, declared: InputSpec) -> tuple[str, nn.Linear]:
    """Name and module of the linear layer whose output is the network's.

    Raises:
        UserError: there is none: the last layer is another, or something follows it.
    """
    put_out: dict[int, list[str]] = {}
    held: list[Any] = []  # as long as it lives no other tensor has its id
    handles = []
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear):

            def note(_: nn.Module, __: Any, out: Any, name: str = name) -> None:
                held.append(out)
                put_out.setdefault(id(out), []).append(name)

            handles.append(layer.register_forward_hook(note))
    was_training = module.training
    try:
        with torch.no_grad():
            answer = module.eval()(torch.zeros(2, *declared.shape))
    finally:
        for handle in handles:
            handle.remove()
        module.train(was_training)
    names = put_out.get(id(answer), [])
    if not names or declared.output != "logits":
        what = "no linear layer puts out the class scores"
        raise UserError.at("reference.method", what, "give an architecture that ends in one and answers logits")
    found = module.get_submodule(names[0])
    assert isinstance(found, nn.Linear)
    return names[0], found
