"""The change of an ONNX file's answers by folding, in float64 by ONNX's own reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


def doubled(model: ModelProto) -> ModelProto:
    """A copy that computes in float64: stored tensors, constants and casts of floating type become double."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    _double(made.graph)
    return made


def run_in_double(model: ModelProto, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first output of a model that ``doubled`` made, for inputs x."""
    stored = {tensor.name for tensor in model.graph.initializer}
    name = next(value.name for value in model.graph.input if value.name not in stored)
    made = ReferenceEvaluator(model, new_ops=[_evaluation_batch_norm()]).run(None, {name: x})
    return np.asarray(made[0], dtype=np.float64)


def _evaluation_batch_norm() -> type[Any]:
    """BatchNormalization on its stored statistics: below opset 14 the reference takes those of the batch."""

    class BatchNormalization(OpRun):  # type: ignore[misc]
        op_domain = ""

        def _run(
            self, x: Any, scale: Any, shift: Any, mean: Any, variance: Any, epsilon: float = 1e-5,
            training_mode: int = 0, **_: Any,
        ) -> tuple[Any]:  # fmt: skip
            if training_mode:
                raise NotImplementedError("BatchNormalization in training mode")
            channels = (-1, *(1,) * (x.ndim - 2))
            scale, shift, mean, variance = (each.reshape(channels) for each in (scale, shift, mean, variance))
            return ((x - mean) / np.sqrt(variance + epsilon) * scale + shift,)

    return BatchNormalization


def _double(graph: GraphProto) -> None:
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)

    def widen(tensor: Any) -> None:
        if tensor.data_type in floats:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))

    for tensor in graph.initializer:
        widen(tensor)
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.elem_type in floats:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in graph.node:
        for entry in node.attribute:
            if entry.HasField("t"):
                widen(entry.t)
            if node.op_type == "Cast" and entry.name == "to" and entry.i in floats:
                entry.i = TensorProto.DOUBLE
            for inner in (*entry.graphs, *([entry.g] if entry.HasField("g") else [])):
                _double(inner)
