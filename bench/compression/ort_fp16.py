"""Step ``ort-fp16``: an ONNX file in half precision, with float32 at its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import numpy as np
from pydantic import Field

from bench.compression.base import Need, StepContext, steps
from bench.compression.ort_step import QUANTISED_ALREADY, OrtStep
from bench.errors import UserError
from bench.networks.network import OnnxNetwork
from bench.registry import parameters
from bench.runtimes.base import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

LARGEST: Final = float(np.finfo(np.float16).max)


@steps.register("ort-fp16")
@parameters
class OrtFp16(OrtStep):
    """Weights and operators in float16, input and output in float32, by ONNX Runtime's own converter.

    float16 ends at 65,504. A weight beyond it, or a value inside the network on any calibration sample, is refused:
    on accelerators it would be infinite. On most CPUs ONNX Runtime computes in float32 between rounded values, which
    hides such an overflow, so the float32 file is asked.
    """

    headroom: Annotated[
        float, Field(ge=1, description="values inside the network must stay below 65504 divided by this")
    ] = 1.0

    refusal: ClassVar[dict[str, str]] = {
        "torch": QUANTISED_ALREADY["torch"],
        "torch-quantised": "its weights are integers already",
        "onnx-quantised": "its weights are integers already",
    }
    quantises: ClassVar[bool] = False
    needs: ClassVar[frozenset[Need]] = frozenset({"calibration"})

    def convert(self, network: OnnxNetwork, context: StepContext) -> tuple[bytes, dict[str, Any]]:
        """Simplify, look for overflow, convert.

        Raises:
            UserError: no calibration samples, or values that float16 cannot hold.
        """
        from bench.compression.onnx_runtime.files import calibration_inputs, simplified

        name, x, batch = calibration_inputs(network, context)
        simple = simplified(network.model)
        _check_weights(simple)
        largest = largest_values(simple, name, x, batch)
        given = {name: float(np.abs(x).max())} if x.dtype.kind == "f" else {}  # it is rounded too
        tensor, value = max(largest.items(), key=lambda item: item[1])
        for value_name, magnitude in (given | largest).items():  # in the order of the graph: the first is the cause
            if not magnitude * self.headroom <= LARGEST:
                what = f"fp16 overflow: {value_name!r} reaches {magnitude:.3g} on the calibration samples"
                raise UserError.at(self.name, what, f"float16 ends at {LARGEST / self.headroom:.6g} here")
        record = {"largest_value": {"tensor": tensor, "value": value}, "calibration_samples": len(x) // batch * batch}
        return _convert(simple), record


def largest_values(model: ModelProto, name: str, x: NDArray[Any], batch: int) -> dict[str, float]:
    """The largest magnitude of every float32 value inside a network over samples x, in the order of its graph."""
    import onnx

    from bench.onnx_files.running import holds_loop, run_session
    from bench.runtimes.onnx_session import session_options, start_session

    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    known = {value.name for value in opened.graph.output}
    inner = [output for node in opened.graph.node for output in node.output if output and output not in known]
    opened.graph.output.extend(onnx.ValueInfoProto(name=output) for output in inner)
    target = Target(name="overflow", runtime="onnxruntime", optimisation="disabled")
    content = opened.SerializeToString()
    session = start_session(content, target, session_options(target, 1))
    largest = dict.fromkeys((output for node in opened.graph.node for output in node.output if output), 0.0)
    names = [entry.name for entry in session.get_outputs() if entry.type == "tensor(float)"]
    for start in range(0, len(x) - batch + 1, batch):
        outputs = run_session(session, {name: x[start : start + batch]}, names, loops=holds_loop(content))
        for output, array in zip(names, outputs, strict=True):
            if array.size:
                largest[output] = max(largest[output], float(np.abs(array).max()))
    return {output: largest[output] for output in largest if output in set(names)}


def _check_weights(model: ModelProto) -> None:
    from onnx import TensorProto, numpy_helper

    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(values := numpy_helper.to_array(tensor).ravel()):
            magnitude = float(np.abs(values).max())
            if not magnitude <= LARGEST:
                what = f"fp16 overflow: the weight {tensor.name!r} holds {magnitude:.3g}"
                raise UserError.at("ort-fp16", what, f"float16 ends at {LARGEST:.6g}")


def _convert(model: ModelProto) -> bytes:
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import convert_float_to_float16

    from bench.compression.onnx_runtime.files import canonical, quiet

    with quiet():
        made = ONNXModel(convert_float_to_float16(model, keep_io_types=True))
    made.topological_sort()  # the converter puts the input's cast last
    del made.model.graph.value_info[:]
    return canonical(made.model)
