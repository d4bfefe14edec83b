"""How far a network's attributions are from a teacher's, as a loss to train with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.functional.input_gradients import centred_logit

if TYPE_CHECKING:
    import torch


def collapsed_map(
    module: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    baseline: torch.Tensor,
    alpha: torch.Tensor,
    target: torch.Tensor,
    *,
    train: bool,
) -> torch.Tensor:
    """One draw of expected gradients, summed over channels: (n, pixels).

    ``Σ_c (x − x')_c ∂f(x' + a (x − x')) / ∂x_c`` with ``f = z_target − mean_k z_k`` (Erion et al. 2021, arXiv
    1906.10670: one draw a step suffices in training). It does not depend on how channels are scaled and shifted.

    Args:
        module: inputs (n, ...) to logits (n, classes).
        x: samples (n, ...).
        baseline: x', (n, ...).
        alpha: a in [0, 1], (n,).
        target: the class of each sample, int64 (n,).
        train: whether the map itself is differentiated.

    >>> import torch
    >>> linear = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))  # f = x_0 - 2 x_1
    >>> x, zero, half = torch.tensor([[1.0, 1.0]]), torch.zeros(1, 2), torch.tensor([0.5])
    >>> collapsed_map(linear, x, zero, half, torch.tensor([0]), train=False).tolist()
    [[1.0, -2.0]]
    """
    import torch

    difference = x - baseline
    point = baseline + alpha.reshape(-1, *[1] * (x.ndim - 1)) * difference
    point = point.detach().requires_grad_()
    (slope,) = torch.autograd.grad(centred_logit(module(point), target).sum(), point, create_graph=train)
    maps = difference * slope
    return (maps.sum(dim=1) if maps.ndim > 2 else maps).flatten(1)


def map_mismatch(maps: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """Mean of ``1 − cos`` between maps (n, pixels): from 0, the same directions, to 2.

    Half the squared distance of maps of length one: the loss by which attributions are matched, after the collapsed
    maps of Park et al. 2020 (arXiv 2010.15054), whose own loss is not public.

    >>> import torch
    >>> map_mismatch(torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 1.0]])).item()
    0.5
    """
    from torch.nn import functional

    return (1 - functional.cosine_similarity(maps, taught, dim=1)).mean()
