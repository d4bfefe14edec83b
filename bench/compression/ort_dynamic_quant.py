"""Step ``ort-dynamic-quant``: integer weights, activation ranges of each call, by ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from bench.compression.base import StepContext, steps
from bench.compression.ort_step import OrtStep
from bench.errors import UserError
from bench.networks.network import OnnxNetwork
from bench.registry import parameters

OPERATORS: Final = {"all": ["Conv", "MatMul", "Gemm"], "linear": ["MatMul", "Gemm"]}
TYPES: Final = {"int8": "QInt8", "uint8": "QUInt8"}


@steps.register("ort-dynamic-quant")
@parameters
class OrtDynamicQuant(OrtStep):
    """8-bit weights; each call reads the range of its activations off its own batch. No data is needed.

    Since a range is that of a whole batch, a sample's result depends on its company: such a network is always run
    one sample at a time. Convolutions become ConvInteger, matrix products MatMulInteger or DynamicQuantizeMatMul.
    """

    per_channel: Annotated[bool, Field(description="one weight scale an output channel, else one a tensor")] = True
    weight_type: Annotated[
        Literal["int8", "uint8"], Field(description="integers of the weights: int8 symmetric, uint8 with a zero point")
    ] = "int8"
    reduce_range: Annotated[bool, Field(description="7-bit weights, for CPUs whose 16-bit sums saturate")] = False
    layers: Annotated[
        Literal["all", "linear"], Field(description="convolutions and matrix products, or the latter alone")
    ] = "all"

    def convert(self, network: OnnxNetwork, context: StepContext) -> tuple[bytes, dict[str, Any]]:
        """Simplify and quantise."""
        return self._quantise(network.model), {"activation_ranges": "of each call"}

    def check(self, operators: Mapping[str, int]) -> None:
        """Raise ``UserError`` where nothing in the file was quantised."""
        if "DynamicQuantizeLinear" not in operators:
            raise UserError.at(self.name, "ONNX Runtime found nothing to quantise in the file")

    def _quantise(self, model: bytes) -> bytes:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        from bench.compression.onnx_runtime.files import canonical, quiet, simplified

        simple = simplified(model)  # its stored shapes are gone: the tool would trip over those of transposed weights
        with tempfile.TemporaryDirectory() as folder, quiet():
            source, result = Path(folder) / "source.onnx", Path(folder) / "result.onnx"
            source.write_bytes(simple.SerializeToString())
            quantize_dynamic(
                source,
                result,
                op_types_to_quantize=OPERATORS[self.layers],
                per_channel=self.per_channel,
                reduce_range=self.reduce_range,
                weight_type=getattr(QuantType, TYPES[self.weight_type]),
                extra_options={"WeightSymmetric": self.weight_type == "int8", "MatMulConstBOnly": True},
            )
            return canonical(onnx.load(result))
