"""Records of the stages of a variant's chain, and of the history of a network."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bench.results.base import Record
from bench.results.values import ValueResult


class StepUse(Record):
    """A step as the suite asks for it."""

    step: str
    version: int
    parameters: dict[str, Any] = Field(default_factory=dict)


class SourceRecord(Record):
    """The beginning of a network's history: an architecture trained here, a factory, or a file; more keys by source."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    kind: str
    source: str
    input: dict[str, Any] = Field(default_factory=dict)


class StepRecord(StepUse):
    """A step that was taken, what it says of itself, and the network that it was taken on."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    kind: str = Field(description="of the network that it made")
    record: dict[str, Any] = Field(default_factory=dict, description="what the step says of itself")
    of: StepRecord | SourceRecord


class NetworkKey(Record):
    """A network in the store."""

    kind: str
    key: str


class Artefact(NetworkKey):
    """The network that was measured, with its whole history."""

    record: StepRecord | SourceRecord | None = Field(None, description="null: it was lost, and nothing was measured")


class StageValue(Record):
    """One value at one stage of a variant's chain; null where it does not exist."""

    cumulative: ValueResult = Field(description="against the reference where the chain began: change, harm, or figure")
    step: ValueResult | None = Field(None, description="change from the stage named in since; changes only")
    added: ValueResult | None = Field(
        None, description="cumulative here minus cumulative at the stage named in since, signed; changes and harms"
    )
    since: str = Field("", description="the last stage before this one at which the metric could be measured")
    largest: bool = Field(False, description="adds more than any other stage, and surely more than nothing")


class StageMetric(Record):
    """One metric at one stage."""

    metric: str
    params: dict[str, Any] = Field(default_factory=dict)
    family: str
    n: int = 0
    status: Literal["ok", "skipped", "error"]
    reason: str = ""
    cached: bool = Field(False, description="reused from the store in this run")
    values: dict[str, StageValue] = Field(default_factory=dict)


class StageResult(Record):
    """One stage on the way from the reference to what runs; the last is the target as it is."""

    name: str
    step: StepUse | None = Field(None, description="null: the reference, an outside network, the runtime")
    network: NetworkKey | None = None
    target: dict[str, Any] = Field(default_factory=dict, description="name, runtime, optimisation, ...")
    metrics: list[StageMetric] = Field(default_factory=list)
