"""Modules that answer as several members at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

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


class Heads(nn.Module):
    """One network whose outputs (n, members classes) are the members' scores, one member after another."""

    def __init__(self, network: nn.Module, members: int) -> None:
        super().__init__()
        self.network = network
        self.count = members

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (n, members, classes)."""
        scores: torch.Tensor = self.network(x).unflatten(1, (self.count, -1))
        return scores


class MultiInput(Heads):
    """One network of several inputs side by side on the channels and as many heads: the same sample in all of them.

    ``network`` takes (n, members channels, ...) and answers (n, members classes).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (n, members, classes); of one member (n, classes)."""
        if self.count == 1:
            scores: torch.Tensor = self.network(x)
            return scores
        return self.heads(torch.cat([x] * self.count, dim=1))

    def heads(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (n, members, classes) of inputs that differ, (n, members channels, ...)."""
        return super().forward(x)


class Tiled(nn.Module):
    """One network asked once for each member, all in one batch whose rows ``MemberMask`` and ``MemberGate`` tell apart.

    In training it answers (n, classes), and the masks say which rows are whose. With ``apart`` it answers all members
    then too. ``norms`` are pairs of a BatchNorm and the mask behind it, by name: a channel's statistics are then over
    the rows of the members that have the channel, as in evaluation, and what others put there counts for nothing.
    """

    only: int | None = None  # the one member that answers, as (n, classes)

    def __init__(
        self, network: nn.Module, members: int, *, apart: bool = False, norms: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__()
        self.network = network
        self.count = members
        self.apart, self.norms = apart, norms

    def each(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (n, members, classes) in training, of inputs of each member's own (members n, ...), in turn."""
        with self._apart():
            return self._of_rows(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (n, members, classes)."""
        if self.only is not None or (self.training and not self.apart):
            scores: torch.Tensor = self.network(x)
            return scores
        tiled = torch.cat([x] * self.count)
        return self.each(tiled) if self.training else self._of_rows(tiled)

    def _of_rows(self, x: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = self.network(x)
        return rows.unflatten(0, (self.count, -1)).transpose(0, 1)  # type: ignore[no-any-return, no-untyped-call]

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Rows lie as in evaluation, and each BatchNorm before a mask looks at the members that have the channel."""
        parts = dict(self.network.named_modules())
        masks = [part for part in parts.values() if isinstance(part, ByMember)]
        norms = [(parts[norm], parts[mask]) for norm, mask in self.norms if hasattr(parts.get(norm), "running_mean")]
        for mask in masks:
            mask.tiled = True
        for norm, mask in norms:
            norm.forward = partial(normalised, norm, mask.masks > 0)
        try:
            yield
        finally:
            for mask in masks:
                mask.tiled = False
            for norm, _ in norms:
                del norm.forward


def normalised(norm: Any, held: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Training of a BatchNorm on rows of several members, each channel by the members that ``held`` it.

    ``held`` (members, channels) of bool, at least one a channel; x (members n, channels, ...). The running statistics
    move as they do in a BatchNorm of these rows alone.

    >>> norm = nn.BatchNorm1d(1, momentum=1.0)
    >>> out = normalised(norm, torch.tensor([[True], [False]]), torch.tensor([[1.0], [3.0], [100.0], [500.0]]))
    >>> norm.running_mean.tolist(), [round(value, 3) for value in out[:2].flatten().tolist()]
    ([2.0], [-1.0, 1.0])
    """
    members, channels = held.shape
    table = x.transpose(0, 1).reshape(channels, members, -1)
    share = (held.to(x.dtype) / held.sum(dim=0)).T  # (channels, members)
    mean = (share * table.mean(dim=2)).sum(dim=1)
    variance = (share * (table - mean[:, None, None]).square().mean(dim=2)).sum(dim=1)
    count = held.sum(dim=0) * table.shape[2]
    with torch.no_grad():
        norm.num_batches_tracked += 1
        momentum = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
        norm.running_mean = torch.lerp(norm.running_mean, mean, momentum)
        norm.running_var = torch.lerp(norm.running_var, variance * count / (count - 1), momentum)
    shape = (1, channels, *[1] * (x.ndim - 2))
    out = (x - mean.view(shape)) * torch.rsqrt(variance + norm.eps).view(shape)
    scaled: torch.Tensor = out * norm.weight.view(shape) + norm.bias.view(shape)
    return scaled


class ByMember(nn.Module):
    """Multiplies the rows of each member by factors of its own, (members, 1, ...), which are stored with the weights.

    In evaluation mode the rows of a batch are the members', one after another as ``Tiled`` lays them. In training they
    are shared out among the members in equal runs; with a ``rate`` each row gets factors drawn anew, 0 or
    ``1 / (1 - rate)``.
    """

    factors: torch.Tensor
    only: int | None = None  # the member whose rows all are
    tiled = False  # whether the rows lie as in evaluation in training too

    def __init__(self, shape: tuple[int, ...], *, rate: float = 0.0) -> None:
        super().__init__()
        self.rate, self.count = rate, shape[0]
        self.register_buffer("factors", torch.ones(shape))

    def fill(self, factors: torch.Tensor) -> None:
        """Take factors of as many entries, members first."""
        self.factors.copy_(factors.view_as(self.factors))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape (rows, ...)."""
        if self.only is not None:
            return x * self.factors[self.only]
        if not self.training or self.tiled:
            by_member: torch.Tensor = x.unflatten(0, (self.count, -1))  # type: ignore[no-untyped-call]
            return (by_member * self.factors).flatten(0, 1)
        if self.rate:
            return x * functional.dropout(x.new_ones(len(x), *self.factors.shape[2:]), self.rate)
        whose = torch.arange(len(x), device=x.device) * self.count // len(x)
        return x * self.factors[whose, 0]


class MemberMask(ByMember):
    """Masks of the hidden units of each member.

    >>> mask = MemberMask(2, 3).eval()
    >>> mask.fill(torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]))
    >>> mask(torch.ones(4, 3)).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    """

    def __init__(self, members: int, units: int, dimensions: int = 0, rate: float = 0.0) -> None:
        super().__init__((members, 1, units, *[1] * dimensions), rate=rate)

    @property
    def units(self) -> int:
        """How many units are masked."""
        return self.factors.shape[2]

    @property
    def masks(self) -> torch.Tensor:
        """The masks (members, units)."""
        return self.factors.flatten(1)


class MemberGate(ByMember):
    """Opens or closes a whole branch for each member."""

    def __init__(self, members: int, dimensions: int, rate: float = 0.0) -> None:
        super().__init__((members, *[1] * (dimensions + 1)), rate=rate)


class Factors(nn.Module):
    """Multiplies by constant factors: what is left of masks and gates where one member stands alone."""

    factors: torch.Tensor

    def __init__(self, factors: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("factors", factors.detach().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape."""
        return x * self.factors


@contextmanager
def one_member(module: nn.Module, member: int) -> Iterator[None]:
    """While it is entered, a network with masks or gates answers as that member alone, (n, classes)."""
    parts = [part for part in module.modules() if isinstance(part, Tiled | ByMember)]
    for part in parts:
        part.only = member
    try:
        yield
    finally:
        for part in parts:
            part.only = None
