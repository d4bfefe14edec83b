"""Projected gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from bench.attacks.base import Asked, Attack, Found, attacks
from bench.attacks.starts import uniform_starts
from bench.registry import parameters

if TYPE_CHECKING:
    import torch


@attacks.register("pgd")
@parameters
class ProjectedGradient(Attack):
    """Projected gradient ascent of the log-odds against the label from random starts (arXiv 1706.06083), on foolbox.

    With ``targeted`` each round aims at one wrong class, the nearest first (MALT, arXiv 2407.02240), and raises its
    logit less the label's.
    """

    steps: Annotated[int, Field(ge=1, description="gradient steps a round")] = 20
    restarts: Annotated[int, Field(ge=1, description="random starts, or target classes")] = 1
    relative_stepsize: Annotated[
        float | None, Field(gt=0, description="step as a share of epsilon; 2.5 / steps by default")
    ] = None
    targeted: Annotated[bool, Field(description="whether each round aims at one wrong class")] = False

    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")

    @property
    def rounds(self) -> int:
        """Restarts, or targets."""
        return self.restarts

    def run(self, asked: Asked) -> Found:
        """The last and the strongest iterate of one round."""
        from bench.functional.attacks.pgd import pgd
        from bench.functional.attacks.target_order import nth_margin

        assert asked.epsilon is not None
        epsilon, view = asked.epsilon, asked.gradients
        stepsize = 2.5 / self.steps if self.relative_stepsize is None else self.relative_stepsize

        def attack(x: torch.Tensor, labels: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, ...]:
            loss = None
            if self.targeted:
                loss = nth_margin(view.module, x, labels, asked.norm, asked.round)
            return pgd(
                view.module, x, labels, starts, epsilon=epsilon, steps=self.steps, relative_stepsize=stepsize,
                bounds=asked.bounds, norm=asked.norm, loss=loss,
            )  # fmt: skip

        last, strongest, zero = view.each_batch(attack, asked.x, asked.labels, uniform_starts(asked, "pgd"))
        return Found((last, strongest), flags={"zero_gradient": zero})
