"""The last feature map of a convolutional network: found while it runs, whatever its code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

Call = Callable[..., Any]
SUMS = frozenset({"sum", "mean", "adaptive_avg_pool2d", "avg_pool2d"})
"""Calls that take an average: of codes less their zero point, which are in proportion to the reals."""


class LastFeatureMap(TorchFunctionMode):
    """Keeps what the head reads: the tensor in which positions are told apart for the last time.

    That is the input of the first call, after the last convolution with more than one position, that leaves one
    position or none: a global pool, a flattening, a sum. Normalisation, activation and shortcuts behind the last
    convolution are part of it: folding a BatchNorm or fusing a ReLU does not change it, as it would change what the
    convolution itself puts out. Calls inside TorchScript are not seen.

    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 3))
    >>> with LastFeatureMap() as seen:
    ...     _ = net(torch.zeros(1, 1, 4, 4))
    >>> seen.convolved, seen.found.shape, bool((seen.found >= 0).all())
    (True, torch.Size([1, 2, 2, 2]), True)
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolved = False  # whether any convolution with more than one position was seen
        self.found: torch.Tensor | None = None
        self.reader = ""  # the call that reads it

    def __torch_function__(
        self, func: Call, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = next(_tensors((args, kwargs or {})), None)
        out = func(*args, **(kwargs or {}))
        if not isinstance(out, torch.Tensor) or given is None or not _has_positions(given):
            return out
        name = getattr(func, "__name__", "")
        if _has_positions(out):
            if name.startswith("conv"):
                self.convolved, self.found = True, None
        elif self.convolved and self.found is None and _pooled(out, len(given)):
            self.found, self.reader = given, name
        return out

    @property
    def holds_codes(self) -> bool:
        """Whether what was found are codes of integers whose zero point is not known here."""
        if self.found is None or self.reader in SUMS:
            return False
        return bool(self.found.any()) and torch.equal(self.found, self.found.round())


def _tensors(given: Any) -> Iterator[torch.Tensor]:
    """The tensors of a call's arguments, in order."""
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, list | tuple):
        for item in given:
            yield from _tensors(item)
    elif isinstance(given, Mapping):
        yield from _tensors(list(given.values()))


def _has_positions(x: torch.Tensor) -> bool:
    """Whether it is (n, channels, height, width) with more than one position."""
    return x.ndim == 4 and x.shape[2] * x.shape[3] > 1 and x.is_floating_point()


def _pooled(out: torch.Tensor, rows: int) -> bool:
    """Whether it has one row a sample, and no positions: (n, values) or (n, channels, 1, 1)."""
    return out.ndim >= 2 and len(out) == rows and out.is_floating_point()
