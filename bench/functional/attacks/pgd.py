"""Projected gradient ascent in l_inf and l2, on foolbox; imported only where an attack runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from eagerpy.astensor import astensor
from torch import nn

with warnings.catch_warnings():  # foolbox imports scipy by a name that scipy gives up
    warnings.simplefilter("ignore", DeprecationWarning)
    from foolbox.attacks import L2ProjectedGradientDescentAttack, LinfProjectedGradientDescentAttack
    from foolbox.models import Model, PyTorchModel

from bench.functional.attacks.logit_margins import input_gradient_of, negative_log_odds, wrong_margin

Wrapped: TypeAlias = Any  # the library's tensor of any framework; ``raw`` is torch's
Loss: TypeAlias = Callable[[torch.Tensor], torch.Tensor]  # logits (n, classes) to what is raised (n,)


class Candidates(NamedTuple):
    """Perturbed images (n, ...) that may fool the network, and where the very first gradient was exactly zero (n,)."""

    last: torch.Tensor
    strongest: torch.Tensor  # the iterate with the largest margin of a wrong class
    zero_gradient: torch.Tensor


class _Keyed:
    """The library's attack from given starts, with the strongest iterate of each sample remembered."""

    def __init__(self, starts: torch.Tensor, loss: Loss | None, *, steps: int, rel_stepsize: float) -> None:
        super().__init__(rel_stepsize=rel_stepsize, steps=steps, random_start=True)  # type: ignore[call-arg]
        self.starts = starts
        self.loss = loss
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
            return astensor(negative_log_odds(logits, labels.raw) if self.loss is None else self.loss(logits))

        return losses

    def value_and_grad(self, loss_fn: Callable[[Wrapped], Wrapped], x: Wrapped) -> tuple[Wrapped, Wrapped]:
        """The gradient with respect to the input; zero where the output does not depend on it."""
        points = x.raw.detach().clone().requires_grad_()
        losses = loss_fn(astensor(points)).raw
        gradient = input_gradient_of(losses, points)
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


class _KeyedLinf(_Keyed, LinfProjectedGradientDescentAttack):  # type: ignore[misc,unused-ignore]
    """Steps by the gradient's sign."""


class _KeyedL2(_Keyed, L2ProjectedGradientDescentAttack):  # type: ignore[misc,unused-ignore]
    """Steps along the gradient."""


def pgd(
    module: nn.Module,
    x: torch.Tensor,
    labels: torch.Tensor,
    starts: torch.Tensor,
    *,
    epsilon: float,
    steps: int,
    relative_stepsize: float,
    bounds: tuple[float, float],
    norm: Literal["linf", "l2"] = "linf",
    loss: Loss | None = None,
) -> Candidates:
    """Projected gradient ascent within ``‖δ‖ ≤ epsilon`` and the bounds (arXiv 1706.06083).

    ``x ← clip(x₀ + P(x + α · g − x₀))`` from ``x₀ + epsilon · starts``, with ``α = relative_stepsize · epsilon``, P the
    projection into the ball, and g the sign of the loss's gradient in l_inf, its direction in l2. The module must treat
    samples separately; then so does this.

    Args:
        module: inputs (n, ...) to logits (n, classes).
        x: samples (n, ...) within the bounds.
        labels: the class that is to be left, int64 (n,).
        starts: (n, ...) in units of epsilon, at most 1 in the norm.
        epsilon: largest change of an input, above 0.
        steps: gradient steps, at least 1.
        relative_stepsize: α in units of epsilon, above 0.
        bounds: lowest and highest input.
        norm: of the change.
        loss: what is raised, of logits (n, classes); the log-odds against the label by default.

    >>> linear = nn.Linear(2, 2, bias=False).eval()
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> x, labels, how = torch.full((1, 2), 0.5), torch.tensor([1]), {"steps": 2, "relative_stepsize": 1.0}
    >>> attack = pgd(linear, x, labels, torch.zeros(1, 2), epsilon=0.25, bounds=(0.0, 1.0), **how)
    >>> attack.last.tolist(), attack.zero_gradient.tolist()  # up along z_0, down along z_1
    ([[0.75, 0.25]], [False])
    """
    arguments: dict[str, Any] = {"device": x.device}
    model = PyTorchModel(module, bounds=bounds, **arguments)
    attack = (_KeyedLinf if norm == "linf" else _KeyedL2)(starts, loss, steps=steps, rel_stepsize=relative_stepsize)
    last = attack.run(model, x, labels, epsilon=epsilon)
    assert attack.strongest is not None
    assert attack.zero_gradient is not None
    return Candidates(last, attack.strongest, attack.zero_gradient)
