"""A single-step attack with a random start, for adversarial training."""

from __future__ import annotations

from collections.abc import Callable

import torch

STEP = 1.25  # of epsilon: what Wong et al. found largest without the collapse that longer steps bring


def single_step(
    x: torch.Tensor,
    loss: Callable[[torch.Tensor], torch.Tensor],
    epsilon: float,
    bounds: tuple[float, float],
    generator: torch.Generator,
) -> torch.Tensor:
    """Attack x by one signed gradient step from a random start; Wong et al. 2020 (arXiv 2001.03994).

    ``d0 ~ U(-e, e)``, then ``d = clip(d0 + 1.25 e sign(grad loss(x + d0)), -e, e)`` and ``clip(x + d, bounds)``, which
    also holds the start inside the bounds.

    Args:
        x: (n, channels, height, width) in the user's bounds; it is not changed.
        loss: what the attack raises, from images to a scalar.
        epsilon: largest change of a pixel, in units of the bounds.
        bounds: smallest and largest pixel.
        generator: every random number comes from it.

    >>> import torch
    >>> own = torch.Generator().manual_seed(0)
    >>> x = torch.tensor([[[[0.5, 0.95]]]])
    >>> [round(v, 4) for v in single_step(x, torch.sum, 0.1, (0.0, 1.0), own).flatten().tolist()]  # at least x + e / 4
    [0.6, 1.0]
    """
    low, high = bounds
    start = (torch.rand(x.shape, generator=generator) * 2 - 1) * epsilon
    started = (x + start).clamp(low, high).requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(started), started)
    change = (started.detach() - x + STEP * epsilon * gradient.sign()).clamp(-epsilon, epsilon)
    return (x + change).clamp(low, high)
