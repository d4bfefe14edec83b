"""Square, without gradients."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from bench.attacks.base import Access, Asked, Attack, Found, attacks
from bench.registry import parameters


@attacks.register("square")
@parameters
class Square(Attack):
    """Random search with square changes (arXiv 1912.00049), by the scores of the network as it runs."""

    queries: Annotated[int, Field(ge=1, description="most inputs asked a sample")] = 1000

    packages: ClassVar[tuple[str, ...]] = ()
    access: ClassVar[Access] = "scores"

    def run(self, asked: Asked) -> Found:
        """The input of the largest margin."""
        from bench.functional.attacks.square import square

        assert asked.epsilon is not None
        found = square(
            asked.scores, asked.x, asked.labels, asked.generators("square"), epsilon=asked.epsilon,
            queries=self.queries, norm=asked.norm, bounds=asked.bounds,
        )  # fmt: skip
        return Found((found.best,), queries=found.queries)
