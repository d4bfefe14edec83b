"""The windows of max pooling: which entries can win where intervals of all entries are known."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from bench.canonical_form.nodes import Gather, MaxPool, Shape
from bench.functional.lipschitz.relaxations.ends import Ends


class Winners(NamedTuple):
    """Who may win each window of a max pooling, ``size`` windows of ``taps`` entries.

    ``places`` (size, taps): one plus the flat place of each entry, 0 beyond the edge. ``winner`` (size,): that of the
    entry with the largest low end. ``fixed`` (size,): whether it wins whatever the input. ``candidate`` (size, taps):
    entries that can win.
    """

    places: Tensor
    winner: Tensor
    fixed: Tensor
    candidate: Tensor

    def selection(self, node: MaxPool, where: Tensor | None = None) -> Gather:
        """The winners' entries as a linear node; 0 where ``where`` is false."""
        index = self.winner if where is None else torch.where(where, self.winner, 0)
        return Gather(name=node.name, inputs=node.inputs, shape=node.shape, index=index)


def windows(node: MaxPool, shape: Shape) -> Tensor:
    """One plus the flat place of each entry of each window, (size, taps); 0 beyond the edge.

    >>> node = MaxPool(name="a", inputs=(0,), shape=(1, 1, 1, 1), kernel=(2, 2), stride=(2, 2), padding=(0, 0),
    ...                dilation=(1, 1))
    >>> windows(node, (1, 1, 2, 3)).tolist()
    [[1, 2, 4, 5]]
    """
    lines, inside = [], []
    for axis in (0, 1):
        at = torch.arange(node.shape[axis - 2])[:, None] * node.stride[axis] - node.padding[axis]
        at = at + torch.arange(node.kernel[axis]) * node.dilation[axis]  # (outputs, taps)
        lines.append(at)
        inside.append((at >= 0) & (at < shape[axis - 2]))
    rows, columns = lines[0][:, None, :, None], lines[1][None, :, None, :]
    flat = rows * shape[-1] + columns + 1
    valid = inside[0][:, None, :, None] & inside[1][None, :, None, :]
    plane = prod(shape[-2:])
    whole = torch.arange(prod(shape[:-2]))[:, None, None, None, None] * plane + flat
    return torch.where(valid, whole, 0).reshape(prod(node.shape), -1)


def winners(node: MaxPool, shape: Shape, ends: Ends) -> Winners:
    """Which entries of each window can win while the input of the pooling lies between the ends.

    >>> node = MaxPool(name="a", inputs=(0,), shape=(1, 1, 1, 1), kernel=(1, 3), stride=(1, 1), padding=(0, 0),
    ...                dilation=(1, 1))
    >>> low, high = torch.tensor([0.0, 2.0, 1.5]).double(), torch.tensor([1.0, 3.0, 1.9]).double()
    >>> found = winners(node, (1, 1, 1, 3), Ends(low, high))
    >>> found.winner.tolist(), found.fixed.tolist()
    ([2], [True])
    """
    places = windows(node, shape)
    edge = torch.full((1,), -torch.inf, dtype=torch.float64)
    low, high = (torch.cat([edge, end])[places] for end in ends)
    best, first = low.max(dim=1, keepdim=True)
    others = high.scatter(1, first, -torch.inf)
    fixed = (others <= best).all(dim=1)
    own = torch.zeros_like(places, dtype=torch.bool).scatter(1, first, True)
    candidate = (places > 0) & (own | ((high >= best) & ~fixed[:, None]))
    return Winners(places, places.gather(1, first)[:, 0], fixed, candidate)
