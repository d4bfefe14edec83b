"""Single nodes of older opsets and odd attributes against ONNX Runtime: what the backend tests leave out."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.onnx_import import import_onnx

IMAGE = (2, 4, 7, 9)

CASES = [
    ("Slice", 9, IMAGE, {}, {"starts": [1, -5], "ends": [3, -1], "axes": [1, 3]}),
    ("Slice", 13, IMAGE, {1: [-1, 8], 2: [-9, 0], 3: [2, 3], 4: [-2, -3]}, {}),
    ("Slice", 13, IMAGE, {1: [3], 2: [1], 3: [1], 4: [1]}, {}),
    ("Split", 7, IMAGE, {}, {"axis": 1, "split": [1, 3], "outputs": 2}),
    ("Split", 13, IMAGE, {1: [3, 1]}, {"axis": 1, "outputs": 2}),
    ("Split", 18, IMAGE, {}, {"axis": 2, "num_outputs": 3, "outputs": 3}),
    ("Squeeze", 9, (2, 1, 3, 1), {}, {"axes": [1]}),
    ("Squeeze", 11, (2, 1, 3, 1), {}, {"axes": [-1]}),
    ("Unsqueeze", 11, (2, 3), {}, {"axes": [0, -1]}),
    ("ReduceSum", 11, IMAGE, {}, {"axes": [1, -1], "keepdims": 0}),
    ("ReduceMean", 11, IMAGE, {}, {}),
    ("ReduceL2", 18, IMAGE, {1: [1]}, {"keepdims": 0}),
    ("ReduceMax", 11, IMAGE, {}, {"axes": [-2]}),
    ("Pad", 7, IMAGE, {}, {"pads": [0, 0, 1, 2, 0, 0, 3, 1], "mode": "reflect"}),
    ("Pad", 7, IMAGE, {}, {"pads": [0, 0, 1, 0, 0, 0, -2, 1], "value": 1.5}),
    ("Pad", 13, IMAGE, {1: [0, 0, 2, 1, 0, 1, 0, 2]}, {"mode": "edge"}),
    ("TopK", 9, IMAGE, {}, None),
    ("Upsample", 7, IMAGE, {}, {"scales": [1.0, 1.0, 2.0, 1.5], "mode": "nearest"}),
    ("Resize", 10, IMAGE, {1: [1.0, 1.0, 0.6, 2.0]}, {"mode": "linear"}),
    ("Resize", 13, IMAGE, {2: [1.0, 1.0, 2.0, 1.7]}, {"mode": "cubic"}),
    (
        "Resize",
        13,
        IMAGE,
        {2: [1.0, 1.0, 2.0, 2.0]},
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ),
    ("Resize", 18, IMAGE, {2: [1.0, 1.0, 0.5, 0.6]}, {"mode": "linear", "antialias": 1}),
    ("Clip", 6, IMAGE, {}, {"min": -0.5, "max": 0.3}),
    ("Clip", 6, IMAGE, {}, {"max": 0.3}),
    ("Softmax", 11, (2, 3, 4), {}, {"axis": 1}),
    ("LogSoftmax", 11, (2, 3, 4), {}, {"axis": 2}),
    ("Softmax", 13, (2, 3, 4), {}, {"axis": 1}),
    ("Flatten", 9, IMAGE, {}, {"axis": 2}),
    ("Dropout", 7, IMAGE, {}, {"ratio": 0.7}),
    ("Dropout", 13, IMAGE, {}, {}),
    ("Add", 7, IMAGE, {1: np.float32([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0]])}, {}),
    ("PRelu", 9, IMAGE, {1: np.float32([[[0.1]], [[-0.2]], [[0.3]], [[0.4]]])}, {}),
    ("LRN", 13, IMAGE, {}, {"size": 5, "alpha": 0.3, "bias": 1.5}),
    ("LRN", 13, IMAGE, {}, {"size": 3, "alpha": 0.3}),
    ("LpNormalization", 1, IMAGE, {}, {"axis": 1, "p": 1}),
    ("MaxPool", 8, IMAGE, {}, {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 0, 2, 1]}),
    ("MaxPool", 12, IMAGE, {}, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    ("MaxPool", 12, IMAGE, {}, {"kernel_shape": [3, 4], "strides": [2, 3], "auto_pad": "SAME_LOWER"}),
    ("MaxPool", 12, IMAGE, {}, {"kernel_shape": [2, 3], "strides": [2, 2], "outputs": 2, "pads": [0, 1, 1, 1]}),
    ("MaxPool", 12, IMAGE, {}, {"kernel_shape": [2, 2], "outputs": 2, "storage_order": 1}),
    ("AveragePool", 7, IMAGE, {}, {"kernel_shape": [3, 3], "pads": [1, 1, 0, 1]}),
    ("AveragePool", 7, IMAGE, {}, {"kernel_shape": [3, 3], "pads": [1, 1, 0, 1], "count_include_pad": 1}),
    ("AveragePool", 10, IMAGE, {}, {"kernel_shape": [2, 2], "strides": [3, 2], "auto_pad": "SAME_UPPER"}),
    ("AveragePool", 19, IMAGE, {}, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    ("MaxPool", 12, IMAGE, {}, {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    ("AveragePool", 19, IMAGE, {}, {"kernel_shape": [2, 2], "strides": [3, 4], "ceil_mode": 1, "pads": [1, 0, 1, 1]}),
    ("AveragePool", 19, IMAGE, {}, {"kernel_shape": [4, 4], "strides": [3, 3], "ceil_mode": 1, "count_include_pad": 1}),
    ("AveragePool", 19, IMAGE, {}, {"kernel_shape": [2, 3], "dilations": [3, 2], "pads": [1, 2, 0, 1]}),
    ("LpPool", 11, IMAGE, {}, {"kernel_shape": [2, 2], "p": 3}),
    ("GlobalLpPool", 2, IMAGE, {}, {"p": 2}),
    ("GlobalMaxPool", 1, IMAGE, {}, {}),
    ("InstanceNormalization", 6, IMAGE, {1: np.float32([1, 2, 3, 4]), 2: np.float32([0, 1, 0, 1])}, {"epsilon": 1e-2}),
    ("MeanVarianceNormalization", 9, IMAGE, {}, {}),
    ("DepthToSpace", 11, (2, 8, 3, 2), {}, {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", 13, (2, 2, 4, 6), {}, {"blocksize": 2}),
    ("ArgMax", 12, IMAGE, {}, {"axis": -1, "select_last_index": 1, "keepdims": 0}),
    ("CumSum", 14, IMAGE, {1: np.asarray(-1)}, {"reverse": 1, "exclusive": 1}),
    ("Gather", 11, IMAGE, {1: [[0, -1], [2, 1]]}, {"axis": 2}),
    ("Expand", 8, (4, 1, 3), {1: [2, 1, 5, 1]}, {}),
    ("Transpose", 1, (2, 3, 4), {}, {}),
    ("Gelu", 20, IMAGE, {}, {"approximate": "tanh"}),
    ("HardSigmoid", 6, IMAGE, {}, {}),
    ("Celu", 12, IMAGE, {}, {"alpha": 2.0}),
    ("ThresholdedRelu", 10, IMAGE, {}, {"alpha": 0.5}),
    ("Mod", 13, IMAGE, {1: np.float32(0.7)}, {"fmod": 1}),
    ("Pow", 13, IMAGE, {1: np.float32(2.0)}, {}),
    ("Einsum", 12, (2, 3, 4), {1: np.ones((2, 4, 5), np.float32)}, {"equation": "bij,bjk->bki"}),
    ("LayerNormalization", 17, IMAGE, {1: np.ones((7, 9), np.float32)}, {"axis": 2}),
    ("TopK", 11, IMAGE, {1: [3]}, {"axis": 1, "largest": 0, "outputs": 2}),
]  # operator, opset, shape of x, constant inputs by place, attributes (`outputs`: how many)


def model_of(operator, opset, shape, constants, attributes):
    attributes = {"k": 2, "axis": 1, "outputs": 2} if attributes is None else dict(attributes)
    outputs = [f"y{i}" for i in range(attributes.pop("outputs", 1))]
    last = max(constants, default=0)
    names = ["x", *(f"c{i}" if i in constants else "" for i in range(1, last + 1))]
    arrays = {f"c{i}": np.asarray(value) for i, value in constants.items()}
    arrays = {name: a.astype(np.float32) if a.dtype == np.float64 else a for name, a in arrays.items()}
    node = helper.make_node(operator, names, outputs, name="node", **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def agrees(model, feeds, tolerance=1e-5):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in model.graph.output]
    found = import_onnx(model).values({name: torch.from_numpy(x) for name, x in feeds.items()}, names)
    for name, expected in zip(names, session.run(names, feeds), strict=True):
        assert found[name].numpy().dtype == expected.dtype
        assert found[name].shape == expected.shape
        np.testing.assert_allclose(found[name].numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{case[0]}-{case[1]}" for i, case in enumerate(CASES)])
def test_node(case):
    x = np.random.default_rng(5).standard_normal(case[2], dtype=np.float32)
    agrees(model_of(*case), {"x": x})


@pytest.mark.parametrize(("opset", "spatial"), [(7, 0), (7, 1), (9, 1), (14, 1), (15, 1)])
def test_batch_normalisation_of_every_generation(opset, spatial):
    rng = np.random.default_rng(3)
    shape = (3,) if spatial else (3, 4, 5)
    constants = {i: rng.uniform(0.5, 2.0, shape).astype(np.float32) for i in range(1, 5)}
    attributes = {"epsilon": 1e-3} | ({} if spatial else {"spatial": 0})
    x = rng.standard_normal((2, 3, 4, 5), dtype=np.float32)
    agrees(model_of("BatchNormalization", opset, x.shape, constants, attributes), {"x": x})


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 1], "pads": [1, 0, 2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 1]},
        {"auto_pad": "VALID", "group": 2},
        {"pads": [1, 1, 1, 1], "group": 4},
    ],
)
def test_convolution(attributes):
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((4, 4 // attributes.get("group", 1), 3, 2), dtype=np.float32)
    constants = {1: weight, 2: rng.standard_normal(4, dtype=np.float32)}
    x = rng.standard_normal(IMAGE, dtype=np.float32)
    agrees(model_of("Conv", 11, x.shape, constants, {"kernel_shape": [3, 2], **attributes}), {"x": x}, 1e-4)


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 3], "pads": [1, 0, 1, 1], "output_padding": [1, 2]},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [3, 2], "output_shape": [20, 17]},
        {"dilations": [2, 1], "group": 2},
    ],
)
def test_transposed_convolution(attributes):
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((4, 3, 3, 2), dtype=np.float32)
    constants = {1: weight, 2: rng.standard_normal(3 * attributes.get("group", 1), dtype=np.float32)}
    x = rng.standard_normal(IMAGE, dtype=np.float32)
    agrees(model_of("ConvTranspose", 11, x.shape, constants, attributes), {"x": x}, 1e-4)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.int8])
def test_integers_divide_towards_zero_and_wrap(dtype):
    a = np.array([7, -7, 100, 9], dtype=np.int64).astype(dtype)
    b = np.array([2, 2, 3, 250], dtype=np.int64).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(a.dtype)
    for operator in ("Div", "Mul", "Sub"):
        values = [helper.make_tensor_value_info(name, kind, [4]) for name in "ab"]
        node = helper.make_node(operator, ["a", "b"], ["y"])
        graph = helper.make_graph([node], "g", values, [helper.make_tensor_value_info("y", kind, [4])])
        agrees(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), {"a": a, "b": b})
