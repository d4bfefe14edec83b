"""Constants of an ONNX graph, stored or computed from stored ones, and the shapes of its values."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

FOLDED = frozenset(
    {"Constant", "ConstantOfShape", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Cast", "Concat"}
)


class Constants:
    """Values that do not depend on the input, worked out when they are asked for."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.makers = {output: node for node in model.graph.node for output in node.output}
        self.known: dict[str, NDArray[Any] | None] = {}

    def __call__(self, name: str) -> NDArray[Any] | None:
        """The array of a name; None where it depends on the input, or on an operator that is not followed."""
        if name not in self.known:
            if name in self.stored:
                self.known[name] = numpy_helper.to_array(self.stored[name])
            else:
                self.known[name] = self._computed(self.makers.get(name))
        return self.known[name]

    def depends(self, name: str) -> bool:
        """Whether a value is none of the constants; an absent optional input is none either."""
        return self(name) is None

    def _computed(self, node: NodeProto | None) -> NDArray[Any] | None:
        if node is None or node.op_type not in FOLDED or node.domain not in ("", "ai.onnx"):
            return None
        inputs = {name: self(name) for name in node.input if name}
        if any(value is None for value in inputs.values()):
            return None
        graph = helper.make_graph(
            [node],
            "constant",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
                for name, value in inputs.items()
                if value is not None
            ],
            [helper.make_empty_tensor_value_info(node.output[0])],
        )
        opsets = [entry for entry in self.model.opset_import if entry.domain in ("", "ai.onnx")]
        made = ReferenceEvaluator(helper.make_model(graph, opset_imports=opsets)).run(None, inputs)
        return np.asarray(made[0])


def shapes_of(model: ModelProto) -> dict[str, tuple[int | str | None, ...]]:
    """Every shape that ONNX's own inference finds; a named size as its name, an unknown one as None."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # its errors share no public class; what it cannot infer is unknown
        inferred = model.graph
    shapes: dict[str, tuple[int | str | None, ...]] = {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape"):
            shapes[value.name] = tuple(
                dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in tensor.shape.dim
            )
    return shapes


def attributes(node: NodeProto) -> dict[str, Any]:
    """A node's attributes as Python values."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
