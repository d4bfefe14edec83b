"""Cuts a part of an ONNX graph out as a model of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper


def piece(model: ModelProto, inputs: Mapping[str, int], outputs: Sequence[str]) -> ModelProto:
    """The nodes that lead from some values to others.

    Args:
        model: the whole graph.
        inputs: values that are given, with their ONNX element types; what makes them is left out.
        outputs: values that are wanted; an input that is wanted too is passed through.

    Raises:
        ValueError: an output stands on a graph input that is not among ``inputs``.
    """
    needed = set(outputs) - set(inputs)
    kept = []
    for node in reversed(model.graph.node):
        if needed.intersection(filter(None, node.output)):
            kept.append(node)
            needed.update(name for name in node.input if name and name not in inputs)
    stored = {tensor.name for tensor in model.graph.initializer}
    free = [v.name for v in model.graph.input if v.name in needed and v.name not in stored and v.name not in inputs]
    if free:
        raise ValueError(f"the piece stands on the input {free[0]!r} too")
    made = ModelProto(ir_version=model.ir_version)
    made.opset_import.extend(model.opset_import)
    graph = made.graph
    graph.name = "piece"
    graph.node.extend(kept[::-1])
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in needed)
    graph.input.extend(_inputs(model, inputs))
    passed = [name for name in outputs if name in inputs]
    for name in passed:
        graph.node.append(helper.make_node("Identity", [name], [f"{name}/passed"]))
    graph.output.extend(ValueInfoProto(name=f"{name}/passed" if name in passed else name) for name in outputs)
    return made


def _inputs(model: ModelProto, inputs: Mapping[str, int]) -> Iterable[ValueInfoProto]:
    declared = {value.name: value for value in model.graph.input}
    for name, element in inputs.items():
        yield declared[name] if name in declared else helper.make_tensor_value_info(name, element, None)


def replaceable(model: ModelProto, values: Mapping[str, int]) -> ModelProto:
    """The whole graph with an input ``NAME/given`` for some values, taken instead of them where ``NAME/use`` is true.

    Where it is false, ``NAME/given`` may be a single number of the value's type. One such file serves to replace any
    of the values, in any combination; what is not chosen is not looked at, NaN or not.

    Args:
        model: the whole graph; one of the values may be its input.
        values: which values, with their ONNX element types.
    """
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    del graph.node[:], graph.output[:]
    graph.node.extend(_choice(value.name) for value in model.graph.input if value.name in values)
    for node in model.graph.node:
        reader = graph.node.add()
        reader.CopyFrom(node)
        for index, name in enumerate(node.input):
            if name in values:
                reader.input[index] = f"{name}/chosen"
        graph.node.extend(_choice(name) for name in node.output if name in values)
    for name, element in values.items():
        graph.input.append(helper.make_tensor_value_info(f"{name}/use", TensorProto.BOOL, []))
        graph.input.append(helper.make_tensor_value_info(f"{name}/given", element, None))
    graph.output.extend(
        ValueInfoProto(name=f"{v.name}/chosen" if v.name in values else v.name) for v in model.graph.output
    )
    return made


def _choice(name: str) -> NodeProto:
    return helper.make_node("Where", [f"{name}/use", f"{name}/given", name], [f"{name}/chosen"], name=f"{name}/choice")
