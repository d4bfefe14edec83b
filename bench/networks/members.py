"""Several networks as members of one: a module that answers all of them at once."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


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
