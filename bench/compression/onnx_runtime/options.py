"""The options of static quantisation by ONNX Runtime."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.registry import parameters


@parameters
class StaticOptions:
    """The integers of weights and activations, and how their ranges are read off the calibration data."""

    format: Annotated[
        Literal["qdq", "qoperator"],
        Field(description="pairs of QuantizeLinear and DequantizeLinear, or operators on integers (QLinearConv)"),
    ] = "qdq"
    per_channel: Annotated[bool, Field(description="one weight scale an output channel, else one a tensor")] = True
    symmetric: Annotated[bool, Field(description="activation ranges around zero, else with a free zero point")] = False
    activation_type: Annotated[
        Literal["uint8", "int8", "uint16", "int16"] | None,
        Field(description="integers of the activations; by default int8 where symmetric, else uint8"),
    ] = None
    weight_type: Annotated[
        Literal["int8", "uint8"], Field(description="integers of the weights: int8 symmetric, uint8 with a zero point")
    ] = "int8"
    method: Annotated[
        Literal["minmax", "percentile", "entropy"], Field(description="how a range is read off the calibration data")
    ] = "minmax"
    percentile: Annotated[
        float, Field(gt=50, le=100, description="for percentile: the share of values inside the range, in percent")
    ] = 99.999
    bins: Annotated[
        int, Field(ge=256, le=16384, multiple_of=2, description="for percentile and entropy: bins of the histogram")
    ] = 2048
    reduce_range: Annotated[bool, Field(description="7-bit weights, for CPUs whose 16-bit sums saturate")] = False

    @property
    def activations(self) -> str:
        """The integers of the activations."""
        return self.activation_type or ("int8" if self.symmetric else "uint8")
