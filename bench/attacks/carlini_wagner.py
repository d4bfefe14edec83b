"""The attack of Carlini and Wagner."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from bench.attacks.base import Asked, Attack, Found, Norm, attacks
from bench.attacks.nearest import nearest_inputs
from bench.registry import parameters


@attacks.register("carlini-wagner")
@parameters
class CarliniWagner(Attack):
    """The attack of Carlini and Wagner (arXiv 1608.04644) in l2, on foolbox: strong, and slow."""

    steps: Annotated[int, Field(ge=1, description="gradient steps for each weight of the loss")] = 200
    binary_search_steps: Annotated[int, Field(ge=1, description="weights of the loss that are tried")] = 9
    stepsize: Annotated[float, Field(gt=0, description="of Adam, where inputs lie in [0, 1]")] = 0.01
    initial_const: Annotated[float, Field(gt=0, description="the first weight of the loss")] = 0.01

    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")
    norms: ClassVar[tuple[Norm, ...]] = ("l2",)
    nearest: ClassVar[bool] = True

    def run(self, asked: Asked) -> Found:
        """The nearest input that was found."""
        return nearest_inputs(asked, "carlini-wagner", **self.parameters())
