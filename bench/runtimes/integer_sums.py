"""The sums of 8-bit products by this machine's ONNX Runtime: asked of sessions, never of the processor's name."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from bench.integer_sums.pairs import HIGHEST, Integers, Sums, can_saturate, in_pairs, saturating_sums
from bench.integer_sums.products import OPERANDS, Product, products_of
from bench.runtimes.base import Target

CPU: Final = "CPUExecutionProvider"
NO_FALLBACK: Final = ("session.disable_cpu_ep_fallback", "1")
SCALES: Final = {
    "QLinearConv": ((1, 4), 6, 7),
    "QLinearMatMul": ((1, 4), 6, 7),
    "QGemm": ((1, 4), 7, 8),
    "MatMulIntegerToFloat": ((2, 3), None, None),
    "DynamicQuantizeMatMul": ((2,), None, None),
    "MatMulInteger": ((), None, None),
    "ConvInteger": ((), None, None),
}
"""Inputs of the operators that can be asked: scales of what is multiplied, the output's scale and zero point."""
STEPS: Final = range(127, 2**11)
"""Scales of an output, to find one that tells two sums apart."""


@cache
def native_sums(provider: str = CPU) -> Sums | None:
    """The kind of a provider's sums of uint8 activations with int8 weights on this machine; None: it does not tell.

    A session multiplies [255, 255] by [127, 127]: 64,770 where sums are exact, 32,767 where they saturate in 16 bits.
    """
    try:
        session = _session(_probe(), provider)
        if session.get_providers()[0] != provider:
            return None
        given = {"a": np.full((1, 2), 255, np.uint8), "b": np.full((2, 1), 127, np.int8)}
        total = int(session.run(None, given)[0][0, 0])
    except Exception:  # the runtime's exceptions share no base class of their own
        return None
    known: dict[int, Sums] = {2 * 255 * 127: "exact", HIGHEST: "saturating"}
    return known.get(total)


def resolved_sums(target: Target) -> Sums | None:
    """The kind of a target's sums on this machine; None where its provider does not tell."""
    return native_sums(target.provider) if target.integer_sums == "native" else target.integer_sums


def _session(model: bytes, provider: str) -> InferenceSession:
    """A file as it stands, on one provider and no other."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if provider != CPU:
        options.add_session_config_entry(*NO_FALLBACK)
    return onnxruntime.InferenceSession(model, options, providers=[provider])


def _probe() -> bytes:
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    inputs = [
        helper.make_tensor_value_info("a", TensorProto.UINT8, [1, 2]),
        helper.make_tensor_value_info("b", TensorProto.INT8, [2, 1]),
    ]
    output = helper.make_tensor_value_info("y", TensorProto.INT32, [1, 1])
    graph = helper.make_graph([node], "probe", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


class NodeSums(NamedTuple):
    """The behaviour of a node's kernel; ``sums`` is None where it could not be asked."""

    name: str
    operator: str
    sums: Sums | None
    can_saturate: bool  # by its types, on x86 without VNNI


def sums_of_nodes(graph: bytes, provider: str = CPU) -> list[NodeSums]:
    """The behaviour of the kernel of every node that sums 8-bit products on this machine, by a witness for each.

    The witness is the node's own weight and one pair of activations whose sum leaves 16 bits by most. A session of
    that node alone, as it stands in the optimised graph, is compared with the twin of either kind; where types decide
    that sums are exact everywhere, with the only one there is. Nodes none of whose pairs can leave 16 bits are not
    listed: both kinds are the same.
    """
    loaded = onnx.load_model_from_string(graph)
    nodes = []
    for product in products_of(loaded):
        sums: Sums | None = None
        try:
            sums = _ask(loaded, product, provider)
        except _Same:
            continue
        except Exception:  # the runtime's exceptions share no base class: what the kernel does is not known
            pass
        nodes.append(NodeSums(product.name, product.node.op_type, sums, product.suspect))
    return nodes


class _Same(Exception):
    """Raised where both kinds of sums are the same for every input."""


class _Witness(NamedTuple):
    """Activations on which exact and saturating sums differ, with both sums."""

    feeds: dict[str, NDArray[np.generic]]
    output: int  # the one whose pair they drive out of 16 bits; all outputs of a batch count on
    sums: dict[Sums, int]  # there, of stored codes
    total: int  # of the activations


def _ask(model: ModelProto, product: Product, provider: str) -> Sums | None:
    """The kind of a node's kernel, of two; None where its answer is neither."""
    from bench.onnx_import.module import import_onnx

    made = product.weights is None
    product = _with_weights(product)
    zero = np.zeros((), product.types[1] or "int8") if made else _weight_zero(model, product)
    seen = _witness(product)
    kinds: tuple[Sums, ...] = ("exact", "saturating") if product.suspect else ("exact",)
    shift = seen.total * int(zero.reshape(-1)[seen.output % zero.size])
    step, level = _step([seen.sums[kind] - shift for kind in kinds], np.dtype(product.types[0] or "uint8"))
    alone = _alone(model, product, zero, seen.feeds, step, level)
    twins = [import_onnx(alone, "hard", kind).arrays(seen.feeds, ["y"])["y"] for kind in kinds]
    if len({twin.tobytes() for twin in twins}) != len(kinds):
        raise ValueError("the witness does not tell the kinds apart")
    told = _session(alone, provider).run(None, seen.feeds)[0]
    return next((kind for kind, twin in zip(kinds, twins, strict=True) if np.array_equal(twin, told)), None)


def _step(sums: list[int], dtype: np.dtype[Any]) -> tuple[int, int]:
    """Scale and zero point of an output of that type which tell sums apart and cut none of them off.

    >>> _step([64770, 32767], np.dtype("uint8"))
    (255, 0)
    """
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    for step in STEPS:
        for level in (low, high, (low + high + 1) // 2):
            codes = [int(np.rint(np.float32(each) / np.float32(step))) + level for each in sums]
            if len(set(codes)) == len(sums) and all(low < code < high for code in codes):
                return step, level
    raise ValueError("no scale tells the sums apart")


def _with_weights(product: Product) -> Product:
    """The product with weights: some of its type where another node makes its own."""
    if product.weights is not None:
        return product
    if OPERANDS[product.node.op_type].kernel:
        raise ValueError("a convolution whose weights are no constant")
    return Product(product.node, product.types, np.full((4, 2), 127, dtype=np.dtype(product.types[1] or "int8")))


def _weight_zero(model: ModelProto, product: Product) -> NDArray[np.generic]:
    """The zero point of a node's constant weight; 0 where the graph does not hold one."""
    at = OPERANDS[product.node.op_type].weight_zero
    name = product.node.input[at] if len(product.node.input) > at else ""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    assert product.weights is not None
    return numpy_helper.to_array(held[name]) if name in held else np.zeros((), product.weights.dtype)


def _witness(product: Product) -> _Witness:
    """The activations that drive one pair of a node's weights out of 16 bits by most; all others are 0."""
    assert product.weights is not None
    codes = (-128, 127) if product.types[0] == "int8" else (0, 255)
    matrix = product.matrix()
    if not can_saturate(matrix, codes).any():
        raise _Same
    ends = in_pairs(matrix)[..., None] * np.array(codes)  # pairs, side, outputs, smallest and largest code
    above, below = ends.max(-1).sum(1), -ends.min(-1).sum(1)
    sign, reach = (1, above) if above.max() >= below.max() else (-1, below)
    pair, output = (int(index) for index in np.unravel_index(int(reach.argmax()), reach.shape))
    column: Integers = np.zeros(len(matrix), dtype=np.int64)
    for row in range(2 * pair, min(2 * pair + 2, len(matrix))):
        column[row] = max(codes, key=lambda code: sign * code * int(matrix[row, output]))
    own = matrix[:, output : output + 1]
    sums: dict[Sums, int] = {
        "exact": int((column[None] @ own).item()), "saturating": int(saturating_sums(column[None], own).item()),
    }  # fmt: skip
    dtype = np.dtype(product.types[0] or "uint8")
    if not OPERANDS[product.node.op_type].kernel:
        # what is quantised as it comes keeps its value: from 0 to 255 the scale is 1
        real = product.node.op_type == "DynamicQuantizeMatMul"
        return _Witness({"x": column[None].astype(np.float32 if real else dtype)}, output, sums, int(column.sum()))
    outputs, channels, *kernel = product.weights.shape
    group = product.attribute("group", 1)
    slow = product.node.op_type == "ConvInteger"
    patch = column.reshape(channels, *kernel) if slow else np.moveaxis(column.reshape(*kernel, channels), -1, 0)
    spread = product.attributes("dilations") or [1] * len(kernel)
    size = [(k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True)]
    image = np.zeros((1, channels * group, *size), dtype=np.int64)
    start = output // (outputs // group) * channels
    region: tuple[int | slice, ...] = (0, slice(start, start + channels), *(slice(None, None, d) for d in spread))
    image[region] = patch
    laid = np.moveaxis(image, 1, -1) if product.attribute("channels_last", 0) else image
    return _Witness({"x": np.ascontiguousarray(laid).astype(dtype)}, output, sums, int(column.sum()))


def _alone(
    model: ModelProto,
    product: Product,
    weight_zero: NDArray[np.generic],
    feeds: dict[str, NDArray[np.generic]],
    step: int,
    level: int,
) -> bytes:
    """A model of the node alone: its weight, the weight's zero point, scales of 1, no padding, no bias."""
    operands, (ones, scale, zero) = OPERANDS[product.node.op_type], SCALES[product.node.op_type]
    assert product.weights is not None
    inputs: dict[int, NDArray[np.generic]] = {
        operands.weight: product.weights,
        operands.weight_zero: weight_zero,
        **dict.fromkeys(ones[:1], np.ones((), dtype=np.float32)),
        **dict.fromkeys(ones[-1:], np.ones(weight_zero.shape, dtype=np.float32)),  # of the weight
    }
    if operands.activation_zero >= 0:
        inputs[operands.activation_zero] = np.zeros((), dtype=feeds["x"].dtype)
    if scale is not None and zero is not None:
        inputs |= {scale: np.array(step, dtype=np.float32), zero: np.array(level, dtype=feeds["x"].dtype)}
    node = onnx.NodeProto()
    node.CopyFrom(product.node)
    del node.input[:], node.output[:], node.attribute[:]
    node.output.append("y")
    node.input.extend(str(index) if index in inputs else "" for index in range(max(inputs) + 1))
    node.input[operands.activation] = "x"
    dropped = ("pads", "strides", "auto_pad", "alpha", "transA")
    node.attribute.extend(entry for entry in product.node.attribute if entry.name not in dropped)
    x = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(feeds["x"].dtype), feeds["x"].shape)
    y = helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)
    y.type.tensor_type.elem_type = _output_type(product.node.op_type, x.type.tensor_type.elem_type)
    tensors = [numpy_helper.from_array(np.asarray(array), str(index)) for index, array in inputs.items()]
    graph = helper.make_graph([node], "witness", [x], [y], tensors)
    single = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    return bytes(single.SerializeToString())


def _output_type(operator: str, activation: int) -> int:
    if operator in ("MatMulInteger", "ConvInteger"):
        return int(TensorProto.INT32)
    return int(activation if SCALES[operator][1] is not None else TensorProto.FLOAT)
