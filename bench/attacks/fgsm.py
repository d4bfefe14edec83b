"""One step along the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.attacks.base import Asked, Attack, Found, attacks
from bench.registry import parameters

if TYPE_CHECKING:
    import torch


@attacks.register("fgsm")
@parameters
class FastGradient(Attack):
    """One step of length epsilon by the gradient's sign (l_inf) or along it (l2), arXiv 1412.6572."""

    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")

    def run(self, asked: Asked) -> Found:
        """The one point."""
        from bench.functional.attacks.pgd import pgd

        assert asked.epsilon is not None
        epsilon, view = asked.epsilon, asked.gradients

        def attack(x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = pgd(
                view.module, x, labels, x * 0, epsilon=epsilon, steps=1, relative_stepsize=1.0, bounds=asked.bounds,
                norm=asked.norm,
            )  # fmt: skip
            return found.last, found.zero_gradient

        last, zero = view.each_batch(attack, asked.x, asked.labels)
        return Found((last,), flags={"zero_gradient": zero})
