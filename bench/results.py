"""The results schema and nothing else: what ``results.json`` holds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.cell_id import CellId

SCHEMA_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


Rule = Literal["max_harm", "max_gap", "max_change", "min_value", "max_value"]


class BoundInfo(_Record):
    """What kind of bound a ``bound`` value is; ratio is the interval in which the true variant/reference ratio lies."""

    kind: Literal["certified", "estimate", "lower"]
    norm: str
    domain: str
    ratio: tuple[float | None, float | None] = (None, None)


class GateResult(_Record):
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


class ValueResult(_Record):
    """One number with its interval and its place on the scale; null where it does not exist, with the reason."""

    kind: Literal["change", "quality", "pair", "bound", "cost"]
    unit: str = ""
    better: Literal["lower", "higher", "none"] = "none"
    reference: float | None = Field(None, description="the reference's own figure")
    variant: float | None = Field(None, description="the variant's own figure")
    own_ci: tuple[float | None, float | None] | None = Field(
        None, description="95 % interval of the variant's own figure: what min_value and max_value look at"
    )
    estimate: float | None = Field(None, description="change Δ, harm H (positive is worse), or ratio of costs")
    ci: tuple[float | None, float | None] | None = Field(None, description="95 % interval of the estimate")
    interval: Literal["bootstrap", "score", "exact", "t", "none"] = "none"
    scope: Literal["artefact", "recipe"] = "artefact"
    gap: float | None = None
    gap_ci: tuple[float | None, float | None] | None = Field(None, description="lower end null: an upper limit only")
    gap_further: float | None = Field(
        None, description="lower limit of the gap beside one further yardstick: by it max_gap fails and alarms sound"
    )
    seed_ratio: float | None = None
    yardsticks: list[float | None] = Field(default_factory=list, description="Δ(f0, fj) or M(fj)")
    numerical_floor: float | None = None
    p_value: float | None = Field(None, description="two-sided, of no harm")
    p_adjusted: float | None = Field(None, description="p_value after Holm over every harm of the whole suite")
    gates: list[GateResult] = Field(default_factory=list)
    reason: str = Field("", description="why a number is null")
    bound: BoundInfo | None = None


class CellRecord(_Record):
    """What holds for one cell: its identity in a run, or in another one."""

    variant: str
    target: str
    metric: str
    params: dict[str, Any] = Field(default_factory=dict)
    replicate: int | None = Field(0, description="null: over all replicates (scope recipe)")

    @property
    def id(self) -> CellId:
        """Which cell it is of."""
        return CellId.of(self)


class Cell(CellRecord):
    """One (variant, target, metric, replicate)."""

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
    """May it ship? True and false need evidence; null is undecided, or an error."""

    ship: bool | None = None
    error: bool = Field(False, description="a cell failed, so that nothing could be decided")
    because: str = ""


class StageValue(_Record):
    """What one value says of one stage of a variant's chain; null where it does not exist."""

    cumulative: ValueResult = Field(description="against the reference where the chain began: change, harm, or figure")
    step: ValueResult | None = Field(None, description="change from the stage named in since; changes only")
    added: ValueResult | None = Field(
        None, description="cumulative here minus cumulative at the stage named in since, signed; changes and harms"
    )
    since: str = Field("", description="the last stage before this one at which the metric could be measured")
    largest: bool = Field(False, description="adds more than any other stage, and surely more than nothing")


class StageMetric(_Record):
    """One metric at one stage."""

    metric: str
    params: dict[str, Any] = Field(default_factory=dict)
    family: str
    n: int = 0
    status: Literal["ok", "skipped", "error"]
    reason: str = ""
    cached: bool = Field(False, description="reused from the store in this run")
    values: dict[str, StageValue] = Field(default_factory=dict)


class StageResult(_Record):
    """One stage on the way from the reference to what runs; the last is the target as it is."""

    name: str
    step: dict[str, Any] | None = Field(None, description="null: the reference, an outside network, the runtime")
    network: dict[str, Any] = Field(default_factory=dict, description="kind and key")
    target: dict[str, Any] = Field(default_factory=dict, description="name, runtime, optimisation, ...")
    metrics: list[StageMetric] = Field(default_factory=list)


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
    stages: list[StageResult] = Field(default_factory=list, description="where the suite asks for them; first to last")


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
    left_out: list[str] = Field(default_factory=list, description="gated cells that --only or --shard left out")
    arrays_sha256: str = Field("", description="of the arrays.npz beside it; empty: none was written with it")
    sha256: str = Field("", description="of the canonical JSON of all else; empty: written before there were checksums")

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)


Word = Literal["regressed", "improved", "same", "inconclusive", "incomparable", "missing", "errored", "accepted"]


class Judgement(CellRecord):
    """One value of one cell against a baseline, or one gate against the reference, in one word."""

    value: str
    against: Literal["baseline", "first", "reference"]
    rule: str = Field("", description="of the gate; timing for latencies")
    verdict: Word
    because: str = Field("", description="figures, interval, margin, and why")
    estimate: float | None = Field(None, description="how much worse than the baseline; positive is worse")
    ci: tuple[float | None, float | None] | None = Field(None, description="95 % interval of the estimate")
    margin: float | None = None
    p_value: float | None = Field(None, description="that it is worse by no more than the margin, after Holm")
    not_worse: bool = Field(False, description="harm beyond the margin is excluded")
    decides: bool = Field(True, description="false: told, and without a say in the exit code")
    look: str = Field("", description="the command to look closer")


class Comparison(_Record):
    """A run against a baseline, or against another run."""

    suite: str
    baseline: str = Field(description="what it was compared with, in words")
    strict: bool = False
    exit_code: int
    closing: str = Field(description="the counts, in one line")
    notes: list[str] = Field(default_factory=list, description="what holds for the run beside its judgements")
    judgements: list[Judgement] = Field(default_factory=list)
