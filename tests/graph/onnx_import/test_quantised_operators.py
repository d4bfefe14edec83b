"""Every operator on integers against ONNX Runtime's own kernel, as a model of one node."""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.graph.onnx_import import import_onnx

TYPES = {"uint8": np.uint8, "int8": np.int8}


def both(operator, x, constants, outputs=1, domain="", version=21, **attributes):
    """What the import and ONNX Runtime make of x and constants; None leaves an input out."""
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
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})
    module = import_onnx(model)
    found = module.values({"x": torch.from_numpy(x)}, made)
    return [found[name].numpy() for name in made], expected


def equal(pair):
    for found, expected in zip(*pair, strict=True):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)


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


def test_qlinear_conv_channels_last(random):
    x = codes(random, np.uint8, (2, 7, 6, 4))
    w = codes(random, np.int8, (6, 4, 3, 3))
    scale = random.uniform(0.001, 0.01, 6).astype(np.float32)
    constants = [*pair_of(random, np.uint8), w, scale, np.zeros(6, np.int8), np.float32(0.11), np.uint8(7)]
    bias = random.integers(-20000, 20000, 6, dtype=np.int32)
    made = both("QLinearConv", x, [*constants, bias], domain="com.microsoft", channels_last=1, pads=[1, 1, 1, 1])
    equal(made)


def test_long_sums_are_exact(random):
    """2,304 products of up to 255 · 127 exceed 2^24: float32 would drop their last bits."""
    x = np.full((1, 256, 3, 3), 255, np.uint8)
    w = np.full((1, 256, 3, 3), 127, np.int8)
    w[0, 0, 0, 0] = 126
    equal(both("ConvInteger", x, [w, np.uint8(0)]))
    factor = [np.float32(1), np.uint8(0), w, np.float32(1), np.int8(0), np.float32(2**24), np.uint8(0)]
    equal(both("QLinearConv", x, [*factor, np.array([2**24 + 1], np.int32)]))
    rows = np.full((2, 2304), 255, np.uint8)
    equal(both("MatMulInteger", rows, [w.reshape(-1, 1), np.uint8(0)]))


@pytest.mark.parametrize("geometry", GEOMETRY)
def test_conv_integer(random, geometry):
    x, w = codes(random, np.uint8, (2, 3, 7, 6)), codes(random, np.uint8, (5, 3, 3, 2))
    equal(both("ConvInteger", x, [w, np.uint8(9), np.uint8(130)], **geometry))
    equal(both("ConvInteger", x, [w], **geometry))


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize(("kind", "weights"), [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")])
def test_matrix_products(random, kind, weights, channels):
    kind, weights = TYPES[kind], TYPES[weights]
    a, b = codes(random, kind, (2, 3, 17)), codes(random, weights, (17, 5))
    shape = 5 if channels else ()
    scale, zero = random.uniform(0.001, 0.01, shape).astype(np.float32), codes(random, weights, shape)
    a_scale, a_zero = pair_of(random, kind)
    equal(both("MatMulInteger", a, [b, a_zero, zero]))
    equal(both("QLinearMatMul", a, [a_scale, a_zero, b, scale, zero, np.float32(0.1), *pair_of(random, kind)[1:]]))
    bias = random.normal(size=5).astype(np.float32)
    found, expected = both("MatMulIntegerToFloat", a, [b, a_scale, scale, a_zero, zero, bias], domain="com.microsoft")
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weights", TYPES.values())
def test_dynamic_quantize_matmul(random, weights):
    a = random.normal(size=(3, 19)).astype(np.float32)
    scale, zero = random.uniform(0.001, 0.01, 5).astype(np.float32), codes(random, weights, 5)
    bias = random.normal(size=5).astype(np.float32)
    for extra in ([zero, bias], [zero], []):
        found, expected = both(
            "DynamicQuantizeMatMul", a, [codes(random, weights, (19, 5)), scale, *extra], domain="com.microsoft"
        )
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-5)


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
