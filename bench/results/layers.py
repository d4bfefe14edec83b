"""The layer report, ``why-diverged --json``: what each layer of a variant adds to its divergence from the reference."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.results.base import Record

Limits = tuple[float | None, float | None]


class Estimate(Record):
    """A figure and its 95 % interval."""

    estimate: float
    ci: Limits


class SaturatingLayer(Record):
    """A layer whose 8-bit sums can saturate on x86 without VNNI."""

    name: str
    operator: str
    can_saturate: float | None = Field(description="share of its weight pairs; null: the weights are no constants")
    saturated: float | None = Field(description="share of pair sums that do, on the samples; null: not counted")


class SumsInfo(Record):
    """The sums of the variant's 8-bit products."""

    kind: Literal["exact", "saturating"] | None = Field(description="null: unknown")
    simulated: bool
    reason: str = Field(description="why saturated sums were not counted")
    layers: list[SaturatingLayer]
    samples: int = Field(description="on which saturated sums were counted")
    asked: Literal["native", "exact", "saturating"]


class Divergence(Record):
    """The divergence of the variant's logits from the reference's, both run layer by layer."""

    js: Estimate = Field(description="mean Jensen-Shannon divergence in nats")
    flips: float = Field(description="share of samples")
    not_finite: int = Field(description="samples on which the variant has no finite logits: each counts as log 2")
    rounding: float = Field(description="what rounding alone may bring about, in nats")


class DeployedDivergence(Record):
    """The divergence of the two networks as they run, and where it arises."""

    js: Estimate
    flips: float
    not_finite: int
    parts: dict[str, Estimate] = Field(description="of js: layers, then what each stage of the runtime adds")
    runtime_share: float | None = Field(description="of js, 0 to 1; null: there is no divergence")
    integer_sums: SumsInfo | None = Field(description="null: the variant has no 8-bit products")


class RunFidelity(Record):
    """The difference of running layer by layer from the network as it runs."""

    runtime: Literal["torch", "onnxruntime"]
    largest_difference: float | None = Field(description="of logits")
    flips: float | None = Field(description="share of samples")
    largest_logit: float | None = None


class ErrorFigures(Record):
    """The error of an output against the reference's, pooled over samples; null where infinite or not known."""

    sqnr_db: float | None
    cosine: float | None
    relative_mse: float | None
    identical: bool


class ErrorSpread(Record):
    """The 5 %, 50 % and 95 % quantiles of each error figure over samples."""

    sqnr_db: list[float | None]
    cosine: list[float | None]
    relative_mse: list[float | None]


class OutputError(ErrorFigures):
    """An output's error, pooled and as quantiles over samples."""

    spread: ErrorSpread | None


class Removed(Record):
    """A figure before and after restoring a layer, and what that removes, with its paired 95 % interval."""

    before: float
    after: float
    removed: float
    ci: Limits


class Restored(Record):
    """The figures that restoring the layer improves; accuracy and nll need labels."""

    js: Removed
    accuracy: Removed | None = None
    nll: Removed | None = None


class DividedOut(Record):
    """Channels that are scaled and shifted, which the variant's next layers undo: no fault."""

    channels: int
    of: int
    scale: tuple[float, float]
    shift: tuple[float, float]


class NotFinite(Record):
    """Samples on which the output holds NaN or infinities; ``own``: although its inputs are finite."""

    samples: int
    own: bool


class BothOperators(Record):
    """The layer's operators in both graphs; null: the graph has no such layer."""

    reference: list[str] | None
    variant: list[str] | None


class BothShapes(Record):
    """The shape of the layer's weights in both graphs; null: it has none."""

    reference: list[int] | None
    variant: list[int] | None


class LayerResult(OutputError):
    """One layer of the reference and its counterpart in the variant."""

    name: str
    position: int
    kind: str
    variant_name: str | None
    operators: BothOperators
    weights: BothShapes
    before_activation: OutputError | None
    not_finite: NotFinite | None
    reason: str | None = Field(description="why its outputs cannot be compared")
    divided_out: DividedOut | None
    unclear: bool = Field(description="it and the layers that read it are off: a scaling cannot be told from a fault")
    added: ErrorFigures | None = Field(description="its own error, on the variant's own inputs")
    restored: Restored | None
    restored_reason: str | None


class BothFidelities(Record):
    """The difference of running layer by layer from each network as it runs."""

    reference: RunFidelity
    variant: RunFidelity


class LayerReport(Record):
    """The layers of a pair, ranked by the divergence that each one causes."""

    samples: int
    deployed: DeployedDivergence
    divergence: Divergence
    fidelity: BothFidelities
    layers: list[LayerResult] = Field(description="in the reference's order")
    ranking: list[str] = Field(description="names of layers, most guilty first")
    culprits: list[str] = Field(description="those that are shown to do damage")
    rule: str = Field(description="of the ranking")
    only_in_variant: list[str]
