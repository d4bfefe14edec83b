"""Step ``ort-static-quant``: static quantisation of an ONNX file by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from bench.compression.base import Need, StepContext, steps
from bench.compression.ort_step import QUANTISED_ALREADY, OrtStep
from bench.errors import UserError
from bench.networks.network import OnnxNetwork
from bench.registry import parameters

WIDE_OPSET: Final = 21  # the first whose quantisers take 16 bits


@steps.register("ort-static-quant")
@parameters
class OrtStaticQuant(OrtStep):
    """Integer weights and activations, ranges from the calibration split, by ONNX Runtime's own tool.

    The file is first simplified by ONNX Runtime itself (which folds what BatchNorm is left). Weights are symmetric
    signed integers, or unsigned with a zero point. ``entropy`` takes the clipping range whose 128-bin version is
    nearest in Kullback-Leibler divergence to the histogram; it searches only with more than 128 bins, so the tool's
    own default of 128 would give ``minmax``. Convolutions on 16-bit activations run on floating point.
    """

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

    version: ClassVar[int] = 2
    refusal: ClassVar[dict[str, str]] = QUANTISED_ALREADY | {
        "torch": "it takes an ONNX file; put onnx-export before it, or use ptq"
    }
    needs: ClassVar[frozenset[Need]] = frozenset({"calibration"})

    @model_validator(mode="after")
    def _check(self) -> OrtStaticQuant:
        if self.activations.startswith("int") and self.weight_type == "uint8":
            raise ValueError("signed activations with uint8 weights: ONNX Runtime has no such kernels; give int8")
        if self.format == "qoperator" and self.activations.endswith("16"):
            raise ValueError(f"{self.activations} activations exist only as qdq")
        return self

    @property
    def activations(self) -> str:
        """The integers of the activations."""
        return self.activation_type or ("int8" if self.symmetric else "uint8")

    def convert(self, network: OnnxNetwork, context: StepContext) -> tuple[bytes, dict[str, Any]]:
        """Simplify, calibrate, quantise.

        Raises:
            UserError: no calibration samples.
        """
        from bench.compression.onnx_runtime.files import calibration_inputs, simplified
        from bench.compression.onnx_runtime.static_quantiser import quantised_file

        name, x, batch = calibration_inputs(network, context)
        wide = self.activations.endswith("16")
        model = quantised_file(self, simplified(network.model, WIDE_OPSET if wide else None), name, x, batch)
        return model, {"calibration_samples": len(x) // batch * batch}

    def check(self, operators: Mapping[str, int]) -> None:
        """Raise ``UserError`` where nothing in the file was quantised."""
        if not any(count for kind, count in operators.items() if kind.startswith(("Quantize", "QLinear"))):
            raise UserError.at(self.name, "ONNX Runtime found nothing to quantise in the file")
