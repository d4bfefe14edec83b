"""Gradients estimated from scores."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from bench.attacks.base import Access, Asked, Attack, Found, attacks
from bench.registry import parameters


@attacks.register("nes")
@parameters
class NaturalEvolution(Attack):
    """Projected ascent on gradients estimated from pairs of scores (arXiv 1804.08598), of the network as it runs."""

    queries: Annotated[int, Field(ge=1, description="most inputs asked a sample")] = 2000
    pairs: Annotated[int, Field(ge=1, description="of opposite inputs for one estimate")] = 25
    sigma: Annotated[
        float, Field(gt=0, description="how far they lie, as a share of the bounds; several steps of a rounded input")
    ] = 0.01

    packages: ClassVar[tuple[str, ...]] = ("scipy",)
    access: ClassVar[Access] = "scores"

    @model_validator(mode="after")
    def _one_step(self) -> NaturalEvolution:
        """Refuse queries that do not suffice for one step."""
        if self.queries <= 2 * self.pairs:
            raise ValueError(f"{self.queries} queries are not enough for one step: give more than 2 pairs")
        return self

    def run(self, asked: Asked) -> Found:
        """The input of the largest margin."""
        from bench.functional.attacks.nes import nes

        assert asked.epsilon is not None
        found = nes(
            asked.scores, asked.x, asked.labels, asked.generators("nes"), epsilon=asked.epsilon, norm=asked.norm,
            bounds=asked.bounds, **self.parameters(),
        )  # fmt: skip
        return Found((found.best,), queries=found.queries)
