"""One value of a cell: its figure, interval, position on the yardsticks' scale, and gates."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.results.base import Record

Rule = Literal["max_harm", "max_gap", "max_change", "min_value", "max_value"]
Kind = Literal["change", "quality", "pair", "bound", "cost"]


class BoundInfo(Record):
    """The kind of a ``bound`` value; ratio is the interval in which the true variant/reference ratio lies."""

    kind: Literal["certified", "estimate", "lower"]
    norm: str
    domain: str
    ratio: tuple[float | None, float | None] = (None, None)


class GateResult(Record):
    """A declared tolerance and its verdict."""

    rule: Rule
    tolerance: float
    verdict: Literal["passed", "failed", "inconclusive", "accepted"] = Field(
        description="accepted: the cell is skipped, and the suite says by name that it may be"
    )
    because: str
    looked: bool = Field(True, description="false: there was nothing to look at, which no run with gates passes")
    per: Literal["class"] | None = Field(None, description="judged in every class apart; null: over all samples")
    margin: float | None = Field(None, description="how much worse than a baseline it may be; null: the tolerance")


class ValueResult(Record):
    """One number with its interval and its place on the scale; null where it does not exist, with the reason."""

    kind: Kind
    unit: str = ""
    better: Literal["lower", "higher", "none"] = "none"
    n: int | None = Field(None, ge=0, description="samples that it is of; null: of none, as the size of a file")
    reference: float | None = Field(None, description="the reference's own figure")
    variant: float | None = Field(None, description="the variant's own figure")
    reference_ci: tuple[float | None, float | None] | None = Field(
        None, description="95 % interval of the reference's own figure"
    )
    own_ci: tuple[float | None, float | None] | None = Field(
        None, description="95 % interval of the variant's own figure: what min_value and max_value look at"
    )
    estimate: float | None = Field(None, description="change Δ, harm H (positive is worse), or ratio of costs")
    ci: tuple[float | None, float | None] | None = Field(None, description="95 % interval of the estimate")
    interval: Literal["bootstrap", "score", "exact", "t", "none"] = "none"
    scope: Literal["artefact", "recipe"] = "artefact"
    power: Literal[1, 2] | None = Field(
        None, description="p of a change: its gap is (estimate / geometric mean of the yardsticks)^(1/p)"
    )
    gap: float | None = None
    gap_ci: tuple[float | None, float | None] | None = Field(None, description="lower end null: an upper limit only")
    gap_further: float | None = Field(
        None, description="lower limit of the gap beside one further yardstick: by it max_gap fails and alarms sound"
    )
    seed_ratio: float | None = None
    yardsticks: list[float | None] = Field(default_factory=list, description="Δ(f0, fj) or M(fj)")
    yardstick_gaps: list[float] = Field(
        default_factory=list, description="each yardstick's own gap; none where the yardsticks give no scale"
    )
    numerical_floor: float | None = None
    p_value: float | None = Field(None, description="two-sided, of no harm")
    p_adjusted: float | None = Field(None, description="p_value after Holm over every harm of the whole suite")
    gates: list[GateResult] = Field(default_factory=list)
    reason: str = Field("", description="why a number is null")
    bound: BoundInfo | None = None


class ValueReference(Record):
    """A reference to one value of one metric."""

    metric: str
    params: dict[str, Any] = Field(default_factory=dict)
    value: str
