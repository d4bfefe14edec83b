"""Functions of single numbers that a canonical form can hold, by the names of torch's operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F


def _gelu(x: Tensor, approximate: Any = "none") -> Tensor:
    return F.gelu(x, approximate=str(approximate))


def _elu(x: Tensor, alpha: Any = 1.0, scale: Any = 1.0, input_scale: Any = 1.0) -> Tensor:
    return torch.mul(F.elu(input_scale * x, alpha), scale)


def _clamp(x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    return x.clamp(low, high)


def _hardsigmoid(x: Tensor) -> Tensor:
    return F.relu6(x + 3) / 6  # torch's own has no second derivative


FUNCTIONS: Final[Mapping[str, Callable[..., Tensor]]] = {
    "abs": Tensor.abs,
    "clamp": _clamp,
    "elu": _elu,
    "gelu": _gelu,
    "hardsigmoid": _hardsigmoid,
    "hardswish": F.hardswish,
    "leaky_relu": F.leaky_relu,
    "mish": F.mish,
    "relu": F.relu,
    "sigmoid": Tensor.sigmoid,
    "silu": F.silu,
    "softplus": F.softplus,
    "tanh": Tensor.tanh,
}
