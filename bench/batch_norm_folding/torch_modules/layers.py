"""Weights of torch layers in float64: read, tried out, and put back."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.batch_norm_folding.formulas import Affine, Linear, after, batch_norm, before

AS_CONVOLUTION = 1e-9  # relative, in float64


def read_weights(child: Any) -> Affine:
    """A layer's weights in float64, missing biases as zeros."""

    def array(value: torch.Tensor | None, size: int, default: float) -> Any:
        return np.full(size, default) if value is None else value.detach().cpu().double().numpy().copy()

    if isinstance(child, _BatchNorm):
        size = child.num_features
        ends = (array(child.weight, size, 1.0), array(child.bias, size, 0.0))
        return batch_norm(*ends, array(child.running_mean, size, 0), array(child.running_var, size, 1), child.eps)
    transposed = bool(getattr(child, "transposed", False))
    weight = array(child.weight, 0, 0.0)
    groups = getattr(child, "groups", 1)
    size = weight.shape[1] * groups if transposed else weight.shape[0]
    return Linear(weight, array(child.bias, size, 0.0), groups, transposed)


def write_weights(child: Any, made: Affine) -> None:
    """Put new weights into a layer in place, cast once to its type; a BatchNorm keeps its statistics."""
    with torch.no_grad():
        if isinstance(made, Linear):
            child.weight.copy_(torch.from_numpy(made.weight))
            child.bias.copy_(torch.from_numpy(made.bias))
            return
        assert isinstance(child, _BatchNorm)
        assert child.running_mean is not None
        assert child.running_var is not None
        gamma = torch.from_numpy(made.scale) * (child.running_var.double() + child.eps).sqrt()
        child.weight.copy_(gamma)
        child.bias.copy_(torch.from_numpy(made.shift) + child.running_mean.double() * torch.from_numpy(made.scale))


def prepare(module: nn.Module, batch_norm_name: str, takers: tuple[str, ...]) -> None:
    """Put an ``Identity`` in a BatchNorm's place and give the layers that take it over weights to hold it; in place."""
    for name in takers:
        child: Any = module.get_submodule(name)
        if type(child) is nn.Identity:  # a BatchNorm that took this map over and went later itself
            continue
        norm = isinstance(child, _BatchNorm)
        like: torch.Tensor = child.running_mean if norm else child.weight
        if child.weight is None:
            child.weight = nn.Parameter(torch.ones_like(like))
            child.affine = True
        if child.bias is None:
            size = child.num_features if norm else getattr(child, "out_channels", len(like))
            child.bias = nn.Parameter(like.new_zeros(size))
    module.set_submodule(batch_norm_name, nn.Identity())


def known(child: nn.Module) -> bool:
    """Whether a layer runs torch's own forward."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    return type(child) in kinds


def pads_with_zeros(child: Any) -> bool:
    """Whether zeros may stand around a layer's input; edges of transposed convolutions count as such."""
    if isinstance(child, nn.Linear):
        return False
    if not known(child) or child.transposed:
        return True
    if child.padding_mode != "zeros" or child.padding == "valid":
        return False
    return any(size > 1 for size in child.kernel_size) if child.padding == "same" else any(child.padding)


def as_layer(child: Any, shape: tuple[int, ...]) -> str:
    """Whether a subclass's own forward answers to weight and bias as its base class does, on seeded noise."""
    own = torch.Generator().manual_seed(0)
    plain, changed = copy.deepcopy(child).double(), copy.deepcopy(child).double()
    x = torch.randn(shape, dtype=torch.float64, generator=own)
    outputs = child.weight.shape[1] * child.groups if getattr(child, "transposed", False) else child.weight.shape[0]
    factors = torch.rand(outputs, dtype=torch.float64, generator=own) + 0.5
    shift = torch.randn(outputs, dtype=torch.float64, generator=own)
    gain = torch.rand(shape[1], dtype=torch.float64, generator=own) + 0.5
    tail = [1] * (len(shape) - 2)
    made = after(read_weights(child), factors.numpy(), shift.numpy())
    made = before(made, 1 / gain.numpy(), torch.zeros_like(gain).numpy())
    if changed.bias is None:
        changed.bias = torch.nn.Parameter(shift.clone())
    write_weights(changed, made)
    with torch.no_grad():
        wanted = plain(x) * factors.view(-1, *tail) + shift.view(-1, *tail)
        output = changed(x * gain.view(-1, *tail))
    if float((wanted - output).abs().max()) <= AS_CONVOLUTION * float(wanted.abs().max()):
        return ""
    return "computes more than its weight and bias say"
