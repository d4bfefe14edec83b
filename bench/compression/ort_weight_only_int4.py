"""Step ``ort-int4``: weights of four bits in an ONNX file, arithmetic in floating point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from bench.compression.base import StepContext, steps
from bench.compression.ort_step import OrtStep
from bench.errors import UserError
from bench.networks.network import OnnxNetwork
from bench.registry import parameters

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

OPSET: Final = 21  # the first with four-bit tensors
LINEAR: Final = frozenset({"MatMul", "Gemm"})
CONVOLUTION: Final = frozenset({"Conv", "ConvTranspose"})


@steps.register("ort-int4")
@parameters
class OrtInt4(OrtStep):
    """Weights rounded to four bits and stored two a byte; activations and arithmetic stay in floating point.

    ``w ≈ scale * (q - zero)``, each rounded to the nearest; no data is needed. Covered are the constant weights of
    Conv, ConvTranspose, Gemm and MatMul; biases stay float32. A DequantizeLinear (opset 21) stands before each
    operator, so the file shrinks and the arithmetic does not. One exception: at the optimisation levels extended and
    all, ONNX Runtime fuses it with a MatMul (not a Gemm) into MatMulNBits, which rounds activations to 8 bits too;
    ``running_operators`` of the record shows it, and a target with ``optimisation = "basic"`` avoids it.
    """

    symmetric: Annotated[bool, Field(description="int4 of -7 to 7 around zero, else uint4 with a zero point")] = True
    block: Annotated[
        Literal[0, 16, 32, 64, 128],
        Field(description="inputs of a matrix product that share a scale; 0: one scale an output channel"),
    ] = 0
    layers: Annotated[
        Literal["all", "linear"], Field(description="convolutions and matrix products, or the latter alone")
    ] = "all"

    def convert(self, network: OnnxNetwork, context: StepContext) -> tuple[bytes, dict[str, Any]]:
        """Simplify, raise the file to opset 21 where it is older, and round its weights.

        Raises:
            UserError: no constant weight in the file.
        """
        from bench.compression.onnx_runtime.files import canonical, simplified

        model = simplified(network.model, OPSET)
        covered = self._round_weights(model)
        if not covered:
            what = "no convolution or matrix product" if self.layers == "all" else "no matrix product"
            raise UserError.at(self.name, f"{what} in the file has a constant weight")
        return canonical(model), {"covered": dict(sorted(covered.items())), "opset": OPSET}

    def _round_weights(self, model: ModelProto) -> dict[str, int]:
        """Put integers and a DequantizeLinear in the place of each weight, in place; how many weights an operator."""
        constants = {tensor.name: tensor for tensor in model.graph.initializer}
        made: dict[tuple[str, int], str] = {}
        covered: dict[str, int] = {}
        nodes: list[NodeProto] = []
        for node in model.graph.node:
            tensor = constants.get(node.input[1]) if len(node.input) > 1 else None
            if tensor is not None and self._covers(node, tensor):
                axis = channel_axis(node, len(tensor.dims))
                if (tensor.name, axis) not in made:  # one that two operators share is stored once
                    made[tensor.name, axis] = f"{tensor.name}_axis{axis}_dequantised"
                    block = self.block if node.op_type in LINEAR else 0
                    nodes.append(self._dequantiser(model, tensor, axis, block, made[tensor.name, axis]))
                node.input[1] = made[tensor.name, axis]
                covered[node.op_type] = covered.get(node.op_type, 0) + 1
            nodes.append(node)
        used = {name for node in nodes for name in node.input} | {value.name for value in model.graph.output}
        kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
        del model.graph.initializer[:], model.graph.node[:]
        model.graph.initializer.extend(kept)
        model.graph.node.extend(nodes)
        return covered

    def _covers(self, node: NodeProto, tensor: TensorProto) -> bool:
        from onnx import TensorProto

        kinds = LINEAR | (CONVOLUTION if self.layers == "all" else frozenset())
        return node.op_type in kinds and tensor.data_type == TensorProto.FLOAT and len(tensor.dims) >= 2

    def _dequantiser(self, model: ModelProto, tensor: TensorProto, axis: int, block: int, name: str) -> NodeProto:
        from onnx import TensorProto, helper, numpy_helper

        from bench.compression.onnx_runtime.four_bits import pack, round_blocks, round_channels

        weight = numpy_helper.to_array(tensor)
        along = weight.ndim - 1 if axis == weight.ndim - 2 else weight.ndim - 2  # the inputs' axis of a matrix
        shared = {"axis": along, "block_size": block} if block else {"axis": axis}
        if block:
            rounded = round_blocks(weight, along, block, self.symmetric)
        else:
            rounded = round_channels(weight, axis, self.symmetric)
        kind = TensorProto.INT4 if self.symmetric else TensorProto.UINT4
        inputs = [f"{name}_integers", f"{name}_scale", f"{name}_zero"]
        for part, array in zip(inputs[::2], (rounded.integers, rounded.zero), strict=True):
            model.graph.initializer.append(helper.make_tensor(part, kind, array.shape, pack(array), raw=True))
        model.graph.initializer.append(numpy_helper.from_array(rounded.scale, inputs[1]))
        return helper.make_node("DequantizeLinear", inputs, [name], **shared)


def channel_axis(node: NodeProto, rank: int) -> int:
    """The axis of the output channels in a weight."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    transposed = node.op_type == "Gemm" and any(entry.name == "transB" and entry.i for entry in node.attribute)
    return rank - 2 if transposed else rank - 1
