"""Rounding with a chosen gradient, by which an integer graph is differentiable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

GradientMode = Literal["exact", "straight_through", "hard"]


@dataclass
class Rounding:
    """The derivative of a step function: none, or straight through.

    ``straight_through``: as the identity inside the quantiser's range, zero outside (arXiv 1308.3432). ``exact`` and
    ``hard``: its true gradient, zero almost everywhere; ``exact`` promises that the graph holds no step function.
    """

    mode: GradientMode = "exact"

    def _step(self, x: torch.Tensor, stepped: torch.Tensor) -> torch.Tensor:
        # x + (r - x) is r exactly: r - x is exact for the nearest integers
        return x + (stepped - x).detach() if self.mode == "straight_through" else stepped

    def round(self, x: torch.Tensor) -> torch.Tensor:
        """The nearest integer, halves to even, with the mode's gradient.

        >>> x = torch.tensor([0.5, 1.5, -0.7], requires_grad=True)
        >>> rounded = Rounding("straight_through").round(x)
        >>> rounded.tolist()
        [0.0, 2.0, -1.0]
        >>> torch.autograd.grad(rounded.sum(), x)[0].tolist()
        [1.0, 1.0, 1.0]
        """
        return self._step(x, x.round())

    def floor(self, x: torch.Tensor) -> torch.Tensor:
        """The largest integer below, with the mode's gradient."""
        return self._step(x, x.floor())

    def ceil(self, x: torch.Tensor) -> torch.Tensor:
        """The smallest integer above, with the mode's gradient."""
        return self._step(x, x.ceil())

    def saturate(self, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
        """Round, then clip to [low, high]; outside the range the gradient is zero."""
        return self.round(x).clamp(low, high)
