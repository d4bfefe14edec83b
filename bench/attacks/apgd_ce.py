"""Auto-PGD on the cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.attacks.base import Asked, Attack, Found, attacks
from bench.attacks.starts import uniform_starts
from bench.registry import parameters

if TYPE_CHECKING:
    import torch


@attacks.register("apgd-ce")
@parameters
class AutoProjectedGradient(Attack):
    """Auto-PGD (arXiv 2003.01690) on the log-odds against the label, which the same inputs raise as the cross-entropy.

    Unlike the cross-entropy they do not vanish where the network is sure.
    """

    steps: Annotated[int, Field(ge=1, description="gradient steps a round")] = 100
    restarts: Annotated[int, Field(ge=1, description="random starts")] = 1

    @property
    def rounds(self) -> int:
        """Restarts."""
        return self.restarts

    def run(self, asked: Asked) -> Found:
        """The strongest iterate of one round."""
        from bench.functional.attacks.apgd import apgd, log_odds_against

        assert asked.epsilon is not None
        epsilon, view = asked.epsilon, asked.gradients

        def attack(x: torch.Tensor, labels: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = apgd(
                view.module, x, labels, starts, log_odds_against(labels), epsilon=epsilon, steps=self.steps,
                norm=asked.norm, bounds=asked.bounds,
            )  # fmt: skip
            return found.strongest, found.zero_gradient, found.rising

        strongest, zero, rising = view.each_batch(attack, asked.x, asked.labels, uniform_starts(asked, "apgd-ce"))
        return Found((strongest,), flags={"zero_gradient": zero, "rising": rising})
