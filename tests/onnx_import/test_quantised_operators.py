"""Every operator on integers against ONNX Runtime's own kernel, as a model of one node.

Where sums depend on the processor, the import has this machine's kind; both kinds are held to sums by hand as well.
"""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.onnx_import import import_onnx
from bench.runtimes.integer_sums import native_sums
from tests.integer_sums.by_hand import KINDS, convolved, dynamically_quantised, multiplied, requantised

TYPES = {"uint8": np.uint8, "int8": np.int8}


def one_node(operator, x, constants, outputs=1, domain="", version=21, **attributes):
    """A model of x and constants, and the names of its outputs; None leaves an input out."""
    names = [None if value is None else f"c{index}" for index, value in enumerate(constants)]
    initialisers = [
        numpy_helper.from_array(np.asarray(value), name)
        for value, name in zip(constants, names, strict=True)
        if value is not None
    ]
    made = [f"y{index}" for index in range(outputs)]
    node = helper.make_node(operator, ["x", *(name or "" for name in names)], made, domain=domain, **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), None)],
        [helper.make_empty_tensor_value_info(name) for name in made],
        initialisers,
    )
    opsets = [helper.make_opsetid("", version), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), made


def imported(model, x, names, sums):
    """What the import with sums of a kind makes of x."""
    found = import_onnx(model, sums=sums).values({"x": torch.from_numpy(x)}, names)
    return [found[name].numpy() for name in names]


def both(operator, x, constants, **options):
    """What the import, with sums of this machine's kind, and ONNX Runtime make of x and constants."""
    model, names = one_node(operator, x, constants, **options)
    return imported(model, x, names, native_sums()), ran(model, x)


def of_each_kind(operator, x, constants, **options):
    """What the import makes of x and constants with sums of each kind."""
    model, names = one_node(operator, x, constants, **options)
    return {kind: imported(model, x, names, kind) for kind in KINDS}


def ran(model, x):
    """What ONNX Runtime makes of x, the file as it stands."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


def equal(pair):
    for found, expected in zip(*pair, strict=True):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)


def kind_of(kind, activations, weights):
    """What sums of a kind are for such types: only products of uint8 with int8 differ."""
    return kind if (activations, weights) == (np.uint8, np.int8) else "exact"


def codes(random, kind, shape):
    limits = np.iinfo(kind)
    return random.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)


def pair_of(random, kind):
    return np.float32(random.uniform(0.005, 0.05)), codes(random, kind, ())


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("opset", [10, 13, 21, 23])
@pytest.mark.parametrize("kind", TYPES.values())
def test_quantise_a_tensor(random, kind, opset):
    scale, zero = np.float32(0.37), codes(random, kind, ())
    ties = (np.arange(-300, 300) / 2).astype(np.float32) * scale
    equal(both("QuantizeLinear", ties.reshape(3, -1), [scale, zero], version=opset))
    equal(both("QuantizeLinear", random.normal(0, 60, (2, 3, 5)).astype(np.float32), [scale, zero], version=opset))


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16])
def test_quantise_and_dequantise_channels_and_blocks(random, kind):
    x = random.normal(0, 3, (2, 4, 6)).astype(np.float32)
    scale = random.uniform(0.001, 0.1, 4).astype(np.float32)
    equal(both("QuantizeLinear", x, [scale, codes(random, kind, 4)], axis=1))
    equal(both("DequantizeLinear", codes(random, kind, x.shape), [scale, codes(random, kind, 4)], axis=-2))
    blocks = random.uniform(0.001, 0.1, (2, 4, 2)).astype(np.float32)
    zeros = codes(random, kind, blocks.shape)
    equal(both("QuantizeLinear", x, [blocks, zeros], axis=2, block_size=3))
    equal(both("DequantizeLinear", codes(random, kind, x.shape), [blocks, zeros], axis=2, block_size=3))


def test_dequantise_sums_of_32_bits(random):
    equal(both("DequantizeLinear", codes(random, np.int32, (3, 5)), [np.float32(0.1)]))


@pytest.mark.parametrize(("kind", "low", "high"), [(TensorProto.INT4, -8, 7), (TensorProto.UINT4, 0, 15)])
def test_four_bits_go_and_come_back(random, kind, low, high):
    """ONNX Runtime gives four bits out as bytes of two, so they are compared dequantised."""
    x = random.normal(0, 4, (3, 6)).astype(np.float32)
    zero = helper.make_tensor("z", kind, (), [2])
    scale = np.float32(0.7)
    expected = (np.clip(np.rint(x / scale) + 2, low, high) - 2) * scale
    tensors = [numpy_helper.from_array(np.asarray(scale), "s"), zero]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "two",
        [value("x", TensorProto.FLOAT, None)],
        [value("y", TensorProto.FLOAT, None)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = import_onnx(model)(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(found, session.run(None, {"x": x})[0])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("x", [[0.0, 0.0], [-3.0, -1.0], [1.0, 7.0], [-0.3, 5.1, 2.55, 0.011]])
def test_dynamic_ranges(x):
    equal(both("DynamicQuantizeLinear", np.array([x], dtype=np.float32), [], outputs=3))


GEOMETRY = [
    {},
    {"pads": [1, 0, 2, 1], "strides": [2, 1]},
    {"auto_pad": "SAME_UPPER"},
    {"dilations": [2, 1], "pads": [1, 1, 1, 1]},
]


def plain(geometry):
    """The same with its padding in numbers, for kernels of 3 x 3 at every pixel."""
    return {"pads": [1, 1, 1, 1]} if "auto_pad" in geometry else geometry


@pytest.mark.parametrize("geometry", GEOMETRY)
@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize(("kind", "weights"), [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")])
def test_qlinear_conv(random, kind, weights, channels, geometry):
    kind, weights = TYPES[kind], TYPES[weights]
    x = codes(random, kind, (2, 4, 7, 6))
    w = codes(random, weights, (6, 2, 3, 3))
    scale = random.uniform(0.001, 0.01, 6 if channels else ()).astype(np.float32)
    zero = np.zeros(scale.shape, weights) if weights is np.int8 else np.full(scale.shape, 131, weights)
    constants = [*pair_of(random, kind), w, scale, zero, np.float32(0.11), *pair_of(random, kind)[1:]]
    bias = random.integers(-20000, 20000, 6, dtype=np.int32)
    equal(both("QLinearConv", x, [*constants, bias], group=2, **geometry))
    equal(both("QLinearConv", x, constants, group=2, **geometry))
    x_scale, x_zero, *_, out_scale, out_zero = constants
    factor = np.broadcast_to(x_scale * scale / out_scale, 6).reshape(6, 1, 1)
    found = of_each_kind("QLinearConv", x, [*constants, bias], group=2, **geometry)
    for name, (shown,) in found.items():
        sums = convolved(kind_of(name, kind, weights), x, w, x_zero, zero, group=2, **plain(geometry))
        np.testing.assert_array_equal(shown, requantised(sums + bias.reshape(6, 1, 1), factor, out_zero))


def test_qlinear_conv_channels_last(random):
    x = codes(random, np.uint8, (2, 7, 6, 4))
    w = codes(random, np.int8, (6, 4, 3, 3))
    scale = random.uniform(0.001, 0.01, 6).astype(np.float32)
    constants = [*pair_of(random, np.uint8), w, scale, np.zeros(6, np.int8), np.float32(0.11), np.uint8(7)]
    bias = random.integers(-20000, 20000, 6, dtype=np.int32)
    options = {"domain": "com.microsoft", "channels_last": 1, "pads": [1, 1, 1, 1]}
    equal(both("QLinearConv", x, [*constants, bias], **options))
    factor = (constants[0] * scale / np.float32(0.11)).reshape(6, 1, 1)
    for kind, (shown,) in of_each_kind("QLinearConv", x, [*constants, bias], **options).items():
        sums = convolved(kind, np.moveaxis(x, -1, 1), w, constants[1], pads=[1, 1, 1, 1]) + bias.reshape(6, 1, 1)
        np.testing.assert_array_equal(np.moveaxis(shown, -1, 1), requantised(sums, factor, np.uint8(7)))


def test_long_sums_are_exact(random):
    """2,304 products of up to 255 · 127 exceed 2^24: float32 would drop their last bits."""
    x = np.full((1, 256, 3, 3), 255, np.uint8)
    w = np.full((1, 256, 3, 3), 127, np.int8)
    w[0, 0, 0, 0] = 126
    equal(both("ConvInteger", x, [w, np.uint8(0)]))
    factor = [np.float32(1), np.uint8(0), w, np.float32(1), np.int8(0), np.float32(2**24), np.uint8(0)]
    bias = np.array([2**24 + 1], np.int32)
    equal(both("QLinearConv", x, [*factor, bias]))
    rows, column = np.full((2, 2304), 255, np.uint8), w.reshape(-1, 1)
    equal(both("MatMulInteger", rows, [column, np.uint8(0)]))
    whole = 2304 * 255 * 127 - 255
    first = of_each_kind("ConvInteger", x, [w, np.uint8(0)])
    for kind, (shown,) in of_each_kind("MatMulInteger", rows, [column, np.uint8(0)]).items():
        # each pair but the first is clipped, and the first too: 255 · (126 + 127) is 64,515
        assert shown.ravel().tolist() == [whole if kind == "exact" else 1152 * 32767] * 2
        assert first[kind][0].ravel().tolist() == [whole]  # products of uint8 with int8 are summed exactly there
    for kind, (shown,) in of_each_kind("QLinearConv", x, [*factor, bias]).items():
        sums = (whole if kind == "exact" else 1152 * 32767) + 2**24 + 1
        assert shown.ravel().tolist() == [round(sums / 2**24)]


@pytest.mark.parametrize("geometry", GEOMETRY)
def test_conv_integer(random, geometry):
    x, w = codes(random, np.uint8, (2, 3, 7, 6)), codes(random, np.uint8, (5, 3, 3, 2))
    equal(both("ConvInteger", x, [w, np.uint8(9), np.uint8(130)], **geometry))
    equal(both("ConvInteger", x, [w], **geometry))
    if "auto_pad" not in geometry:  # the kernel is not square
        for (shown,) in of_each_kind("ConvInteger", x, [w, np.uint8(9), np.uint8(130)], **geometry).values():
            np.testing.assert_array_equal(shown, convolved("exact", x, w, 9, 130, **geometry))


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize(("kind", "weights"), [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")])
def test_matrix_products(random, kind, weights, channels):
    kind, weights = TYPES[kind], TYPES[weights]
    a, b = codes(random, kind, (2, 3, 17)), codes(random, weights, (17, 5))
    shape = 5 if channels else ()
    scale, zero = random.uniform(0.001, 0.01, shape).astype(np.float32), codes(random, weights, shape)
    a_scale, a_zero = pair_of(random, kind)
    equal(both("MatMulInteger", a, [b, a_zero, zero]))
    out_scale, out_zero = np.float32(0.1), codes(random, kind, ())
    quantised = [a_scale, a_zero, b, scale, zero, out_scale, out_zero]
    equal(both("QLinearMatMul", a, quantised))
    bias = random.normal(size=5).astype(np.float32)
    reals = [b, a_scale, scale, a_zero, zero, bias]
    found, expected = both("MatMulIntegerToFloat", a, reals, domain="com.microsoft")
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, atol=1e-6)
    for name in KINDS:
        sums = multiplied(kind_of(name, kind, weights), a.reshape(-1, 17), b, a_zero, zero).reshape(2, 3, 5)
        np.testing.assert_array_equal(of_each_kind("MatMulInteger", a, [b, a_zero, zero])[name][0], sums)
        shown = of_each_kind("QLinearMatMul", a, quantised)[name][0]
        np.testing.assert_array_equal(shown, requantised(sums, a_scale * scale / out_scale, out_zero))
        shown = of_each_kind("MatMulIntegerToFloat", a, reals, domain="com.microsoft")[name][0]
        np.testing.assert_allclose(shown, sums * (a_scale * scale) + bias, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weights", TYPES.values())
def test_dynamic_quantize_matmul(random, weights):
    a = random.normal(size=(3, 19)).astype(np.float32)
    scale, zero = random.uniform(0.001, 0.01, 5).astype(np.float32), codes(random, weights, 5)
    bias = random.normal(size=5).astype(np.float32)
    a_codes, a_scale, a_zero = dynamically_quantised(a)
    for extra in ([zero, bias], [zero], []):
        b = codes(random, weights, (19, 5))
        found, expected = both("DynamicQuantizeMatMul", a, [b, scale, *extra], domain="com.microsoft")
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-5)
        made = of_each_kind("DynamicQuantizeMatMul", a, [b, scale, *extra], domain="com.microsoft")
        for name, (shown,) in made.items():
            sums = multiplied(kind_of(name, np.uint8, weights), a_codes, b, a_zero, zero if extra else 0)
            reals = sums * (a_scale * scale) + (bias if len(extra) == 2 else 0)
            np.testing.assert_allclose(shown, reals, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize(("kind", "weights"), [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")])
def test_qgemm(random, kind, weights, channels, transposed):
    kind, weights = TYPES[kind], TYPES[weights]
    a, b = codes(random, kind, (3, 17)), codes(random, weights, (5, 17) if transposed else (17, 5))
    shape = 5 if channels else ()
    scale, zero = random.uniform(0.001, 0.01, shape).astype(np.float32), codes(random, weights, shape)
    bias = random.integers(-9000, 9000, 5, dtype=np.int32)
    inputs = [*pair_of(random, kind), b, scale, zero, bias]
    out = [np.float32(0.2), codes(random, kind, ())]
    equal(both("QGemm", a, [*inputs, *out], domain="com.microsoft", transB=transposed, alpha=0.5))
    equal(both("QGemm", a, [*inputs[:-1], None, *out], domain="com.microsoft", transB=transposed))
    found, expected = both("QGemm", a, inputs, domain="com.microsoft", transB=transposed)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    a_scale, a_zero = inputs[:2]
    halved = of_each_kind("QGemm", a, [*inputs, *out], domain="com.microsoft", transB=transposed, alpha=0.5)
    reals = of_each_kind("QGemm", a, inputs, domain="com.microsoft", transB=transposed)
    for name in KINDS:
        sums = multiplied(kind_of(name, kind, weights), a, b.T if transposed else b, a_zero, zero) + bias
        factor = np.float32(0.5) * a_scale * scale / out[0]
        np.testing.assert_array_equal(halved[name][0], requantised(sums, factor, out[1]))
        np.testing.assert_allclose(reals[name][0], sums * (a_scale * scale), rtol=1e-6)


@pytest.mark.parametrize("kind", TYPES.values())
@pytest.mark.parametrize("shape", [(2, 3, 37), (1,)])
def test_addition_and_multiplication(random, kind, shape):
    a, b = codes(random, kind, (2, 3, 37)), codes(random, kind, shape)
    for name in ("QLinearAdd", "QLinearMul"):
        parameters = [*pair_of(random, kind), b, *pair_of(random, kind), *pair_of(random, kind)]
        equal(both(name, a, parameters, domain="com.microsoft"))


@pytest.mark.parametrize("kind", TYPES.values())
def test_sums_of_every_pair_of_codes(random, kind):
    """Some lie so near to a half that one rounding more would tip them."""
    every = np.arange(np.iinfo(kind).min, np.iinfo(kind).max + 1, dtype=np.int64).astype(kind)
    a, b = (np.ascontiguousarray(axis) for axis in np.meshgrid(every, every))
    for ratio in np.float32([0.1, 0.3, 0.7]):
        parameters = [ratio, codes(random, kind, ()), b, np.float32(1.1) - ratio, codes(random, kind, ())]
        for name in ("QLinearAdd", "QLinearMul"):
            equal(both(name, a, [*parameters, np.float32(1.4), codes(random, kind, ())], domain="com.microsoft"))


@pytest.mark.parametrize("kind", TYPES.values())
@pytest.mark.parametrize("last", [0, 1])
def test_pools(random, kind, last):
    x = codes(random, kind, (2, 7, 5, 3) if last else (2, 3, 7, 5))
    parameters = [*pair_of(random, kind), *pair_of(random, kind)]
    equal(both("QLinearGlobalAveragePool", x, parameters, domain="com.microsoft", channels_last=last))
    shape = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
    equal(both("QLinearAveragePool", x, parameters, domain="com.microsoft", channels_last=last, **shape))
    if last:
        equal(both("NhwcMaxPool", x, [], domain="com.microsoft", **shape))


@pytest.mark.parametrize("kind", TYPES.values())
def test_tables(random, kind):
    x = np.arange(*(np.iinfo(kind).min, np.iinfo(kind).max + 1), dtype=np.int64).astype(kind).reshape(2, -1)
    parameters = [np.float32(0.04), codes(random, kind, ()), np.float32(0.0071), codes(random, kind, ())]
    equal(both("QLinearLeakyRelu", x, parameters, domain="com.microsoft", alpha=0.2))
    equal(both("QLinearSigmoid", x, parameters, domain="com.microsoft"))


@pytest.mark.parametrize("kind", TYPES.values())
def test_concatenation(random, kind):
    x, other = codes(random, kind, (2, 3, 4)), codes(random, kind, (2, 5, 4))
    scale, zero = pair_of(random, kind)
    # the first two inputs are the output's; x is the first part
    parts = [*pair_of(random, kind), other, *pair_of(random, kind)]
    node_inputs = ["ys", "yz", "x", "as", "az", "b", "bs", "bz"]
    names = ["ys", "yz", "as", "az", "b", "bs", "bz"]
    values = [scale, zero, *parts]
    graph = helper.make_graph(
        [helper.make_node("QLinearConcat", node_inputs, ["y"], domain="com.microsoft", axis=1)],
        "concat",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), None)],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(value), name) for value, name in zip(values, names, strict=True)],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = import_onnx(model)(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(found, session.run(None, {"x": x})[0])


@pytest.mark.parametrize("kind", TYPES.values())
@pytest.mark.parametrize(("opset", "axis"), [(13, -1), (13, 1), (11, 1)])
@pytest.mark.parametrize("scale", [1 / 256, 0.0039, 0.0031])
def test_softmax(random, kind, scale, opset, axis):
    x = codes(random, kind, (30, 7, 9))
    parameters = [np.float32(0.06), codes(random, kind, ()), np.float32(scale), np.array(np.iinfo(kind).min, kind)]
    equal(both("QLinearSoftmax", x, parameters, domain="com.microsoft", opset=opset, axis=axis))


@pytest.mark.parametrize("level", [0, 4])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("size", [16, 32])
def test_weights_of_four_bits(random, size, zeros, level):
    inputs, outputs = 40, 6
    blocks = -(-inputs // size)
    packed = codes(random, np.uint8, (outputs, blocks, size // 2))
    scales = random.uniform(0.01, 0.1, outputs * blocks).astype(np.float32)
    zero = codes(random, np.uint8, outputs * -(-blocks // 2)) if zeros else None
    x = random.normal(size=(3, inputs)).astype(np.float32)
    shape = {"K": inputs, "N": outputs, "block_size": size, "bits": 4, "accuracy_level": level}
    found, expected = both("MatMulNBits", x, [packed, scales, zero], domain="com.microsoft", **shape)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-4 * np.abs(expected[0]).max())
