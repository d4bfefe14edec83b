"""Rank intervals: the places that each variant of a run may truly hold by one value."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.results.base import Record


class RankEntry(Record):
    """One variant on its target, and the first and last place that it may truly hold."""

    variant: str
    target: str
    low: int = Field(ge=1, description="one more than the variants that are surely better")
    high: int = Field(ge=1, description="all that are ranked but those that are surely worse")


class Unranked(Record):
    """One variant on its target that has no rank."""

    variant: str
    target: str
    reason: str = Field(description="why: no figure, no interval, or potentially unreliable")


class HarmDifference(Record):
    """How much worse one variant's figure is than another's on the same target and the same samples."""

    first: str = Field(description="the variant that is named later in the run")
    second: str
    target: str
    difference: float = Field(description="harm of the first less harm of the second, in the value's unit")
    ci: tuple[float, float] | None = Field(
        None, description="paired 95 % interval of this pair by itself: score for proportions, else bootstrap"
    )
    numerical_floor: float = Field(0.0, description="arithmetic alone may move the difference this far from 0")


class RankResult(Record):
    """The variants of a run by one value; rank 1 is the least change, or the least harm."""

    metric: str
    params: dict[str, Any] = Field(default_factory=dict)
    family: str = ""
    value: str
    kind: Literal["change", "quality", "pair"] = Field(description="what is ranked: the change, else the harm")
    replicate: int | None = Field(0, description="null: over all replicates, of which there are no ranks")
    target: str | None = Field(
        None, description="the only one that is ranked, where other samples count on others; null: all together"
    )
    n: int | None = Field(None, ge=0, description="samples that all share; null: there are no ranks")
    of: int = Field(0, ge=0, description="how many are ranked")
    method: Literal["means", "counts", "draws", "none"] = Field(
        "none",
        description="simultaneous paired differences of means, exact sign tests of events, or differences of"
        " resampled figures; all pairs hold at once with 95 %",
    )
    entries: list[RankEntry] = Field(default_factory=list, description="in the order of the run")
    left_out: list[Unranked] = Field(default_factory=list, description="in the order of the run")
    differences: list[HarmDifference] = Field(
        default_factory=list, description="of a family's headline harm: every two that are ranked, target by target"
    )
    reason: str = Field("", description="why nothing is ranked at all")
