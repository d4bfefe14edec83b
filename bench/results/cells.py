"""One cell: a metric of a variant on a target, and how its gradients were checked."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from bench.cell_id import CellId
from bench.results.base import Record
from bench.results.values import ValueResult


class ShippedDifference(Record):
    """The difference of the network that is measured from the file as it was given."""

    largest_probability_difference: float


class TwinParity(Record):
    """The difference of the imported graph that gives gradients from the session that runs."""

    samples: int
    unit: Literal["logit spread", "output step"]
    unit_in_logits: float
    logit_difference: dict[Literal["0.5", "0.9", "0.99", "1"], float] = Field(
        description="quantiles over samples of the largest difference of a sample's logits, in the unit"
    )
    argmax_agreement: float = Field(description="share of samples of the same class")
    shipped: ShippedDifference | None = Field(None, description="null: what is measured is the file as it was given")


class Parity(Record):
    """The parity of both networks; null where one has exact gradients of its own."""

    reference: TwinParity | None = None
    variant: TwinParity | None = None


class Example(Record):
    """A sample in pictures: one whose map was preserved worst, or an input that parts both networks."""

    sample: str = Field(description="its id")
    value: str = Field(description="the change by which it was chosen")
    distance: float
    picture: str = Field(
        pattern="^[A-Za-z0-9+/]*={0,2}$",
        description="PNG in base64: the image, the reference's map, the variant's map, the second less the first; where"
        " there are classes the image, the input that was found of it, if any, and the second less the first",
    )
    classes: tuple[str, str] | None = Field(
        None, description="what the reference and the variant say of the input that is shown; null: maps are shown"
    )


class CellRecord(Record):
    """The base of records of one cell: variant, target, metric, parameters and replicate."""

    variant: str
    target: str
    metric: str
    params: dict[str, Any] = Field(default_factory=dict)
    replicate: int | None = Field(0, description="null: over all replicates (scope recipe)")
    label: str = Field("", description="unique in a run, for people: what --only and crbench why take")

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        """Give a record without a label the one with every parameter."""
        self.label = self.label or self.id.label
        return self

    @property
    def id(self) -> CellId:
        """The identity of the cell."""
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
    parity: Parity | None = Field(None, description="null: no gradients of an imported graph were used")
    details: dict[str, Any] = Field(default_factory=dict)
    values: dict[str, ValueResult] = Field(default_factory=dict)
    examples: list[Example] = Field(
        default_factory=list, description="the worst-preserved samples, of maps of images, or inputs that were found"
    )
