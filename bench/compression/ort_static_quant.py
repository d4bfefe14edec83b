"""Step ``ort-static-quant``: static quantisation of an ONNX file by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import model_validator

from bench.compression.base import Need, StepContext, steps
from bench.compression.onnx_runtime.options import StaticOptions
from bench.compression.ort_step import QUANTISED_ALREADY, OrtStep
from bench.errors import UserError
from bench.networks.network import OnnxNetwork
from bench.registry import parameters

WIDE_OPSET: Final = 21  # the first whose quantisers take 16 bits


@steps.register("ort-static-quant")
@parameters
class OrtStaticQuant(StaticOptions, OrtStep):
    """Integer weights and activations, ranges from the calibration split, by ONNX Runtime's own tool.

    The file is first simplified by ONNX Runtime itself (which folds what BatchNorm is left). Weights are symmetric
    signed integers, or unsigned with a zero point. ``entropy`` takes the clipping range whose 128-bin version is
    nearest in Kullback-Leibler divergence to the histogram; it searches only with more than 128 bins, so the tool's
    own default of 128 would give ``minmax``. Convolutions on 16-bit activations run on floating point.
    """

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
