"""Auto-PGD towards one wrong class after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.attacks.base import Asked, Attack, Found, attacks
from bench.attacks.starts import uniform_starts
from bench.registry import parameters

if TYPE_CHECKING:
    import torch


@attacks.register("apgd-t")
@parameters
class TargetedAutoProjectedGradient(Attack):
    """Auto-PGD (arXiv 2003.01690) on the targeted difference-of-logits ratio, towards the nearest wrong classes.

    One class a round, in the order of the logits' difference over the norm of its gradient (MALT, arXiv 2407.02240).
    With three classes or fewer the loss is the difference of the two logits.
    """

    steps: Annotated[int, Field(ge=1, description="gradient steps a target")] = 100
    targets: Annotated[int, Field(ge=1, description="wrong classes that are aimed at, the nearest first")] = 3

    @property
    def rounds(self) -> int:
        """Targets."""
        return self.targets

    def run(self, asked: Asked) -> Found:
        """The strongest iterate towards one target; nothing where there are fewer wrong classes."""
        from bench.functional.attacks.apgd import apgd, targeted_dlr
        from bench.functional.attacks.logit_margins import margin_of
        from bench.functional.attacks.target_order import nth_target

        assert asked.epsilon is not None
        epsilon, view = asked.epsilon, asked.gradients
        if asked.round >= asked.classes - 1:
            return Found(())

        def attack(x: torch.Tensor, labels: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, ...]:
            targets = nth_target(view.module, x, labels, asked.norm, asked.round)
            loss = targeted_dlr(labels, targets) if asked.classes > 3 else margin_of(targets, labels)
            found = apgd(
                view.module, x, labels, starts, loss, epsilon=epsilon, steps=self.steps, norm=asked.norm,
                bounds=asked.bounds,
            )  # fmt: skip
            return found.strongest, found.zero_gradient, found.rising

        strongest, zero, rising = view.each_batch(attack, asked.x, asked.labels, uniform_starts(asked, "apgd-t"))
        return Found((strongest,), flags={"zero_gradient": zero, "rising": rising})
