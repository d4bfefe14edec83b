"""Intervals of a node's numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Ends(NamedTuple):
    """Low and high ends of each number of a node's value, flat float64 (size,)."""

    low: Tensor
    high: Tensor

    @property
    def magnitude(self) -> Tensor:
        """The largest magnitude in each interval."""
        return torch.maximum(self.low.abs(), self.high.abs())

    def meet(self, other: Ends) -> Ends:
        """What lies in both: each holds the true interval, so it is never empty."""
        return Ends(torch.maximum(self.low, other.low), torch.minimum(self.high, other.high))


def outward(low: Tensor, high: Tensor, slack: Tensor) -> Ends:
    """Ends moved apart by a slack that holds the rounding of this sum too; everything where one is no number.

    >>> outward(torch.tensor([torch.nan]).double(), torch.tensor([1.0]).double(), torch.zeros(1)).low.tolist()
    [-inf]
    """
    return Ends(
        torch.nan_to_num(low - slack, nan=-torch.inf, neginf=-torch.inf, posinf=torch.inf),
        torch.nan_to_num(high + slack, nan=torch.inf, neginf=-torch.inf, posinf=torch.inf),
    )


def anywhere(sizes: Iterable[int]) -> list[Ends]:
    """Ends of values of which nothing is known, one for each size.

    >>> anywhere([1])[0].low.tolist()
    [-inf]
    """
    wide = [torch.full((size,), torch.inf, dtype=torch.float64) for size in sizes]
    return [Ends(-high, high) for high in wide]
