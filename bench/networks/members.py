"""Modules that answer as several members at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional


class Stacked(nn.Module):
    """Networks side by side: x (n, ...) to the scores of each, (n, members, classes).

    >>> two = Stacked([nn.Flatten(), nn.Flatten()])
    >>> tuple(two(torch.zeros(5, 1, 2, 2)).shape)
    (5, 2, 4)
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (n, members, classes)."""
        return torch.stack([member(x) for member in self.members], dim=1)


class Tiled(nn.Module):
    """One network asked once for each member, all in one batch whose rows a ``MemberMask`` tells apart.

    In training mode it answers (n, classes), and the masks say which rows are whose.
    """

    only: int | None = None  # the one member that answers, as (n, classes)

    def __init__(self, network: nn.Module, members: int) -> None:
        super().__init__()
        self.network = network
        self.count = members

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (n, members, classes)."""
        if self.training or self.only is not None:
            scores: torch.Tensor = self.network(x)
            return scores
        rows: torch.Tensor = self.network(torch.cat([x] * self.count))
        return rows.unflatten(0, (self.count, -1)).transpose(0, 1)  # type: ignore[no-any-return, no-untyped-call]


class MemberMask(nn.Module):
    """Multiplies the hidden units of each member by a mask of its own, which is stored with the weights.

    In evaluation mode the rows of a batch are the members', one after another as ``Tiled`` lays them. In training mode
    with ``rate`` 0 the rows are shared out among the members in equal runs (Masksembles, arXiv 2012.08334); with a rate
    they get fresh dropout masks.

    >>> mask = MemberMask(2, 3).eval()
    >>> mask.masks[1, 0, 2] = 0
    >>> mask(torch.ones(4, 3)).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    """

    masks: torch.Tensor
    only: int | None = None  # the member whose rows all are

    def __init__(self, members: int, units: int, dimensions: int = 0, rate: float = 0.0) -> None:
        super().__init__()
        self.rate, self.count = rate, members
        self.register_buffer("masks", torch.ones(members, 1, units, *[1] * dimensions))

    def fill(self, masks: torch.Tensor) -> None:
        """Take masks (members, units)."""
        self.masks.copy_(masks.view_as(self.masks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape (rows, units, ...)."""
        if self.only is not None:
            return x * self.masks[self.only]
        if not self.training:
            by_member: torch.Tensor = x.unflatten(0, (self.count, -1))  # type: ignore[no-untyped-call]
            return (by_member * self.masks).flatten(0, 1)
        if self.rate:
            return x * functional.dropout(torch.ones_like(x[..., :1, :1] if x.ndim == 4 else x), self.rate)
        whose = torch.arange(len(x), device=x.device) * self.count // len(x)
        return x * self.masks[whose, 0]


@contextmanager
def one_member(module: nn.Module, member: int) -> Iterator[None]:
    """While it is entered, a network with masks answers as that member alone, (n, classes)."""
    parts = [part for part in module.modules() if isinstance(part, Tiled | MemberMask)]
    for part in parts:
        part.only = member
    try:
        yield
    finally:
        for part in parts:
            part.only = None
