"""Series: one figure against the strength of a compression."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.results.base import Record


class SeriesPoint(Record):
    """One strength: a variant, or the reference itself at its own."""

    variant: str | None = Field(description="null: the reference")
    strength: float
    figures: list[float | None] = Field(description="one a replicate, in their order; null where it has none")


class SeriesResult(Record):
    """One value along a series of variants on one target, and how its rank goes with the strength."""

    name: str
    axis: str = Field("", description="what the strength is")
    target: str
    metric: str
    params: dict[str, Any] = Field(default_factory=dict)
    family: str = ""
    value: str
    unit: str = ""
    meaning: Literal["ratio", "harm", "change"] = Field(
        description="of bounds and costs variant / reference (of a bound the end that it proves), else harm or change"
    )
    points: list[SeriesPoint] = Field(description="by rising strength")
    rank_correlation: float | None = Field(None, description="mean over replicates of Spearman's rho with the strength")
    rank_ci: tuple[float, float] | None = Field(None, description="95 % t interval over five replicates or more")
    each: list[float | None] = Field(default_factory=list, description="each replicate's own rank correlation")
    reason: str = Field("", description="why a number is null")
