"""Gradients to the input against finite differences, and a batch that is free."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.base import Samples
from bench.models.base import models
from bench.models.training import initialise
from bench.networks.network import InputSpec, TorchNetwork
from bench.onnx_import import import_onnx
from bench.outside_networks.records import source_record

node = helper.make_node
SHAPE = (2, 8, 8)


def convolutional(rng):
    """Every kind of layer of a convolutional classifier, with a residual, smooth but for two pools."""
    held = {"w1": rng.normal(size=(4, 2, 3, 3)), "w2": rng.normal(size=(4, 2, 3, 3)), "b2": rng.normal(size=4)}
    held |= {name: rng.uniform(0.5, 2, 4) for name in ("scale", "shift", "mean", "variance")}
    held |= {"dense": rng.normal(size=(5, 4)), "bias": rng.normal(size=5)}
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "scale", "shift", "mean", "variance"], ["n1"]),
        node("Mul", ["n1", "n1_gate"], ["swish"]),
        node("Sigmoid", ["n1"], ["n1_gate"]),
        node("Conv", ["swish", "w2", "b2"], ["c2"], auto_pad="SAME_UPPER", group=2),
        node("Add", ["c2", "n1"], ["sum"]),
        node("LRN", ["sum"], ["lrn"], size=3),
        node("MaxPool", ["lrn"], ["max"], kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", ["max"], ["mean_pool"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", ["mean_pool"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("Gemm", ["flat", "dense", "bias"], ["y"], transB=1, alpha=0.5),
    ]
    stored = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in held.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *SHAPE])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def transformer(rng):
    """The file that onnx-export writes of a small vision transformer, and the torch network."""
    declared = InputSpec(shape=SHAPE, classes=tuple("abcde"))
    model = models.get("vit-tiny")(width=8, depth=1, heads=2, hidden=12)
    module = initialise(model, declared, 0)
    for weight in module.parameters():
        weight.data += torch.from_numpy(rng.normal(0, 0.3, weight.shape).astype(np.float32))
    x = rng.random((4, *SHAPE)).astype(np.float32)
    samples = Samples(x=x, y=np.zeros(4, np.int64), ids=tuple("abcd"))
    network = TorchNetwork(module, declared, source_record(model, declared))
    exported = run_step(steps.get("onnx-export")(), network, StepContext(None, samples, None, 0))
    return exported.model, module


@pytest.fixture(scope="module")
def graphs():
    rng = np.random.default_rng(11)
    exported, module = transformer(rng)
    return {"convolutional": convolutional(rng), "transformer": exported, "torch": module}


@pytest.mark.parametrize("name", ["convolutional", "transformer"])
@pytest.mark.parametrize("seed", range(3))
def test_gradient_is_the_slope(graphs, name, seed):
    """Along random directions, in float64: the projection of the gradient is the central difference."""
    rng = torch.Generator().manual_seed(seed)
    module = import_onnx(graphs[name]).double()
    x = torch.rand((2, *SHAPE), generator=rng, dtype=torch.float64).requires_grad_()
    weights = torch.randn((2, 5), generator=rng, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((module(x) * weights).sum(), x)
    for _ in range(3):
        direction = torch.randn(x.shape, generator=rng, dtype=torch.float64)
        ends = [(module(x.detach() + sign * 1e-6 * direction) * weights).sum() for sign in (1, -1)]
        slope = float((ends[0] - ends[1]) / 2e-6)
        assert abs(slope) > 1e-3
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_transformer_has_the_torch_network_s_gradient(graphs):
    x = torch.rand((3, *SHAPE), generator=torch.Generator().manual_seed(0))
    found = []
    for module in (graphs["torch"].eval(), import_onnx(graphs["transformer"])):
        given = x.clone().requires_grad_()
        logits = module(given)
        found.append((logits.detach(), torch.autograd.grad(logits[:, 1].sum(), given)[0]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["convolutional", "transformer"])
def test_one_sample_is_a_row_of_seven(graphs, name):
    module = import_onnx(graphs[name]).double()
    x = torch.rand((7, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = module(x)
    for i in range(7):
        torch.testing.assert_close(module(x[i : i + 1])[0], whole[i], rtol=1e-12, atol=1e-12)


OPERATORS = [
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", {"kernel_shape": [3, 3], "dilations": [2, 2]}),
    ("LpPool", {"kernel_shape": [2, 2]}),
    ("InstanceNormalization", {}),
    ("Resize", {"mode": "cubic"}),
    ("Pad", {"mode": "reflect"}),
    ("GlobalMaxPool", {}),
    ("LogSoftmax", {"axis": 1}),
    ("HardSwish", {}),
    ("ReduceLogSumExp", {}),
    ("LpNormalization", {"axis": 1}),
    ("Transpose", {"perm": [0, 2, 3, 1]}),
]
CONSTANTS = {
    "InstanceNormalization": [np.float64([1, 2]), np.float64([0, 1])],
    "Resize": [None, np.float32([1, 1, 1.5, 0.75])],
    "Pad": [np.int64([0, 0, 2, 1, 0, 0, 1, 2])],
}


@pytest.mark.parametrize(("operator", "attributes"), OPERATORS, ids=[operator for operator, _ in OPERATORS])
def test_operator_passes_gradcheck(operator, attributes):
    constants = CONSTANTS.get(operator, [])
    names = ["x", *("" if array is None else f"c{i}" for i, array in enumerate(constants))]
    stored = [numpy_helper.from_array(a, f"c{i}") for i, a in enumerate(constants) if a is not None]
    inputs = [helper.make_tensor_value_info("x", TensorProto.DOUBLE, None)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)]
    graph = helper.make_graph([node(operator, names, ["y"], **attributes)], "g", inputs, outputs, stored)
    module = import_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9))
    x = torch.rand((1, 2, 6, 7), generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 4 - 2
    assert torch.autograd.gradcheck(module, (x.requires_grad_(),), eps=1e-6, atol=1e-5)
