"""The published topologies that the onnx package brings, with seeded random weights, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper

from bench.onnx_import import import_onnx

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = (
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
)
LARGEST = 2e-5  # of the spread of the logits, by which the import may differ from ONNX Runtime


def drawn(operator, place, shape, rng):
    """Random values for the input ``place`` of an operator that neither let activations vanish nor explode."""
    if operator in ("Conv", "Gemm") and place == 1:
        fan_in = np.prod(shape[1:])
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / fan_in))
    if (operator, place) in (("BatchNormalization", 1), ("BatchNormalization", 4), ("Mul", 1)):
        return rng.uniform(0.8, 1.2, shape).astype(np.float32)
    return (0.1 * rng.standard_normal(shape)).astype(np.float32)


def narrowed(role, shape):
    """Hidden linear layers of 4096 features become 128 wide: their 100 million weights are most of the time."""
    return tuple(128 if size == 4096 else size for size in shape) if role and role[0] == "Gemm" else shape


def with_random_weights(model, rng):
    """Every floating constant, stored or made by ConstantOfShape, drawn anew by the role it plays."""
    graph = model.graph
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made = {node.output[0]: node for node in graph.node if node.op_type == "ConstantOfShape"}
    roles = {name: (node.op_type, place) for node in graph.node for place, name in enumerate(node.input)}
    for node in graph.node:  # DenseNet gives its scales new axes first
        if node.op_type == "Unsqueeze":
            roles[node.input[0]] = roles[node.output[0]]
    shapes = {name: tuple(held[node.input[0]]) for name, node in made.items()}
    shapes |= {name: array.shape for name, array in held.items() if array.dtype == np.float32 and array.size > 1}
    shapes = {name: narrowed(roles.get(name), shape) for name, shape in shapes.items()}
    fresh = {name: drawn(*roles[name], shapes[name], rng) for name in sorted(shapes) if name in roles}
    stored = [numpy_helper.from_array(array, name) for name, array in fresh.items()]
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    used = {name for node in nodes for name in node.input}
    stored += [tensor for tensor in graph.initializer if tensor.name not in fresh and tensor.name in used]
    inputs = [value for value in graph.input if value.name not in held]
    last = next((node.input[0] for node in nodes if node.op_type == "Softmax"), graph.output[0].name)
    logits = helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None)
    new = helper.make_graph(nodes, graph.name, inputs, [logits], stored)
    return helper.make_model(new, opset_imports=model.opset_import, ir_version=8)


@pytest.mark.parametrize("name", NAMES)
def test_topology_agrees_with_onnx_runtime(name, record_property):
    rng = np.random.default_rng(20240 + NAMES.index(name))
    model = with_random_weights(onnx.load(FOLDER / f"light_{name}.onnx"), rng)
    entry = model.graph.input[0]
    x = rng.standard_normal([dim.dim_value for dim in entry.type.tensor_type.shape.dim], dtype=np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    module = import_onnx(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {entry.name: x})
    with torch.no_grad():
        found = module(torch.from_numpy(x)).numpy()
    spread = expected.std()
    assert 1e-2 < spread < 1e6
    difference = np.abs(found - expected).max() / spread
    record_property("difference", f"{difference:.1e}")
    print(f"{name}: largest logit difference {difference:.1e} of the spread {spread:.2g}")
    assert difference < LARGEST
