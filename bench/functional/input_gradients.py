"""Input gradients of the centred logit, from which attribution maps are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def centred_logit(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``z_target − mean_k z_k`` of logits (n, classes): (n,) float64.

    >>> import torch
    >>> centred_logit(torch.tensor([[1.0, 2.0, 6.0]]), torch.tensor([2])).tolist()
    [3.0]
    """
    wide = logits.double()
    return wide.gather(1, target[:, None])[:, 0] - wide.mean(dim=1)


def input_gradient(
    module: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """The gradient of the centred logit with respect to the input: ``∂(z_target − mean_k z_k) / ∂x``, signed.

    Args:
        module: inputs (n, ...) to logits (n, classes); it must treat samples separately.
        x: samples (n, ...).
        target: the class of each sample, int64 (n,).

    Returns:
        (n, ...) float64, logits per unit of x; zero where the logits do not depend on the input.

    >>> import torch
    >>> linear = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> input_gradient(linear, torch.ones(1, 2), torch.tensor([0])).tolist()  # f = (z_0 - z_1) / 2
    [[1.0, -2.0]]
    """
    import torch

    point = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        score = centred_logit(module(point), target)
        if not score.requires_grad:
            return torch.zeros_like(point, dtype=torch.float64, requires_grad=False)
        (gradient,) = torch.autograd.grad(score.sum(), point)
    return gradient.double()
