"""Small networks whose scales are powers of two, with what both kinds of sums make of them by hand.

Floats of their unfused graphs are exact as well, so that every level and processor gives the same numbers.
"""

import numpy as np
from onnx import TensorProto, helper

from tests.integer_sums.by_hand import KINDS, convolved, multiplied, requantised
from tests.integer_sums.cases import Case, model_of

# scales of a layer's input and weight, in turn, and of the output
X, W, H, M, Y = (np.float32(2.0**power) for power in (-4, -7, -5, -6, 1))
X_ZERO, Y_ZERO = np.uint8(90), np.uint8(125)
SHAPE = (2, 5, 5)  # of an image
BOUNDS = (-6.0, 11.0)


def codes(shape, kind, low=None, stride=89):
    """Codes of a type from ``low`` on, by a formula, in an order that looks like none."""
    limits = np.iinfo(kind)
    low = limits.min if low is None else low
    place = np.arange(np.prod(shape), dtype=np.int64)
    return (low + (place * stride + (place // 7) * 31) % (limits.max - low + 1)).astype(kind).reshape(shape)


IMAGES = codes((3, *SHAPE), "uint8", 60)
KERNEL = codes((4, 2, 3, 3), "int8", stride=53)
MATRIX = codes((100, 3), "int8", stride=101)
HELD = {
    "xs": X, "xz": X_ZERO, "w": KERNEL, "ws": W, "wz": np.int8(0), "hs": H, "hz": np.uint8(0), "m": MATRIX, "ms": M,
    "mz": np.int8(0), "ys": Y, "yz": Y_ZERO,
}  # fmt: skip
make = helper.make_node


def hidden(kind):
    """Codes of the first layer, (3, 100)."""
    sums = convolved(kind, IMAGES, KERNEL, X_ZERO, pads=(1, 1, 1, 1))
    return requantised(np.maximum(sums, 0), X * W / H, np.uint8(0)).reshape(3, -1)


def _case(nodes):
    expected = {}
    for kind in KINDS:
        out = requantised(multiplied(kind, hidden(kind), MATRIX), H * M / Y, Y_ZERO)
        expected[kind] = (out.astype(np.float32) - np.float32(Y_ZERO)) * Y
    model = model_of(nodes, {"x": (np.float32, ["n", *SHAPE])}, HELD, {"y": (np.float32, ["n", 3])})
    return Case(model, (IMAGES.astype(np.float32) - np.float32(X_ZERO)) * X, expected)


def between_quantisers():
    """A network that runs on integers only where a session fuses it."""
    return _case(
        [
            make("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
            make("DequantizeLinear", ["xq", "xs", "xz"], ["xr"]),
            make("DequantizeLinear", ["w", "ws", "wz"], ["wr"]),
            make("Conv", ["xr", "wr"], ["c"], name="convolution", pads=[1, 1, 1, 1]),
            make("Relu", ["c"], ["r"]),
            make("QuantizeLinear", ["r", "hs", "hz"], ["hq"]),
            make("Flatten", ["hq"], ["f"]),
            make("DequantizeLinear", ["f", "hs", "hz"], ["fr"]),
            make("DequantizeLinear", ["m", "ms", "mz"], ["mr"]),
            make("MatMul", ["fr", "mr"], ["l"], name="product"),
            make("QuantizeLinear", ["l", "ys", "yz"], ["yq"]),
            make("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
        ]
    )


def of_integers():
    """The same as operators on integers; the first output's zero point of 0 is its ReLU."""
    convolution = ["xq", "xs", "xz", "w", "ws", "wz", "hs", "hz"]
    return _case(
        [
            make("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
            make("QLinearConv", convolution, ["hq"], name="convolution", pads=[1, 1, 1, 1]),
            make("Flatten", ["hq"], ["f"]),
            make("QLinearMatMul", ["f", "hs", "hz", "m", "ms", "mz", "ys", "yz"], ["yq"], name="product"),
            make("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
        ]
    )


def dynamic():
    """One product whose activations are quantised by the range of each image, which is that of all codes."""
    images, weights = IMAGES.copy(), codes((50, 3), "int8", stride=83)
    images[:, 0, 0, :2] = 0, 255
    nodes = [
        make("Flatten", ["x"], ["f"]),
        make("DynamicQuantizeLinear", ["f"], ["q", "s", "z"]),
        make("MatMulInteger", ["q", "m", "z", "mz"], ["p"], name="product"),
        make("Cast", ["p"], ["c"], to=TensorProto.FLOAT),
        make("Mul", ["s", "ms"], ["t"]),
        make("Mul", ["c", "t"], ["y"]),
    ]
    held = {"m": weights, "ms": M, "mz": np.int8(5)}
    model = model_of(nodes, {"x": (np.float32, [1, *SHAPE])}, held, {"y": (np.float32, [1, 3])})
    sums = {kind: multiplied(kind, images.reshape(3, -1), weights, X_ZERO, 5) for kind in KINDS}
    expected = {kind: each.astype(np.float32) * (X * M) for kind, each in sums.items()}
    return Case(model, (images.astype(np.float32) - np.float32(X_ZERO)) * X, expected)


NETWORKS = {"between quantisers": between_quantisers, "of integers": of_integers, "dynamic": dynamic}


def fused(name, level):
    """Whether a network's products run on integers at a level."""
    return name != "between quantisers" or level in ("extended", "all")
