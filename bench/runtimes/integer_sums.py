"""How this machine's ONNX Runtime sums products of 8-bit integers: asked of sessions, never of the processor's name."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.graph.integer_sums.pairs import HIGHEST, Integers, Sums, can_saturate, in_pairs
from bench.graph.integer_sums.products import OPERANDS, Product, products_of
from bench.runtimes.base import Target

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

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
STEPS: Final = tuple((step, level) for step in (256.0, *range(127, 400)) for level in (0, 255, 128))
"""Scales and zero points of an output, to find one that tells two sums apart."""


@cache
def native_sums(provider: str = CPU) -> Sums | None:
    """How a provider sums products of uint8 activations with int8 weights on this machine; None: it does not tell.

    A session multiplies [255, 255] by [127, 127]: 64,770 where sums are exact, 32,767 where they saturate in 16 bits.
    """
    try:
        session = _session(_probe(), provider)
        if session.get_providers()[0] != provider:
            return None
        given = {"a": np.full((1, 2), 255, np.uint8), "b": np.full((2, 1), 127, np.int8)}
        found = int(session.run(None, given)[0][0, 0])
    except Exception:  # the runtime's exceptions share no base class of their own
        return None
    known: dict[int, Sums] = {2 * 255 * 127: "exact", HIGHEST: "saturating"}
    return known.get(found)


def resolved_sums(target: Target) -> Sums | None:
    """How a target sums on this machine; None where its provider does not tell."""
    return native_sums(target.provider) if target.integer_sums == "native" else target.integer_sums


def _session(model: bytes, provider: str) -> InferenceSession:
    """A file as it stands, on one provider and no other."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if provider != CPU:
        options.add_session_config_entry(*NO_FALLBACK)
    return onnxruntime.InferenceSession(model, options, providers=[provider])


def _probe() -> bytes:
    from onnx import TensorProto, helper

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
    """What a node's kernel was seen to do; ``sums`` is None where it could not be asked."""

    name: str
    operator: str
    sums: Sums | None
    can_saturate: bool  # by its types, on x86 without VNNI


def sums_of_nodes(graph: bytes, provider: str = CPU) -> list[NodeSums]:
    """How the kernel of every node that sums 8-bit products behaves on this machine, by a witness for each.

    The witness is the node's own weight and one pair of activations whose sum leaves 16 bits by most. A session of
    that node alone, as it stands in the optimised graph, is compared with the twin of either kind; where types decide
    that sums are exact everywhere, with the only one there is. Nodes none of whose pairs can leave 16 bits are not
    listed: both kinds are the same.
    """
    import onnx

    loaded = onnx.load_model_from_string(graph)
    found = []
    for product in products_of(loaded):
        told: Sums | None = None
        try:
            told = _ask(loaded, product, provider)
        except _Same:
            continue
        except Exception:  # the runtime's exceptions share no base class: what the kernel does is not known
            pass
        found.append(NodeSums(product.name, product.node.op_type, told, product.suspect))
    return found


class _Same(Exception):
    """Both kinds of sums are the same for every input."""


def _ask(model: ModelProto, product: Product, provider: str) -> Sums | None:
    """Which of the two kinds a node's kernel is; None where its answer is neither."""
    import torch

    from bench.graph.onnx_import.module import import_onnx

    product = _with_weights(product)
    feeds, output = _witness(product)
    kinds: tuple[Sums, ...] = ("exact", "saturating") if product.suspect else ("exact",)
    for step, level in STEPS if SCALES[product.node.op_type][1] is not None else ((0.0, 0),):
        alone = _alone(model, product, feeds, step, level)
        given = {name: torch.from_numpy(array) for name, array in feeds.items()}
        twins = [import_onnx(alone, "hard", kind).values(given, ["y"])["y"].numpy() for kind in kinds]
        # a sum that the output's quantiser cuts off tells nothing
        if len({twin.tobytes() for twin in twins}) == len(kinds) and not (step and twins[0].flat[output] in (0, 255)):
            told = _session(alone, provider).run(None, feeds)[0]
            return next((kind for kind, twin in zip(kinds, twins, strict=True) if np.array_equal(twin, told)), None)
    raise ValueError("no witness tells the kinds apart")


def _with_weights(product: Product) -> Product:
    """The product with weights: some of its type where another node makes its own."""
    if product.weights is not None:
        return product
    if OPERANDS[product.node.op_type].kernel:
        raise ValueError("a convolution whose weights are no constant")
    return Product(product.node, product.types, np.full((4, 2), 127, dtype=np.dtype(product.types[1] or "int8")))


def _witness(product: Product) -> tuple[dict[str, NDArray[np.generic]], int]:
    """Activations, as the node takes them, that drive one pair of its weights out of 16 bits by most; and its output.

    All other activations are 0.
    """
    assert product.weights is not None
    codes = (-128, 127) if product.types[0] == "int8" else (0, 255)
    matrix = product.matrix()
    if not can_saturate(matrix, codes).any():
        raise _Same
    ends = in_pairs(matrix)[..., None] * np.array(codes)  # pairs, side, outputs, smallest and largest code
    above, below = ends.max(-1).sum(1), -ends.min(-1).sum(1)
    sign, reach = (1, above) if above.max() >= below.max() else (-1, below)
    pair, output = (int(place) for place in np.unravel_index(int(reach.argmax()), reach.shape))
    column: Integers = np.zeros(len(matrix), dtype=np.int64)
    for row in range(2 * pair, min(2 * pair + 2, len(matrix))):
        column[row] = max(codes, key=lambda code: sign * code * int(matrix[row, output]))
    dtype = np.dtype(product.types[0] or "uint8")
    if not OPERANDS[product.node.op_type].kernel:
        # what is quantised as it comes keeps its value: from 0 to 255 the scale is 1
        real = product.node.op_type == "DynamicQuantizeMatMul"
        return {"x": column[None].astype(np.float32 if real else dtype)}, output
    outputs, channels, *kernel = product.weights.shape
    group = product.attribute("group", 1)
    slow = product.node.op_type == "ConvInteger"
    own = column.reshape(channels, *kernel) if slow else np.moveaxis(column.reshape(*kernel, channels), -1, 0)
    spread = product.attributes("dilations") or [1] * len(kernel)
    size = [(k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True)]
    image = np.zeros((1, channels * group, *size), dtype=np.int64)
    start = output // (outputs // group) * channels
    places: tuple[int | slice, ...] = (0, slice(start, start + channels), *(slice(None, None, d) for d in spread))
    image[places] = own
    laid = np.moveaxis(image, 1, -1) if product.attribute("channels_last", 0) else image
    return {"x": np.ascontiguousarray(laid).astype(dtype)}, output


def _alone(
    model: ModelProto, product: Product, feeds: dict[str, NDArray[np.generic]], step: float, level: int
) -> bytes:
    """A model of the node alone: its weight, the weight's zero point, scales of 1, no padding, no bias."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    place, (ones, scale, zero) = OPERANDS[product.node.op_type], SCALES[product.node.op_type]
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    name = product.node.input[place.weight_zero] if len(product.node.input) > place.weight_zero else ""
    assert product.weights is not None
    weight_zero = numpy_helper.to_array(held[name]) if name in held else np.zeros((), product.weights.dtype)
    inputs: dict[int, NDArray[np.generic]] = {
        place.weight: product.weights,
        place.weight_zero: weight_zero,
        **dict.fromkeys(ones[:1], np.ones((), dtype=np.float32)),
        **dict.fromkeys(ones[-1:], np.ones(weight_zero.shape, dtype=np.float32)),  # of the weight
    }
    if place.activation_zero >= 0:
        inputs[place.activation_zero] = np.zeros((), dtype=feeds["x"].dtype)
    if scale is not None and zero is not None:
        inputs |= {scale: np.array(step, dtype=np.float32), zero: np.array(level, dtype=np.uint8)}
    node = onnx.NodeProto()
    node.CopyFrom(product.node)
    del node.input[:], node.output[:], node.attribute[:]
    node.output.append("y")
    node.input.extend(str(index) if index in inputs else "" for index in range(max(inputs) + 1))
    node.input[place.activation] = "x"
    dropped = ("pads", "strides", "auto_pad", "alpha", "transA")
    node.attribute.extend(entry for entry in product.node.attribute if entry.name not in dropped)
    x = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(feeds["x"].dtype), feeds["x"].shape)
    y = helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)
    y.type.tensor_type.elem_type = _output_type(product.node.op_type)
    tensors = [numpy_helper.from_array(np.asarray(array), str(index)) for index, array in inputs.items()]
    graph = helper.make_graph([node], "witness", [x], [y], tensors)
    single = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    return bytes(single.SerializeToString())


def _output_type(operator: str) -> int:
    from onnx import TensorProto

    if operator in ("MatMulInteger", "ConvInteger"):
        return int(TensorProto.INT32)
    return int(TensorProto.UINT8 if SCALES[operator][1] is not None else TensorProto.FLOAT)
