"""Projected gradient ascent in the maximum norm, on foolbox; imported only where an attack runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from eagerpy.astensor import astensor
from torch import nn

with warnings.catch_warnings():  # foolbox imports scipy by a name that scipy gives up
    warnings.simplefilter("ignore", DeprecationWarning)
    from foolbox.attacks import LinfProjectedGradientDescentAttack
    from foolbox.models import Model, PyTorchModel

from bench.functional.attacks.logit_margins import negative_log_odds, wrong_margin

Wrapped: TypeAlias = Any  # the library's tensor of any framework; ``raw`` is torch's


class Candidates(NamedTuple):
    """Perturbed images (n, ...) that may fool the network, and where the very first gradient was exactly zero (n,)."""

    last: torch.Tensor
    strongest: torch.Tensor  # the iterate with the largest margin of a wrong class
    zero_gradient: torch.Tensor


class _KeyedStarts(LinfProjectedGradientDescentAttack):  # type: ignore[misc,unused-ignore]
    """The library's attack from given starts, with the strongest iterate of each sample remembered."""

    def __init__(self, starts: torch.Tensor, *, steps: int, rel_stepsize: float) -> None:
        super().__init__(rel_stepsize=rel_stepsize, steps=steps, random_start=True)
        self.starts = starts
        self.zero_gradient: torch.Tensor | None = None
        self.margin: torch.Tensor | None = None
        self.strongest: torch.Tensor | None = None

    def get_random_start(self, x0: Wrapped, epsilon: float) -> Wrapped:
        """Start where the caller's generator says, not the process-wide one."""
        return x0 + epsilon * astensor(self.starts)

    def get_loss_fn(self, model: Model, labels: Wrapped) -> Callable[[Wrapped], Wrapped]:
        """Per-sample losses; iterates are remembered on the way."""

        def losses(points: Wrapped) -> Wrapped:
            logits = model(points).raw
            self._remember(points.raw.detach(), wrong_margin(logits.detach(), labels.raw))
            return astensor(negative_log_odds(logits, labels.raw))

        return losses

    def value_and_grad(self, loss_fn: Callable[[Wrapped], Wrapped], x: Wrapped) -> tuple[Wrapped, Wrapped]:
        """The gradient with respect to the input; zero where the output does not depend on it."""
        points = x.raw.detach().clone().requires_grad_()
        losses = loss_fn(astensor(points)).raw
        if losses.requires_grad:
            (gradient,) = torch.autograd.grad(losses.sum(), points)
        else:
            gradient = torch.zeros_like(points)
        if self.zero_gradient is None:
            self.zero_gradient = (gradient.flatten(1) == 0).all(dim=1)
        return astensor(losses.detach()), astensor(gradient)

    def _remember(self, points: torch.Tensor, margin: torch.Tensor) -> None:
        if self.strongest is None or self.margin is None:
            self.strongest, self.margin = points.clone(), margin
            return
        better = margin > self.margin
        self.margin = torch.where(better, margin, self.margin)
        self.strongest = torch.where(better.view(-1, *[1] * (points.ndim - 1)), points, self.strongest)


def linf_pgd(
    module: nn.Module,
    x: torch.Tensor,
    labels: torch.Tensor,
    starts: torch.Tensor,
    *,
    epsilon: float,
    steps: int,
    relative_stepsize: float,
    bounds: tuple[float, float],
) -> Candidates:
    """Untargeted projected gradient ascent within ``‖δ‖_∞ ≤ epsilon`` and the bounds (arXiv 1706.06083).

    ``x ← clip(x₀ + clip(x + α · sign ∇ log-odds − x₀, −ε, ε))`` with ``α = relative_stepsize · epsilon``, from
    ``x₀ + epsilon · starts``. The module must treat samples separately; then so does this.

    Args:
        module: inputs (n, ...) to logits (n, classes).
        x: samples (n, ...) within the bounds.
        labels: the class whose odds are lowered, int64 (n,).
        starts: (n, ...) in [-1, 1], in units of epsilon.
        epsilon: largest change of an input, above 0.
        steps: gradient steps, at least 1.
        relative_stepsize: α in units of epsilon, above 0.
        bounds: lowest and highest input.

    >>> linear = nn.Linear(2, 2, bias=False).eval()
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> x, labels, how = torch.full((1, 2), 0.5), torch.tensor([1]), {"steps": 2, "relative_stepsize": 1.0}
    >>> attack = linf_pgd(linear, x, labels, torch.zeros(1, 2), epsilon=0.25, bounds=(0.0, 1.0), **how)
    >>> attack.last.tolist(), attack.zero_gradient.tolist()  # up along z_0, down along z_1
    ([[0.75, 0.25]], [False])
    """
    arguments: dict[str, Any] = {"device": x.device}
    model = PyTorchModel(module, bounds=bounds, **arguments)
    attack = _KeyedStarts(starts, steps=steps, rel_stepsize=relative_stepsize)
    last = attack.run(model, x, labels, epsilon=epsilon)
    assert attack.strongest is not None
    assert attack.zero_gradient is not None
    return Candidates(last, attack.strongest, attack.zero_gradient)
