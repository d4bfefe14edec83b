"""Models of one node that sums products of 8-bit codes, with what both kinds of sums make of them by hand."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from tests.integer_sums.by_hand import KINDS, convolved, dynamically_quantised, multiplied, requantised

MICROSOFT = "com.microsoft"
LEVELS = {"disabled": "DISABLE_ALL", "basic": "ENABLE_BASIC", "extended": "ENABLE_EXTENDED", "all": "ENABLE_ALL"}
PRODUCTS = (
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
    "QLinearMatMul",
    "QGemm",
    "QGemm turned",
    "QGemm real",
    "QGemm turned real",
)
CONVOLUTIONS = ("QLinearConv", "QLinearConv channels last", "ConvInteger")


class Case(NamedTuple):
    model: onnx.ModelProto  # takes x, gives y
    x: np.ndarray
    expected: dict[str, np.ndarray]  # by kind


class Geometry(NamedTuple):
    """Of a convolution, and of the image that it reads; ``axes``: of space."""

    channels: int
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    group: int = 1
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    size: tuple[int, int] = (9, 8)
    axes: int = 2

    @property
    def image(self):
        return self.channels, *self.size

    @property
    def weights(self):
        return self.outputs, self.channels // self.group, *self.kernel

    def plain(self):
        return {"pads": self.pads, "strides": self.strides, "dilations": self.dilations}


def model_of(nodes, inputs, constants, outputs, opset=18, ir=9):
    """A model; inputs and outputs as {name: (type, shape)}, constants as {name: array}."""

    def value(name, dtype, shape):
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    graph = helper.make_graph(
        nodes,
        "graph",
        [value(name, *given) for name, given in inputs.items()],
        [value(name, *given) for name, given in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


def ran(model, feeds, level="disabled", threads=1, form="onnx"):
    """The first output of a session of a model, or of its bytes; ``form`` "ort": of the ``.ort`` file made of it."""
    given = model if isinstance(model, bytes) else model.SerializeToString()

    def options():
        made = onnxruntime.SessionOptions()
        made.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_{LEVELS[level]}")
        made.intra_op_num_threads = threads
        made.log_severity_level = 4
        return made

    providers = ["CPUExecutionProvider"]
    if form == "ort":
        with tempfile.TemporaryDirectory() as folder:
            saving = options()
            saving.optimized_model_filepath = str(Path(folder) / "model.ort")
            onnxruntime.InferenceSession(given, saving, providers=providers)
            given = Path(saving.optimized_model_filepath).read_bytes()
    return onnxruntime.InferenceSession(given, options(), providers=providers).run(None, feeds)[0]


def product(operator, a, b, a_zero=0, b_zero=0, scales=(0.01, 0.02), spread=1.13):
    """A matrix product of codes a (m, k) and b (k, n).

    ``DynamicQuantizeMatMul`` is given ``(a - a_zero) scales[0]``, which it quantises by its own range. ``spread``: what
    the scale of an output is beside a power of two times that of the sums.
    """
    name, *words = operator.split()
    a_scale, b_scale = (np.float32(scale) for scale in scales)
    a_zero, b_zero = a_zero if name == "DynamicQuantizeMatMul" else a.dtype.type(a_zero), b.dtype.type(b_zero)
    x, codes = a, a
    if name == "DynamicQuantizeMatMul":
        x = (a.astype(np.float32) - np.float32(a_zero)) * a_scale
        codes, a_scale, a_zero = dynamically_quantised(x)
    bias = np.arange(b.shape[1], dtype=np.int32) * 1000 if name == "QGemm" else 0
    sums = {kind: multiplied(kind, codes, b, a_zero, b_zero) + bias for kind in KINDS}
    out_scale = _out_scale(sums, a_scale * b_scale * np.float32(spread))
    out_zero, stored = _out_zero(codes), np.float32(scales[1])
    constants = {"b": b.T.copy() if "turned" in words else b, "bs": stored, "bz": b_zero}
    if name != "DynamicQuantizeMatMul":
        constants |= {"as": a_scale, "az": a_zero}
    if name == "QGemm":
        constants["c"] = bias
    if name == "QLinearMatMul" or operator in ("QGemm", "QGemm turned"):
        constants |= {"ys": out_scale, "yz": out_zero}
        factor = a_scale * b_scale / out_scale
        expected = {kind: requantised(each, factor, out_zero) for kind, each in sums.items()}
    elif name == "MatMulInteger":
        expected = {kind: each.astype(np.int32) for kind, each in sums.items()}
    else:
        expected = {kind: each.astype(np.float32) * (a_scale * b_scale) for kind, each in sums.items()}
    order = {
        "MatMulInteger": ["x", "b", "az", "bz"],
        "MatMulIntegerToFloat": ["x", "b", "as", "bs", "az", "bz"],
        "DynamicQuantizeMatMul": ["x", "b", "bs", "bz"],
        "QLinearMatMul": ["x", "as", "az", "b", "bs", "bz", "ys", "yz"],
        "QGemm": ["x", "as", "az", "b", "bs", "bz", "c", *(["ys", "yz"] if "real" not in words else [])],
    }[name]
    attributes = {"transB": 1} if "turned" in words else {}
    domain = "" if name in ("MatMulInteger", "QLinearMatMul") else MICROSOFT
    node = helper.make_node(name, order, ["y"], name="it", domain=domain, **attributes)
    used = {key: value for key, value in constants.items() if key in order}
    model = model_of([node], {"x": (x.dtype, [None, b.shape[0]])}, used, {"y": (expected["exact"].dtype, None)})
    return Case(model, x, expected)


def convolution(operator, x, w, x_zero=0, w_zero=0, geometry=None, scales=(0.01, 0.02), spread=1.13):
    """A convolution of codes x (n, c, h, w) with w (m, c / group, *kernel); each channel has a scale of its own."""
    name, *words = operator.split()
    x_zero, w_zero = x.dtype.type(x_zero), w.dtype.type(w_zero)
    signed = name == "ConvInteger"
    by_kernel = geometry.group == geometry.channels == geometry.outputs and not signed  # exact whatever the processor
    kinds = {kind: "exact" if by_kernel else kind for kind in KINDS}
    shape = {"group": geometry.group, **geometry.plain()}
    sums = {kind: convolved(own, x, w, x_zero, w_zero, channel_first=signed, **shape) for kind, own in kinds.items()}
    flat = geometry.axes == 1  # the first axis of space, of size 1, is left out
    attributes = {
        "group": geometry.group,
        "kernel_shape": geometry.kernel[flat:],
        "strides": geometry.strides[flat:],
        "dilations": geometry.dilations[flat:],
        "pads": [geometry.pads[1], geometry.pads[3]] if flat else list(geometry.pads),
    }
    x, w = (x[:, :, 0], w[:, :, 0]) if flat else (x, w)
    sums = {kind: each[:, :, 0] if flat else each for kind, each in sums.items()}
    constants = {"w": w, "wz": w_zero, "xz": x_zero}
    if signed:
        expected = {kind: each.astype(np.int32) for kind, each in sums.items()}
        order = ["x", "w", "xz", "wz"]
    else:
        x_scale, w_scale = np.float32(scales[0]), np.full(len(w), scales[1], np.float32)
        w_scale[::2] *= np.float32(2)
        bias = np.arange(len(w), dtype=np.int32) * 100
        along = (-1, *[1] * geometry.axes)
        sums = {kind: each + bias.reshape(along) for kind, each in sums.items()}
        out_scale, out_zero = _out_scale(sums, x_scale * w_scale[0] * np.float32(spread)), _out_zero(x)
        constants |= {"xs": x_scale, "ws": w_scale, "ys": out_scale, "yz": out_zero, "c": bias}
        factor = (x_scale * w_scale / out_scale).reshape(along)
        expected = {kind: requantised(each, factor, out_zero) for kind, each in sums.items()}
        order = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "c"]
    if words:
        attributes["channels_last"] = 1
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        expected = {kind: np.ascontiguousarray(np.moveaxis(each, 1, -1)) for kind, each in expected.items()}
    node = helper.make_node(name, order, ["y"], name="it", domain=MICROSOFT if words else "", **attributes)
    outputs = {"y": (expected["exact"].dtype, None)}
    return Case(model_of([node], {"x": (x.dtype, [None, *x.shape[1:]])}, constants, outputs), x, expected)


def _out_scale(sums, step):
    """A scale of uint8, a power of two times the step, that most sums fit into."""
    reach = max(float(np.abs(each).max()) for each in sums.values())
    return np.float32(step) * np.float32(2.0 ** np.ceil(np.log2(max(reach, 1.0) / 127)))


def _out_zero(codes):
    """The zero point of an output, of its activations' type."""
    return np.int8(-8) if codes.dtype == np.int8 else np.uint8(120)
