"""Auto-PGD: projected gradient ascent that chooses its own steps, in l_inf and l2."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from bench.functional.attacks.logit_margins import input_gradient_of, negative_log_odds, wrong_margin

Norm: TypeAlias = Literal["linf", "l2"]
Loss: TypeAlias = Callable[[Tensor], Tensor]  # logits (n, classes) to what is raised (n,)

MOMENTUM = 0.75  # share of the new step in each move
LATE = 0.05  # share of the rise in the last tenth of the steps above which more steps would find more
ENOUGH = 0.75  # share of steps between two checkpoints that must raise the loss, else the step is halved


class Attacked(NamedTuple):
    """What one run found: the strongest iterate (n, ...), its margin and loss (n,), and where gradients were zero."""

    strongest: Tensor  # the largest margin of a wrong class over all iterates
    margin: Tensor  # of the strongest: above 0 where the label is not predicted
    loss: Tensor  # the largest seen
    zero_gradient: Tensor  # of the first gradient, bool
    rising: Tensor  # the last tenth of the steps brought more than a twentieth of the whole rise, bool


def checkpoints(steps: int) -> list[int]:
    """The steps at which step sizes are looked at: ``⌈p_j N⌉``, p growing by .22, then by .03 less each, at least .06.

    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    places, before, at = [], 0.0, 0.22
    while ceil(round(at * steps, 9)) < steps:
        places.append(ceil(round(at * steps, 9)))
        before, at = at, at + max(at - before - 0.03, 0.06)
    return list(dict.fromkeys(places))


def targeted_dlr(labels: Tensor, targets: Tensor) -> Loss:
    """The targeted difference-of-logits ratio, ``−(z_y − z_t) / (z_(1) − (z_(3) + z_(4)) / 2)``; four classes or more.

    It is the same for logits times any positive number, and after any shift: nothing vanishes where a softmax would.
    Source: Croce and Hein 2020 (arXiv 2003.01690).

    >>> logits = torch.tensor([[4.0, 3.0, 2.0, 0.0]])
    >>> loss = targeted_dlr(torch.tensor([0]), torch.tensor([1]))
    >>> loss(logits).tolist(), loss(logits * 100).tolist()  # −(4 − 3) / (4 − 1)
    ([-0.3333333333333333], [-0.3333333333333333])
    """

    def loss(logits: Tensor) -> Tensor:
        z = logits.double()
        order = z.sort(dim=1, descending=True).values
        gap = order[:, 0] - (order[:, 2] + order[:, 3]) / 2
        own, other = (z.gather(1, index[:, None])[:, 0] for index in (labels, targets))
        return (other - own) / gap.clamp(min=1e-12)

    return loss


def log_odds_against(labels: Tensor) -> Loss:
    """``log Σ_{j≠y} e^{z_j} − z_y``: raised by the same inputs as the cross-entropy, without vanishing where it is 0.

    >>> log_odds_against(torch.tensor([0]))(torch.tensor([[2.0, 0.5]])).tolist()
    [-1.5]
    """
    return lambda logits: negative_log_odds(logits, labels)


def apgd(
    module: nn.Module,
    x: Tensor,
    labels: Tensor,
    starts: Tensor,
    loss: Loss,
    *,
    epsilon: float,
    steps: int,
    norm: Norm = "linf",
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Attacked:
    """Auto-PGD within ``‖δ‖ ≤ epsilon`` and the bounds (Croce and Hein 2020, arXiv 2003.01690).

    ``z = P(x_k + η g)``, ``x_{k+1} = P(x_k + ¾ (z − x_k) + ¼ (x_k − x_{k−1}))``, g the gradient's sign in l_inf and its
    direction in l2, P the projection. η begins at 2 epsilon. At each checkpoint η is halved, and the sample taken back
    to the input of its largest loss, where fewer than three quarters of the steps raised the loss, or neither η nor the
    largest loss changed since the checkpoint before. Each sample has its own η: none depends on the others.

    Args:
        module: inputs (n, ...) to logits (n, classes); it must treat samples separately.
        x: samples (n, ...) within the bounds.
        labels: int64 (n,).
        starts: (n, ...), where each begins, as a displacement in units of epsilon, at most 1 in the norm.
        loss: what is raised, such as ``log_odds_against(labels)``.
        epsilon: largest change, above 0.
        steps: gradient steps, at least 1.
        norm: of the change.
        bounds: lowest and highest input.

    >>> linear = nn.Linear(2, 2, bias=False).eval()
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> x, labels = torch.full((1, 2), 0.5), torch.tensor([1])
    >>> found = apgd(linear, x, labels, torch.zeros(1, 2), log_odds_against(labels), epsilon=0.25, steps=5)
    >>> found.strongest.tolist(), found.margin.tolist()  # up along z_0, down along z_1
    ([[0.75, 0.25]], [0.5])
    """
    low, high = bounds
    wide = (-1, *[1] * (x.ndim - 1))

    def project(point: Tensor) -> Tensor:
        if norm == "linf":
            return torch.clamp(x + torch.clamp(point - x, -epsilon, epsilon), low, high)
        inside = torch.clamp(point, low, high) - x  # the bounds are a box about x: shrinking keeps what lies in it
        length = torch.linalg.vector_norm(inside.flatten(1), dim=1).clamp(min=1e-12).view(wide)
        return torch.add(x, inside * (epsilon / length).clamp(max=1.0))

    def ask(point: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        own = point.detach().clone().requires_grad_()
        logits = module(own)
        value = loss(logits)
        gradient = input_gradient_of(value, own)
        return value.detach(), wrong_margin(logits.detach(), labels), gradient

    def direction(gradient: Tensor) -> Tensor:
        if norm == "linf":
            return torch.sign(gradient)
        length = torch.linalg.vector_norm(gradient.flatten(1), dim=1).clamp(min=1e-30)
        return torch.div(gradient, length.view(wide))

    current = project(x + epsilon * starts)
    value, margin, gradient = ask(current)
    zero = (gradient.flatten(1) == 0).all(dim=1)
    best, best_value, best_gradient = current, value, gradient
    strongest, largest = current, margin
    before = current
    eta = torch.full((len(x),), 2.0 * epsilon, dtype=x.dtype, device=x.device)
    raised = torch.zeros(len(x), device=x.device)
    last_eta, last_value, last_check = eta.clone(), best_value.clone(), 0
    looked, late = set(checkpoints(steps)), steps - max(1, steps // 10)
    first_value, late_value = value, value
    for step in range(1, steps + 1):
        ahead = project(current + eta.view(wide) * direction(gradient))
        moved = ahead if step == 1 else project(
            current + MOMENTUM * (ahead - current) + (1 - MOMENTUM) * (current - before)
        )  # fmt: skip
        previous = value
        before, current = current, moved
        value, margin, gradient = ask(current)
        raised += value > previous
        strongest = torch.where((margin > largest).view(wide), current, strongest)
        largest = torch.maximum(largest, margin)
        better = value > best_value
        best = torch.where(better.view(wide), current, best)
        best_gradient = torch.where(better.view(wide), gradient, best_gradient)
        best_value = torch.maximum(best_value, value)
        late_value = best_value if step <= late else late_value
        if step in looked:
            few = raised < ENOUGH * (step - last_check)
            stuck = (eta == last_eta) & (best_value <= last_value)
            halve = few | stuck
            last_eta, last_value, last_check = eta.clone(), best_value.clone(), step
            eta = torch.where(halve, eta / 2, eta)
            raised.zero_()
            back = halve.view(wide)
            before = torch.where(back, best, before)
            current, gradient = torch.where(back, best, current), torch.where(back, best_gradient, gradient)
            value = torch.where(halve, best_value, value)
    rising = best_value - late_value > LATE * (best_value - first_value)
    return Attacked(strongest.detach(), largest, best_value, zero, rising)
