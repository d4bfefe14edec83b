"""Decoupled direction and norm."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from bench.attacks.base import Asked, Attack, Found, Norm, attacks
from bench.attacks.nearest import nearest_inputs
from bench.registry import parameters


@attacks.register("ddn")
@parameters
class DecoupledDirectionAndNorm(Attack):
    """The decoupled direction and norm attack (DDN, arXiv 1811.09600) in l2, on foolbox."""

    steps: Annotated[int, Field(ge=1, description="gradient steps")] = 100

    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")
    norms: ClassVar[tuple[Norm, ...]] = ("l2",)
    nearest: ClassVar[bool] = True

    def run(self, asked: Asked) -> Found:
        """The nearest input that was found."""
        return nearest_inputs(asked, "ddn", steps=self.steps)
