"""The class scores of an ONNX file: the output that holds them, and what stands before its final Softmax."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import onnx
from onnx import ModelProto, NodeProto, numpy_helper

from bench.networks.network import InputSpec

MOVES: Final = frozenset({"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"})
SMALLEST_HALF: Final = 2.0**-24  # the smallest positive float16


def scored(model: bytes, declared: InputSpec) -> tuple[bytes, InputSpec]:
    """The file with its class scores as its one output, as logits where a final Softmax can be cut off.

    Args:
        model: the file, whose very bytes come back where it has one output and no such Softmax.
        declared: which output it is, and whether it puts out probabilities.

    Returns:
        The file, and the declaration that fits it.
    """
    scores = only_output(model, declared.output_name) if declared.output_name else model
    bare = without_softmax(scores) if declared.output == "probabilities" else None
    return (scores, declared) if bare is None else (bare, replace(declared, output="logits"))


def only_output(model: bytes, name: str) -> bytes:
    """The file with the named output alone, or the first where there is none of that name.

    Nodes that no longer lead anywhere stay in the file; the runtime leaves them out.
    """
    loaded = onnx.load_model_from_string(model)
    outputs = list(loaded.graph.output)
    chosen = next((value for value in outputs if value.name == name), outputs[0])
    del loaded.graph.output[:]
    loaded.graph.output.append(chosen)
    return bytes(loaded.SerializeToString(deterministic=True))


def without_softmax(model: bytes) -> bytes | None:
    """The file whose final Softmax passes on what it is given, so that it puts out logits.

    None where the first output does not come from a Softmax through operators that only move values, or where
    something else that leads to the output reads what that Softmax makes.
    """
    loaded = onnx.load_model_from_string(model)
    path = _final_path(loaded)
    if not path or path[-1].op_type != "Softmax" or path[-1].domain not in ("", "ai.onnx"):
        return None
    path[-1].op_type = "Identity"
    del path[-1].attribute[:]
    return bytes(loaded.SerializeToString(deterministic=True))


def softmax_step(model: bytes) -> float | None:
    """The step of the quantiser behind a final Softmax; None where the first output is no quantised Softmax.

    Probabilities p are then whole multiples of it, and n of them sum to 1 within n steps.
    """
    loaded = onnx.load_model_from_string(model)
    step = _quantiser_step(loaded)
    makers = {name: node for node in loaded.graph.node for name in node.output}
    node = makers.get(loaded.graph.output[0].name)
    while node is not None and node.op_type in MOVES | {"QuantizeLinear", "DequantizeLinear"}:
        node = makers.get(node.input[0])
    return step if node is not None and node.op_type in ("Softmax", "QLinearSoftmax") else None


def smallest_positive(model: bytes) -> float | None:
    """The smallest positive number that the first output can be: a quantiser's step, or of float16; None: of float32.

    What a network rounds to zero counts as this much where a logarithm is taken.
    """
    loaded = onnx.load_model_from_string(model)
    step = _quantiser_step(loaded)
    half = loaded.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    return step if step is not None else SMALLEST_HALF if half else None


def holds_half(model: bytes) -> bool:
    """Whether any weight, or the input, is a float16 number."""
    graph = onnx.load_model_from_string(model).graph
    types = [tensor.data_type for tensor in graph.initializer]
    return onnx.TensorProto.FLOAT16 in (*types, *(value.type.tensor_type.elem_type for value in graph.input))


def _quantiser_step(model: ModelProto) -> float | None:
    """The step of the quantiser that the first output comes from; None where it is not quantised."""
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(model.graph.output[0].name)
    while node is not None and node.op_type in MOVES:
        node = makers.get(node.input[0])
    if node is None or node.op_type != "DequantizeLinear":
        return None
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for maker in model.graph.node:
        if maker.op_type == "Constant" and maker.attribute and maker.attribute[0].name == "value":
            stored[maker.output[0]] = maker.attribute[0].t
    scale = stored.get(node.input[1])
    values = None if scale is None else numpy_helper.to_array(scale)
    return float(values.max()) if values is not None and values.size else None


def _final_path(model: ModelProto) -> list[NodeProto]:
    """The nodes from the first output back to the first one that does more than move values.

    It ends early, before a value that another node on the way to the output reads too.
    """
    from bench.onnx_import.parse import needed

    nodes = list(model.graph.node)
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    last = model.graph.output[0].name
    seen: set[int] = set()
    uses, waiting = {last: 1}, [last]
    while waiting:  # the nodes that lead to the output, and how many of them read each value
        index = makers.get(waiting.pop())
        if index is None or index in seen:
            continue
        seen.add(index)
        for name in needed(nodes[index]):
            uses[name] = uses.get(name, 0) + 1
            waiting.append(name)
    path, name = [], last
    while name in makers and uses[name] == 1:
        path.append(nodes[makers[name]])
        if path[-1].op_type not in MOVES:
            break
        name = path[-1].input[0]
    return path
