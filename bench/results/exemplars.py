"""Identified exemplars: samples whose modal label over many networks is another one after compression."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.results.base import Record

PNG = "^[A-Za-z0-9+/]*={0,2}$"


class MeanAccuracies(Record):
    """Mean accuracy over each side's networks on a part of the samples; null where the part is empty."""

    n: int
    reference: float | None = None
    variant: float | None = None


class ClassHarm(Record):
    """A class: its mean recall over networks, and how much more it lost than all samples together."""

    label: str
    n: int = Field(description="samples of the class")
    reference: float = Field(description="mean recall of the references")
    variant: float = Field(description="mean recall of the variants")
    harm: float = Field(description="-(change of recall - change of accuracy), a proportion; positive is worse")
    ci: tuple[float, float] | None = Field(None, description="95 % t interval over networks, on these samples")
    p_value: float = Field(description="two-sided sign-flip test over pairs (reference, its variant)")
    p_adjusted: float = Field(description="after Holm over all classes")


class ShownExemplar(Record):
    """An exemplar, with its modal labels."""

    sample: str = Field(description="its id")
    label: str | None = Field(description="its own label; null: it has none")
    reference: str = Field(description="modal label of the references")
    variant: str = Field(description="modal label of the variants")
    reference_votes: int = Field(description="references that give it")
    variant_votes: int = Field(description="variants that give it")
    picture: str = Field("", pattern=PNG, description="PNG in base64; empty: the sample is no image")


class ExemplarsResult(Record):
    """The exemplars of one variant on one target, over as many references as variants made of them."""

    name: str = Field(description="of the suite's section")
    variant: str
    target: str
    status: Literal["ok", "skipped", "error"] = "ok"
    reason: str = Field("", description="why there are no figures, or why some are null")
    networks: int = Field(0, description="on each side: a variant is made of each reference")
    n: int = 0
    exemplars: int | None = None
    share: float | None = None
    ci: tuple[float, float] | None = Field(None, description="95 %, exact (Clopper-Pearson), over samples")
    tied: int | None = Field(None, description="samples without a modal label on a side, which are no exemplars")
    by_retraining: float | None = Field(
        None,
        description="estimate of how many samples two populations of as many references would differ on: a scale",
    )
    p_value: float | None = Field(
        None,
        description="exact: share of swaps of references with their variants whose votes are as far apart or further",
    )
    on_exemplars: MeanAccuracies | None = Field(None, description="on samples that these very networks chose")
    on_the_rest: MeanAccuracies | None = None
    classes: list[ClassHarm] = Field(default_factory=list, description="every class that has samples; needs labels")
    ids: list[str] = Field(default_factory=list, description="of all exemplars, in the order of the samples")
    shown: list[ShownExemplar] = Field(default_factory=list, description="those on which both sides are most agreed")
    cached: bool = False
