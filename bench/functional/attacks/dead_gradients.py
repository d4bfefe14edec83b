"""The share of samples on which a network has no gradient at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def zero_gradients(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Whether the gradient of the log-odds of its own class is zero or not finite in every input: x (n, ...) to (n,).

    ``∇_x (z_k − log Σ_{j≠k} e^{z_j})``, k the class that the module gives: confidence alone does not make it vanish.
    The module must treat samples separately.

    >>> import torch
    >>> from torch import nn
    >>> module = nn.Sequential(nn.ReLU(), nn.Linear(2, 2))
    >>> zero_gradients(module, torch.tensor([[-1.0, -1.0], [1.0, 1.0]])).tolist()
    [True, False]
    """
    import torch

    points = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = module(points)
        if not logits.requires_grad:
            return torch.ones(len(x), dtype=torch.bool)
        own = logits.argmax(dim=1, keepdim=True)
        odds = logits.gather(1, own)[:, 0] - logits.scatter(1, own, -torch.inf).logsumexp(dim=1)
        (gradient,) = torch.autograd.grad(odds.sum(), points)
    flat = gradient.flatten(1)
    return ((flat == 0) | ~flat.isfinite()).all(dim=1)
