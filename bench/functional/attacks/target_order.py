"""Which wrong classes to aim at first: the nearest by a linear view of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from bench.functional.attacks.logit_margins import input_gradient_of, margin_of


def target_order(
    module: nn.Module,
    x: torch.Tensor,
    labels: torch.Tensor,
    *,
    norm: Literal["linf", "l2"] = "linf",
    most: int = 3,
    among: int = 100,
) -> torch.Tensor:
    """Wrong classes by ``(z_y − z_t) / ‖∇(z_y − z_t)‖_*``, the smallest first: (n, most) int64.

    ``‖·‖_*`` is the dual norm: l1 for l_inf, l2 for l2. Exact for linear networks, where the quotient is the distance
    to the boundary. MALT, arXiv 2407.02240, which looks at the 100 largest wrong logits; so does this.

    Args:
        module: inputs (n, ...) to logits (n, classes); it must treat samples separately.
        x: samples (n, ...).
        labels: int64 (n,).
        norm: of the change.
        most: targets a sample; fewer where there are fewer wrong classes.
        among: how many of the largest wrong logits are looked at.

    >>> linear = nn.Linear(1, 3, bias=False)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[3.0], [2.0], [-9.0]]))
    >>> target_order(linear, torch.tensor([[1.0]]), torch.tensor([0])).tolist()  # (3 − 2) / 1 and (3 + 9) / 12
    [[1, 2]]
    """
    points = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = module(points).double()
        wrong = logits.detach().scatter(1, labels[:, None], -torch.inf)
        count = min(among, logits.shape[1] - 1)
        nearest = wrong.topk(count, dim=1).indices
        own = logits.gather(1, labels[:, None])[:, 0]
        distances = []
        for rank in range(count):
            gap = own - logits.gather(1, nearest[:, rank : rank + 1])[:, 0]
            rows = input_gradient_of(gap, points, keep_graph=True).flatten(1).double()
            steepness = torch.linalg.vector_norm(rows, ord=1 if norm == "linf" else 2, dim=1)
            distances.append(gap.detach() / steepness.clamp(min=1e-30))
    order = torch.stack(distances, dim=1).argsort(dim=1, stable=True)[:, :most]
    return torch.gather(nearest, 1, order)


def nth_target(
    module: nn.Module, x: torch.Tensor, labels: torch.Tensor, norm: Literal["linf", "l2"], number: int
) -> torch.Tensor:
    """The wrong class (n,) that is aimed at in round ``number``, from 0; the last one where there are fewer.

    >>> linear = nn.Linear(1, 3, bias=False)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[3.0], [2.0], [-8.0]]))
    >>> nth_target(linear, torch.tensor([[1.0]]), torch.tensor([0]), "linf", 1).tolist()
    [2]
    """
    order = target_order(module, x, labels, norm=norm, most=number + 1)
    return order[:, min(number, order.shape[1] - 1)]


def nth_margin(
    module: nn.Module, x: torch.Tensor, labels: torch.Tensor, norm: Literal["linf", "l2"], number: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The loss ``z_t − z_y`` towards the wrong class of round ``number``: logits (n, classes) to (n,) in float64.

    >>> linear = nn.Linear(1, 3, bias=False)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[3.0], [2.0], [-8.0]]))
    >>> loss = nth_margin(linear, torch.tensor([[1.0]]), torch.tensor([0]), "linf", 0)
    >>> loss(torch.tensor([[3.0, 2.0, -8.0]])).tolist()  # towards class 1
    [-1.0]
    """
    return margin_of(nth_target(module, x, labels, norm, number), labels)
