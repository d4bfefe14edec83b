"""Fast minimum norm: the nearest input of another class, by steps in a ball that shrinks where they succeed."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from bench.functional.attacks.logit_margins import input_gradient_of, wrong_margin

Loss: TypeAlias = Callable[[Tensor], Tensor]

FINAL_SHRINKING = 0.001  # share by which the ball changes in the last step


def fmn(
    module: nn.Module,
    x: Tensor,
    labels: Tensor,
    loss: Loss | None = None,
    *,
    norm: Literal["linf", "l2"] = "linf",
    steps: int = 100,
    stepsize: float = 1.0,
    shrinking: float = 0.05,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Tensor:
    """The nearest input of another class that FMN found: (n, ...); x itself where it found none.

    ``δ ← clip(P_ε(δ + α ε g))``, g the sign (l_inf) or direction (l2) of the gradient of the largest wrong logit less
    the label's. Until the class changes ``ε = ‖δ‖ + (1 + γ) m / ‖∇‖_*`` with m the missing margin, or (1 + γ) times as
    large as before where that is more; then the ball shrinks by the share γ where the class is changed, never beyond
    the nearest found, and grows by γ where it is not. α falls from 1 to a hundredth and γ to .001 along half a cosine.
    Source: Pintor et al. 2021 (arXiv 2102.12827), with steps in proportion to the ball instead of steps of a fixed
    length, which jump over small balls. Written anew, since foolbox 3.3.4 does not project in l2.

    Args:
        module: inputs (n, ...) to logits (n, classes); it must treat samples separately.
        x: samples (n, ...) within the bounds.
        labels: int64 (n,), the classes that the module gives.
        loss: what is raised, of logits (n, classes), above 0 where the class is changed; by default the largest wrong
            logit less the label's.
        norm: in which near is meant.
        steps: gradient steps, at least 1.
        stepsize: the first α.
        shrinking: the first γ.
        bounds: lowest and highest input.

    >>> linear = nn.Linear(2, 2, bias=False).eval()
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    >>> x = torch.tensor([[0.5, 0.5]])
    >>> near = fmn(linear, x, torch.tensor([1]), norm="l2", bounds=(-1.0, 1.0))
    >>> round(float((near - x).double().norm()), 2)  # 3.5 / 5
    0.7
    """
    low, high = bounds
    wide = (-1, *[1] * (x.ndim - 1))

    def length(change: Tensor, of: Literal["linf", "l2", "l1"]) -> Tensor:
        order = {"linf": float("inf"), "l2": 2.0, "l1": 1.0}[of]
        lengths: Tensor = torch.linalg.vector_norm(change.flatten(1), ord=order, dim=1)
        return lengths

    def project(change: Tensor, radius: Tensor) -> Tensor:
        if norm == "linf":
            return torch.maximum(torch.minimum(change, radius.view(wide)), -radius.view(wide))
        return torch.mul(change, (radius / length(change, "l2").clamp(min=1e-30)).clamp(max=1.0).view(wide))

    delta = torch.zeros_like(x)
    nearest, least = delta, torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    most = length(torch.maximum(x - low, high - x), norm)
    radius = torch.zeros_like(least)
    for step in range(steps + 1):  # the last point is looked at, and not left
        point = (x + delta).requires_grad_()
        logits = module(point)
        margin = wrong_margin(logits, labels) if loss is None else loss(logits)
        gradient = input_gradient_of(margin, point)
        margin = margin.detach().to(x.dtype)
        far = length(delta, norm)
        succeeds = wrong_margin(logits.detach(), labels) > 0
        nearer = succeeds & (far < least)
        nearest, least = torch.where(nearer.view(wide), delta, nearest), torch.where(nearer, far, least)
        falling = (1 + cos(pi * step / steps)) / 2
        gamma = FINAL_SHRINKING + (shrinking - FINAL_SHRINKING) * falling
        alpha = stepsize * (0.01 + 0.99 * falling)
        missing = margin.clamp(max=0)
        guess = far - (1 + gamma) * missing / length(gradient, "l1" if norm == "linf" else "l2").clamp(min=1e-30)
        grown = torch.where(least.isfinite() | (radius > guess), radius * (1 + gamma), guess)
        radius = torch.where(succeeds, torch.minimum(radius * (1 - gamma), least), grown)
        radius = torch.minimum(radius, most)
        direction = torch.sign(gradient)
        if norm == "l2":
            direction = gradient / length(gradient, "l2").clamp(min=1e-30).view(wide)
        moved = project(delta + alpha * radius.view(wide) * direction, radius)
        delta = (torch.clamp(x + moved, low, high) - x).detach()
    return (x + nearest).detach()
