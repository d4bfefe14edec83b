"""The options that quantising steps share, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import Field

from bench.registry import parameters

Calibration = Literal["percentile", "min-max", "mse"]
WeightRange = Literal["max", "mse"]
Grid = Literal["symmetric", "symmetric-narrow", "asymmetric"]

PERCENTILE: Final = 99.999
TEMPERATURE: Final = 2.0


@dataclass(frozen=True)
class Scheme:
    """A quantisation scheme: widths in bits, and how each quantiser finds its range."""

    weights: int
    activations: int | None  # none: weights only
    per_channel: bool  # one weight scale an output channel, else one a tensor
    weight_symmetric: bool = True
    activation_symmetric: bool = False
    weight_range: WeightRange = "max"
    calibration: Calibration = "percentile"
    percentile: float = PERCENTILE
    layer_bits: Mapping[str, int] = field(default_factory=dict)  # where they differ from ``weights``

    @property
    def stored_ranges(self) -> bool:
        """Whether weight ranges are numbers of their own, else the largest weight at every pass."""
        return self.weight_range == "mse" or not self.weight_symmetric

    @property
    def weight_grid(self) -> Grid:
        """The integers that weights take."""
        return "symmetric-narrow" if self.weight_symmetric else "asymmetric"

    @property
    def activation_grid(self) -> Grid:
        """The integers that activations take."""
        return "symmetric" if self.activation_symmetric else "asymmetric"

    def bits_of(self, layer: str) -> int:
        """The weight bits of a layer."""
        return self.layer_bits.get(layer, self.weights)


@parameters
class TrainingOptions:
    """How a quantised network is trained."""

    epochs: Annotated[int, Field(ge=1, description="passes over the training split")] = 3
    learning_rate: Annotated[float, Field(gt=0, description="peak of the cycle")] = 1e-3
    batch: Annotated[int, Field(ge=1, description="samples a step")] = 64
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 0.01
    learn_ranges: Annotated[bool, Field(description="train stored ranges too, else they stay as calibrated")] = False
    distillation: Annotated[
        float, Field(ge=0, le=1, description="share of the loss that is the divergence from the float network")
    ] = 0.0
    temperature: Annotated[float, Field(gt=0, description="at which the two networks are compared")] = TEMPERATURE
