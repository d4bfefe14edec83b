"""Convolutions that may not run with channels last in memory."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

SAFE_CHANNELS = 8  # from here on no write past the end was seen


def needs_contiguous(module: nn.Module) -> bool:
    """Whether a convolution in it is 1x1, has a stride and reads fewer than eight channels.

    With channels last, torch 2.13.0 writes past the end of a buffer in the gradient of such weights, on AVX2 (oneDNN's
    ``jit_1x1:avx2``), and the process dies or computes on with a broken heap. In the contiguous layout it does not.

    >>> from torch import nn
    >>> needs_contiguous(nn.Conv2d(7, 8, 1, stride=2)), needs_contiguous(nn.Conv2d(8, 8, 1, stride=2))
    (True, False)
    """
    return any(_is_endangered(part) for part in module.modules())


def keep_contiguous(module: nn.Module) -> ExitStack:
    """Keep a network that needs it in the contiguous layout; another one is left as it is.

    Weights are put in order in place. What the network itself lays out with channels last, or was given so, is put in
    order where such a convolution reads it, until the returned stack is closed: ``with`` for a while, without for good.
    """
    stack = ExitStack()
    endangered = [part for part in module.modules() if _is_endangered(part)]
    if endangered:
        for parameter in module.parameters():
            if parameter.ndim == 4:
                parameter.data = contiguous(parameter.data)
    for part in endangered:
        stack.callback(part.register_forward_pre_hook(_contiguous_inputs, with_kwargs=True).remove)
    return stack


def contiguous(x: torch.Tensor) -> torch.Tensor:
    """The same values in memory in the order of their axes, with the strides of their shape.

    An axis of length one fits any stride, so ``x.contiguous()`` alone leaves one channel or a 1x1 kernel with the
    strides of channels last, by which torch then chooses its kernel.

    >>> import torch
    >>> x = torch.zeros(2, 3, 3, 1).permute(0, 3, 1, 2)
    >>> x.contiguous().stride(), contiguous(x).stride()
    ((9, 1, 3, 1), (9, 9, 3, 1))
    """
    return x.contiguous().flatten().view(x.shape)


def _is_endangered(part: nn.Module) -> bool:
    if not isinstance(part, nn.Conv2d):
        return False
    return set(part.kernel_size) == {1} and max(part.stride) > 1 and part.in_channels < SAFE_CHANNELS


def _contiguous_inputs(
    part: nn.Module, given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return tuple(_contiguous_input(x) for x in given), {name: _contiguous_input(x) for name, x in named.items()}


def _contiguous_input(x: Any) -> Any:
    """A tensor, or Brevitas' named tuple of one with its scale."""
    return contiguous(x) if isinstance(x, torch.Tensor) else x._replace(value=contiguous(x.value))
