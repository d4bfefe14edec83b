"""Torch networks of any code, run with some calls replaced: no final softmax, or straight through rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Call = Callable[..., Any]
SOFTMAX: Final[frozenset[Call]] = frozenset(
    {functional.softmax, torch.softmax, torch.Tensor.softmax, torch.special.softmax}
)
WHOLE: Final[frozenset[Call]] = frozenset(
    getattr(holder, name)
    for holder in (torch, torch.Tensor)
    for name in ("round", "floor", "ceil", "trunc", "fix", "round_", "floor_", "ceil_", "trunc_", "fix_")
    if hasattr(holder, name)
)
CASTS: Final[frozenset[Call]] = frozenset(
    getattr(torch.Tensor, name) for name in ("byte", "char", "short", "int", "long", "to", "type")
)
SIGNS: Final[frozenset[Call]] = frozenset({torch.sign, torch.Tensor.sign, torch.sgn, torch.Tensor.sgn})


class _Watched(TorchFunctionMode):
    """Keeps what every softmax call gave."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[torch.Tensor] = []

    def __torch_function__(
        self, func: Call, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in SOFTMAX:
            self.made.append(out)
        return out


class WithoutSoftmax(TorchFunctionMode):
    """One softmax call, counted from 0, passes on what it is given."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.call = call
        self.seen = 0

    def __torch_function__(
        self, func: Call, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in SOFTMAX:
            self.seen += 1
            if self.seen == self.call + 1:
                return args[0] if args else (kwargs or {})["input"]
        return func(*args, **(kwargs or {}))


def final_softmax(module: nn.Module, x: torch.Tensor) -> int | None:
    """The number of the softmax call that makes a forward pass's output, from 0; None where none does.

    Args:
        module: in evaluation mode; calls inside TorchScript are not seen.
        x: what it takes, a batch.

    >>> final_softmax(nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=1)), torch.ones(1, 2))
    0
    """
    with torch.no_grad(), _Watched() as watched:
        out: torch.Tensor = module(x)
    for call in reversed(range(len(watched.made))):
        made = watched.made[call]
        if made.data_ptr() == out.data_ptr() and made.numel() == out.numel():
            return call
    return None


class StraightThrough(TorchFunctionMode):
    """Rounding, casts to integers and signs give their values and pass gradients on: ``r(x)`` as ``x + (r(x) - x)``.

    The gradient of a sign passes within [-1, 1] alone (arXiv 1602.02830). A cast to integers gives whole numbers in
    floating point: code that needs an integer's type fails.
    """

    def __torch_function__(
        self, func: Call, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        x = args[0] if args else given.get("input")
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            return func(*args, **given)
        if func in WHOLE and func.__name__.endswith("_"):
            rounded = func(x.detach().clone(), *args[1:], **given)
            return x.add_(rounded - x.detach())
        if func in WHOLE:
            return _passed(x, func(x.detach(), *args[1:], **given))
        if func in CASTS:
            out = func(*args, **given)
            return out if not isinstance(out, torch.Tensor) or out.is_floating_point() else _passed(x, out.to(x.dtype))
        if func in SIGNS:
            inside = x.clamp(-1, 1)
            return _passed(inside, func(x.detach(), *args[1:], **given))
        return func(*args, **given)


def _passed(x: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """The rounded values, with the gradient of x."""
    return rounded.detach() + (x - x.detach())
