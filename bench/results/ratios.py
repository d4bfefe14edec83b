"""Two changes beside each other: of two variants of one run, or of one variant in two runs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.results.base import Record
from bench.results.cells import CellRecord


class RatioFigures(Record):
    """The ratio of two changes, (Δ_first / Δ_second)^(1/p); no yardsticks are needed, they would cancel."""

    value: str = Field(description="the change")
    power: Literal[1, 2] | None = Field(None, description="p; null: the distances of one of both are not known")
    n: int | None = Field(None, ge=0, description="samples that both share")
    ratio: float | None = Field(None, description="null where a change does not exceed the numerical floor")
    ci: tuple[float | None, float | None] | None = Field(
        None, description="paired 95 % interval of the ratio by itself; one end null: a limit alone"
    )
    interval: Literal["bootstrap", "score", "exact", "t", "none"] = Field(
        "none", description="bootstrap of paired distances, score for paired counts, exact for a count's limit alone"
    )
    resolution: float | None = Field(
        None, description="arithmetic alone may move the ratio this far from 1: 2 (floor / lesser change)^(1/p)"
    )
    told_apart: bool | None = Field(
        None, description="true: the interval lies on one side of 1 by more than the resolution; null: no interval"
    )
    reason: str = Field("", description="why a number or a limit is null")


class VariantRatio(RatioFigures):
    """One variant beside a nearer one on the same target: how many times as far it is from the reference."""

    first: str = Field(description="the variant with the larger change")
    second: str = Field(description="the variant with the smaller change")
    target: str
    metric: str
    params: dict[str, Any] = Field(default_factory=dict)
    family: str = ""
    replicate: int | None = Field(0, description="null: over all replicates, of which there is no ratio")
    next_nearer: bool = Field(description="no variant of this run lies between both")
    nearest: bool = Field(description="no variant of this run is nearer than the second")


class RunRatio(CellRecord, RatioFigures):
    """One variant's change in the later run beside its change in the earlier one."""

    family: str = ""
    unchanged: bool = Field(False, description="both runs hold one and the same measurement")
