"""The baseline that stands for an absent input: one value at every place."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bench.errors import UserError
from bench.registry import parameters
from bench.runtimes.base import Predictor


@parameters
class BaselineOption:
    """What stands where the input is taken away."""

    baseline: Annotated[
        float | None, Field(description="value of what is taken away, in the units of the bounds; the lower by default")
    ] = None

    def level(self, predictor: Predictor, metric: str) -> float:
        """The baseline's value; one that is out of bounds raises ``UserError``, which names the metric."""
        low, high = predictor.spec.input.bounds
        level = low if self.baseline is None else self.baseline
        if not low <= level <= high:
            raise UserError.at(f"{metric}.baseline", f"{level} is out of bounds", f"give {low} to {high}")
        return level

    def baseline_in_words(self) -> float | str:
        """The baseline, for a protocol."""
        return "lower bound" if self.baseline is None else self.baseline
