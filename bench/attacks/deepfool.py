"""DeepFool."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from bench.attacks.base import Asked, Attack, Found, attacks
from bench.attacks.nearest import nearest_inputs
from bench.registry import parameters


@attacks.register("deepfool")
@parameters
class DeepFool(Attack):
    """DeepFool (arXiv 1511.04599): steps to the nearest boundary of the linearised network, on foolbox."""

    steps: Annotated[int, Field(ge=1, description="linearisations")] = 50
    overshoot: Annotated[float, Field(ge=0, description="share by which the boundary is passed")] = 0.02

    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")
    nearest: ClassVar[bool] = True

    def run(self, asked: Asked) -> Found:
        """The nearest input that was found."""
        return nearest_inputs(asked, "deepfool", steps=self.steps, overshoot=self.overshoot)
