"""The results schema and nothing else: what ``results.json`` holds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class BoundInfo(_Record):
    """What kind of bound a ``bound`` value is; ratio is the interval in which the true variant/reference ratio lies."""

    kind: Literal["certified", "estimate", "lower"]
    norm: str
    domain: str
    ratio: tuple[float | None, float | None] = (None, None)


class GateResult(_Record):
    """A declared tolerance and its verdict."""

    rule: Literal["max_harm", "max_gap", "max_change", "min_value"]
    tolerance: float
    verdict: Literal["passed", "failed", "inconclusive"]
    because: str


class ValueResult(_Record):
    """One number with its interval and its place on the scale; null where it does not exist, with the reason."""

    kind: Literal["change", "quality", "pair", "bound", "cost"]
    unit: str = ""
    better: Literal["lower", "higher", "none"] = "none"
    reference: float | None = Field(None, description="the reference's own figure")
    variant: float | None = Field(None, description="the variant's own figure")
    estimate: float | None = Field(None, description="change Δ, harm H (positive is worse), or ratio of costs")
    ci: tuple[float | None, float | None] | None = Field(None, description="95 % interval of the estimate")
    interval: Literal["bootstrap", "score", "exact", "t", "none"] = "none"
    scope: Literal["artefact", "recipe"] = "artefact"
    gap: float | None = None
    gap_ci: tuple[float | None, float | None] | None = Field(None, description="lower end null: an upper limit only")
    seed_ratio: float | None = None
    yardsticks: list[float | None] = Field(default_factory=list, description="Δ(f0, fj) or M(fj)")
    numerical_floor: float | None = None
    p_value: float | None = None
    gates: list[GateResult] = Field(default_factory=list)
    reason: str = Field("", description="why a number is null")
    bound: BoundInfo | None = None


class Cell(_Record):
    """One (variant, target, metric, replicate)."""

    variant: str
    target: str
    metric: str
    params: dict[str, Any] = Field(default_factory=dict)
    replicate: int | None = Field(0, description="null: over all replicates (scope recipe)")
    family: str
    n: int = 0
    status: Literal["ok", "skipped", "error"]
    reason: str = ""
    seconds: float = Field(0.0, description="spent measuring when it was measured")
    cached: bool = Field(False, description="reused from the store in this run")
    key: str = ""
    protocol: dict[str, Any] = Field(default_factory=dict)
    parity: dict[str, Any] | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    files: list[str] = Field(default_factory=list)
    values: dict[str, ValueResult] = Field(default_factory=dict)


class FamilyResult(_Record):
    """A family's headline and its alarm: the largest simultaneous lower limit of its gaps."""

    headline: str = Field("", description="metric/value, named before anyone looks")
    gap: float | None = None
    gap_ci: tuple[float | None, float | None] | None = None
    alarm: float | None = None
    alarm_value: str = Field("", description="metric/value whose simultaneous lower limit is the alarm")
    reason: str = ""


class Verdict(_Record):
    """May it ship? True and false need evidence; null is undecided."""

    ship: bool | None = None
    because: str = ""


class VariantResult(_Record):
    """One variant on one target."""

    name: str
    target: str
    replicate: int | None = 0
    steps: list[dict[str, Any]] = Field(default_factory=list)
    artefact: dict[str, Any] = Field(default_factory=dict, description="kind, key, sha256, notes of its steps")
    cost: dict[str, float | None] = Field(default_factory=dict)
    verdict: Verdict = Field(default_factory=Verdict)
    families: dict[str, FamilyResult] = Field(default_factory=dict)


class SuiteInfo(_Record):
    """Which suite it was."""

    name: str
    fingerprint: str
    path: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


class ReferenceResult(_Record):
    """The reference and its yardsticks."""

    description: dict[str, Any] = Field(default_factory=dict)
    key: str = ""
    yardsticks: int = 0
    yardstick_kind: Literal["retrained", "weight-noise", "none"] = "none"


class Results(_Record):
    """A whole run."""

    schema_version: int = Field(SCHEMA_VERSION, alias="schema")
    suite: SuiteInfo
    run: dict[str, Any] = Field(default_factory=dict, description="provenance")
    reference: ReferenceResult
    verdict: Verdict = Field(default_factory=Verdict)
    variants: list[VariantResult] = Field(default_factory=list)
    cells: list[Cell] = Field(default_factory=list)

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)
