"""Fast minimum norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from bench.attacks.base import Asked, Attack, Found, attacks
from bench.registry import parameters

if TYPE_CHECKING:
    import torch


@attacks.register("fmn")
@parameters
class FastMinimumNorm(Attack):
    """The fast minimum norm attack (FMN, arXiv 2102.12827).

    Aimed at the nearest wrong classes (MALT, arXiv 2407.02240), one a round; with ``targets = 0`` at whichever has the
    largest logit at each step, as published.
    """

    steps: Annotated[int, Field(ge=1, description="gradient steps a target")] = 50
    targets: Annotated[int, Field(ge=0, description="wrong classes that are aimed at; 0: the largest logit")] = 1

    nearest: ClassVar[bool] = True

    @property
    def rounds(self) -> int:
        """Targets."""
        return max(1, self.targets)

    def run(self, asked: Asked) -> Found:
        """The nearest input that was found."""
        from bench.functional.attacks.fmn import fmn
        from bench.functional.attacks.target_order import nth_margin

        view = asked.gradients

        def attack(x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            loss = None
            if self.targets:
                loss = nth_margin(view.module, x, labels, asked.norm, asked.round)
            return (fmn(view.module, x, labels, loss, norm=asked.norm, steps=self.steps, bounds=asked.bounds),)

        (found,) = view.each_batch(attack, asked.x, asked.labels)
        return Found((found,))
