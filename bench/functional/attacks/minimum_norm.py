"""Attacks that look for the nearest input of another class, on foolbox; imported only where an attack runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import torch
from torch import nn

with warnings.catch_warnings():  # foolbox imports scipy by a name that scipy gives up
    warnings.simplefilter("ignore", DeprecationWarning)
    from eagerpy.tensor.pytorch import PyTorchTensor
    from foolbox import attacks as library
    from foolbox.models import PyTorchModel

from bench.functional.attacks.keyed_draws import KeyedDraws
from bench.functional.attacks.logit_margins import input_gradient_of, margin_of

Method: TypeAlias = Literal["ddn", "deepfool", "carlini-wagner"]
ATTACKS: Final[dict[tuple[str, str], Any]] = {
    ("ddn", "l2"): library.DDNAttack,
    ("deepfool", "linf"): library.LinfDeepFoolAttack,
    ("deepfool", "l2"): library.L2DeepFoolAttack,
    ("carlini-wagner", "l2"): library.L2CarliniWagnerAttack,
}


class _Towards(nn.Module):
    """Two logits, 0 of the label and ``z_t − z_y`` of a target, at most 1 in size and of the same sign.

    The gradient of their cross-entropy has the direction of ``∇(z_t − z_y)``, which no sure softmax rounds away.
    """

    def __init__(self, module: nn.Module, labels: torch.Tensor, targets: torch.Tensor) -> None:
        super().__init__()
        self.module = module
        self.pair = torch.stack((labels, targets), dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, 2)."""
        both: torch.Tensor = self.module(x).gather(1, self.pair)
        gap = both[:, 1] - both[:, 0]
        gap = gap / gap.detach().abs().clamp(min=1.0)
        return torch.stack((torch.zeros_like(gap), gap), dim=1)


class _UnitRange(nn.Module):
    """A network that takes its input in [0, 1], the scale for which the library's steps are made."""

    def __init__(self, module: nn.Module, bounds: tuple[float, float]) -> None:
        super().__init__()
        self.module = module
        self.low, self.high = bounds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of inputs in [0, 1]."""
        logits: torch.Tensor = self.module(self.low + (self.high - self.low) * x)
        return logits


def minimum_norm(
    module: nn.Module,
    x: torch.Tensor,
    labels: torch.Tensor,
    generators: Sequence[np.random.Generator],
    method: Method,
    *,
    norm: Literal["linf", "l2"],
    bounds: tuple[float, float] = (0.0, 1.0),
    targets: torch.Tensor | None = None,
    **options: Any,
) -> torch.Tensor:
    """The nearest input of another class that an attack of foolbox found: (n, ...); x itself where it found none.

    DDN (arXiv 1811.09600) in l2, DeepFool (arXiv 1511.04599) in l_inf and l2,
    Carlini and Wagner (arXiv 1608.04644) in l2. The module must treat samples separately; then so does this.
    As published DDN follows the cross-entropy, which mixes wrong classes, and begins at the radius 1 of inputs in
    [0, 1], from which it shrinks by a twentieth a step. With targets it sees the logits of label and target alone, and
    begins at twice the distance by a linear view of both, at most at 1.

    Args:
        module: inputs (n, ...) to logits (n, classes).
        x: samples (n, ...) within the bounds.
        labels: int64 (n,), the classes that the module gives.
        generators: one a sample, for the directions that DDN draws where it sees no gradient.
        method: which attack.
        norm: in which near is meant.
        bounds: lowest and highest input.
        targets: int64 (n,), the wrong classes that DDN aims at; none: any.
        options: of the attack, as foolbox names them.

    Raises:
        KeyError: the attack knows no such norm.
        ValueError: another attack than DDN is given targets.

    >>> linear = nn.Linear(2, 2, bias=False).eval()
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    >>> x, labels = torch.tensor([[0.5, 0.5]]), torch.tensor([1])
    >>> near = minimum_norm(linear, x, labels, [np.random.default_rng(0)], "ddn", norm="l2", bounds=(-1, 1))
    >>> round(float((near - x).norm()), 2)  # 3.5 / 5
    0.7
    """
    low, high = bounds
    unit = ((x - low) / (high - low)).clamp(0, 1)
    seen: nn.Module = _UnitRange(module, bounds).eval()
    if method == "carlini-wagner":
        options = {"abort_early": False, **options}  # whether it aborts hangs on the whole batch
    if targets is not None:
        if method != "ddn":
            raise ValueError(f"{method} chooses its targets itself")
        options = {"init_epsilon": _first_radius(seen, unit, labels, targets), **options}
        seen, labels = _Towards(seen, labels, targets).eval(), torch.zeros_like(labels)
    arguments: dict[str, Any] = {"device": x.device}
    model = PyTorchModel(seen, bounds=(0, 1), **arguments)
    with KeyedDraws(generators):
        found = ATTACKS[method, norm](**options).run(model, unit, labels)
    lost = (found == 0).flatten(1).all(dim=1) if method == "carlini-wagner" else torch.zeros(len(x), dtype=torch.bool)
    lost = lost.to(x.device) | ~found.isfinite().flatten(1).all(dim=1)
    moved = torch.clamp(x + (found - unit) * (high - low), low, high)
    return torch.where(lost.view(-1, *[1] * (x.ndim - 1)), x, moved).detach()


def _first_radius(module: nn.Module, unit: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor) -> Any:
    """Twice ``|z_t − z_y| / ‖∇(z_t − z_y)‖``, at most 1: (n,), as the library takes it."""
    points = unit.detach().clone().requires_grad_()
    with torch.enable_grad():
        gap = margin_of(targets, labels)(module(points))
        steepness = torch.linalg.vector_norm(input_gradient_of(gap, points).flatten(1).double(), dim=1)
    radius = 2 * gap.detach().abs() / steepness.clamp(min=1e-30)
    return PyTorchTensor(radius.clamp(1e-6, 1.0).to(unit.dtype))
