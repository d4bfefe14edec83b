"""The boundary attack, by classes alone."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from bench.attacks.base import Access, Asked, Attack, Found, Norm, attacks
from bench.attacks.decisions import nearest_by_classes
from bench.registry import parameters


@attacks.register("boundary")
@parameters
class Boundary(Attack):
    """The boundary attack (arXiv 1712.04248) in l2, on foolbox: a random walk along the border of the class. Slow."""

    queries: Annotated[int, Field(ge=1, description="most inputs asked a sample and restart")] = 5000
    restarts: Annotated[int, Field(ge=1, description="starts; each may end at another class")] = 1

    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")
    access: ClassVar[Access] = "classes"
    norms: ClassVar[tuple[Norm, ...]] = ("l2",)
    nearest: ClassVar[bool] = True

    @property
    def rounds(self) -> int:
        """Restarts."""
        return self.restarts

    def run(self, asked: Asked) -> Found:
        """The nearest input that was found."""
        return nearest_by_classes(asked, "boundary", self.queries)
