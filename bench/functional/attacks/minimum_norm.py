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
    from foolbox import attacks as library
    from foolbox.models import PyTorchModel

from bench.functional.attacks.keyed_draws import KeyedDraws

Method: TypeAlias = Literal["ddn", "deepfool", "carlini-wagner"]
ATTACKS: Final[dict[tuple[str, str], Any]] = {
    ("ddn", "l2"): library.DDNAttack,
    ("deepfool", "linf"): library.LinfDeepFoolAttack,
    ("deepfool", "l2"): library.L2DeepFoolAttack,
    ("carlini-wagner", "l2"): library.L2CarliniWagnerAttack,
}


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
    **options: Any,
) -> torch.Tensor:
    """The nearest input of another class that an attack of foolbox found: (n, ...); x itself where it found none.

    DDN (arXiv 1811.09600) in l2, DeepFool (arXiv 1511.04599) in l_inf and l2,
    Carlini and Wagner (arXiv 1608.04644) in l2. The module must treat samples separately; then so does this.

    Args:
        module: inputs (n, ...) to logits (n, classes).
        x: samples (n, ...) within the bounds.
        labels: int64 (n,), the classes that the module gives.
        generators: one a sample, for the directions that DDN draws where it sees no gradient.
        method: which attack.
        norm: in which near is meant.
        bounds: lowest and highest input.
        options: of the attack, as foolbox names them.

    Raises:
        KeyError: the attack knows no such norm.

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
    arguments: dict[str, Any] = {"device": x.device}
    model = PyTorchModel(_UnitRange(module, bounds).eval(), bounds=(0, 1), **arguments)
    if method == "carlini-wagner":
        options = {"abort_early": False, **options}  # whether it aborts hangs on the whole batch
    with KeyedDraws(generators):
        found = ATTACKS[method, norm](**options).run(model, unit, labels)
    lost = (found == 0).flatten(1).all(dim=1) if method == "carlini-wagner" else torch.zeros(len(x), dtype=torch.bool)
    lost = lost.to(x.device) | ~found.isfinite().flatten(1).all(dim=1)
    moved = torch.clamp(x + (found - unit) * (high - low), low, high)
    return torch.where(lost.view(-1, *[1] * (x.ndim - 1)), x, moved).detach()
