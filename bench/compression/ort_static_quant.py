"""Step ``ort-static-quant``: static quantisation of an ONNX file by ONNX Runtime."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bench.compression.base import Need, Step, StepContext, steps
from bench.errors import UserError
from bench.graph.network import Network, OnnxNetwork
from bench.models.training import preprocess
from bench.registry import parameters
from bench.runtimes.base import Target
from bench.runtimes.onnx_runtime import OnnxRuntime, integer_kernels, operators, optimised_operators

if TYPE_CHECKING:
    from numpy.typing import NDArray

OLDEST_OPSET = 13  # below it, one scale a channel is silently dropped


@steps.register("ort-static-quant")
@parameters
class OrtStaticQuant(Step):
    """8-bit weights and activations as QuantizeLinear and DequantizeLinear pairs, ranges from the calibration split.

    The file is first simplified by ONNX Runtime itself (which folds what BatchNorm is left). Weights are symmetric
    signed integers, activations unsigned with a zero point, or symmetric signed.
    """

    per_channel: Annotated[bool, Field(description="one weight scale an output channel, else one a tensor")] = True
    symmetric: Annotated[bool, Field(description="signed activations around zero, else unsigned with a zero point")] = (
        False
    )
    method: Annotated[
        Literal["minmax", "percentile"], Field(description="how a range is read off the calibration data")
    ] = "minmax"
    reduce_range: Annotated[bool, Field(description="7-bit weights, for CPUs whose 16-bit sums saturate")] = False

    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx")
    consumes: ClassVar[frozenset[str]] = frozenset({"onnx"})
    refusal: ClassVar[dict[str, str]] = {
        "torch": "it takes an ONNX file; put onnx-export before it, or use ptq",
        "torch-quantised": "the network is quantised already",
        "onnx-quantised": "the network is quantised already",
    }
    needs: ClassVar[frozenset[Need]] = frozenset({"calibration"})

    def produces(self, kind: str) -> str:
        """A quantised ONNX file."""
        return "onnx-quantised"

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Simplify, calibrate, quantise, all in a temporary folder.

        Raises:
            UserError: no calibration samples, or a file older than opset 13.
            RuntimeError: nothing in the file was quantised.
        """
        import torch

        assert isinstance(network, OnnxNetwork)
        if len(context.calibration) == 0:
            raise UserError.at("data.calibration", "no calibration samples", "give 1 or more; ranges are read off them")
        _check_opset(network.model)
        session = OnnxRuntime().open(network, Target(name="calibration", runtime="onnxruntime"), "cpu")
        x = preprocess(torch.from_numpy(context.calibration.x), network.input).numpy()
        with _quiet():
            model = self._quantise(network.model, session.input_name, x.astype(session.dtype), session.fixed_batch or 1)
        made = OnnxNetwork(model, network.input, quantised=True)
        counts = operators(model)
        if not counts.get("QuantizeLinear"):
            raise RuntimeError("ONNX Runtime found nothing to quantise in the file")
        target = Target(name="kernels", runtime="onnxruntime")
        return made, {
            "calibration_samples": len(context.calibration),
            "operators": counts,
            "integer_kernels": integer_kernels(optimised_operators(made, target)),
            "bytes": {"before": len(network.model), "after": len(model)},
        }

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """The file itself is the structure: an empty one that is replaced."""
        return OnnxNetwork(b"", network.input, quantised=True)

    def _quantise(self, model: bytes, name: str, x: NDArray[Any], batch: int) -> bytes:
        from onnxruntime import quantization as ort

        method = ort.CalibrationMethod.MinMax if self.method == "minmax" else ort.CalibrationMethod.Percentile
        with tempfile.TemporaryDirectory() as folder:
            source, simple, result = (Path(folder) / f"{stage}.onnx" for stage in ("source", "simple", "result"))
            source.write_bytes(model)
            ort.quant_pre_process(source, simple, skip_symbolic_shape=True)  # ONNX's own inference follows
            ort.quantize_static(
                simple,
                result,
                reader(name, x, batch),
                quant_format=ort.QuantFormat.QDQ,
                per_channel=self.per_channel,
                reduce_range=self.reduce_range,
                activation_type=ort.QuantType.QInt8 if self.symmetric else ort.QuantType.QUInt8,
                weight_type=ort.QuantType.QInt8,
                calibrate_method=method,
                calibration_providers=["CPUExecutionProvider"],
                extra_options={"ActivationSymmetric": self.symmetric, "WeightSymmetric": True},
            )
            return _canonical(result)


def reader(name: str, x: NDArray[Any], batch: int) -> Any:
    """Feed preprocessed samples x (n, channels, height, width) to the calibration, ``batch`` at a time."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.start = 0

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            part = x[self.start : self.start + batch]
            self.start += batch
            return {name: np.ascontiguousarray(part)} if len(part) == batch else None

    return Reader()


def _check_opset(model: bytes) -> None:
    import onnx

    found = [
        entry.version for entry in onnx.load_model_from_string(model).opset_import if entry.domain in ("", "ai.onnx")
    ]
    if found and found[0] < OLDEST_OPSET:
        what = f"the file uses opset {found[0]}"
        raise UserError.at("ort-static-quant", what, f"export it with opset {OLDEST_OPSET} or newer")


def _canonical(path: Path) -> bytes:
    """The file in a deterministic order of bytes, without the tool's notes."""
    import onnx

    model = onnx.load(path)
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the quantiser prints, warns of and advises on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
