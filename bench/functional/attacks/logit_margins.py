"""How far logits are from another class: what attacks raise."""

from __future__ import annotations

from collections.abc import Callable

import torch


def _others(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return logits.scatter(1, labels[:, None], -torch.inf)


def negative_log_odds(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Log-odds against the label: logits (n, classes) to (n,), ``log Σ_{j≠y} e^{z_j} − z_y``, in float64.

    The cross-entropy is softplus of it, hence both have gradients of equal sign; but this one does not vanish where
    the softmax saturates, and a saturated network is not mistaken for a robust one.

    >>> negative_log_odds(torch.tensor([[2.0, 0.5]]), torch.tensor([0])).tolist()
    [-1.5]
    """
    z = logits.double()
    return _others(z, labels).logsumexp(dim=1) - z.gather(1, labels[:, None])[:, 0]


def wrong_margin(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Largest wrong logit less the label's: logits (n, classes) to (n,); above 0 where the label is not predicted.

    >>> wrong_margin(torch.tensor([[2.0, 0.5, 1.0]]), torch.tensor([1])).tolist()
    [1.5]
    """
    z = logits.double()
    return _others(z, labels).amax(dim=1) - z.gather(1, labels[:, None])[:, 0]


def margin_of(targets: torch.Tensor, labels: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """The loss ``z_t − z_y`` of logits (n, classes), (n,) in float64: what one who aims at the targets raises.

    >>> margin_of(torch.tensor([1]), torch.tensor([0]))(torch.tensor([[2.0, 0.5, 1.0]])).tolist()
    [-1.5]
    """

    def loss(logits: torch.Tensor) -> torch.Tensor:
        z = logits.double()
        return z.gather(1, targets[:, None])[:, 0] - z.gather(1, labels[:, None])[:, 0]

    return loss


def input_gradient_of(loss: torch.Tensor, points: torch.Tensor, *, keep_graph: bool = False) -> torch.Tensor:
    """The gradient of a loss (n,) with respect to the points (n, ...); 0 where it is not a number, or there is none.

    ``keep_graph``: another loss of the same forward pass is asked afterwards.

    >>> points = torch.tensor([0.0, 4.0], requires_grad=True)
    >>> input_gradient_of(points.sqrt(), points).tolist()  # infinite at 0
    [0.0, 0.25]
    """
    if not loss.requires_grad:
        return torch.zeros_like(points)
    (gradient,) = torch.autograd.grad(loss.sum(), points, retain_graph=keep_graph)
    return torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
