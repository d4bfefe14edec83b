"""Every declaration is honoured alike by both runtimes: a network that wants it so answers as the plain one does."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from bench.errors import NotDifferentiable, UserError
from bench.networks.network import InputSpec, OnnxNetwork, TorchNetwork
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

PLAIN = InputSpec(shape=(3, 4, 5), classes=("a", "b", "c"))
X = torch.randint(0, 256, (9, 3, 4, 5), generator=torch.Generator().manual_seed(0)) / 255
WEIGHT = torch.randn(3, 60, generator=torch.Generator().manual_seed(1))
EXPECTED = X.flatten(1) @ WEIGHT.T
ORDER = (2, 0, 1)
WANTED = {
    "plain": {},
    "bytes": {"scale": 255.0},
    "mean": {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)},
    "all": {"scale": 255.0, "mean": (127.0,), "std": (128.0,), "layout": "NHWC", "order": ORDER},
    "NHWC": {"layout": "NHWC"},
    "uint8": {"scale": 255.0, "dtype": "uint8"},
    "uint8 NHWC": {"scale": 255.0, "dtype": "uint8", "layout": "NHWC"},
    "order": {"order": ORDER},
    "probabilities": {"output": "probabilities", "order": ORDER},
}


def column(values):
    return torch.tensor(values if len(values) == 3 else values * 3, dtype=torch.float32).view(1, 3, 1, 1)


class Wants(nn.Module):
    """Takes its input as declared and puts out the plain network's answer, as declared."""

    def __init__(self, declared):
        super().__init__()
        self.declared = declared
        self.weight = nn.Parameter(WEIGHT.clone())

    def forward(self, x):
        declared = self.declared
        assert x.dtype == (torch.uint8 if declared.dtype == "uint8" else self.weight.dtype)
        x = x.to(self.weight.dtype)
        if declared.layout == "NHWC":
            x = x.permute(0, 3, 1, 2)
        x = (x * column(declared.std).to(x.dtype) + column(declared.mean).to(x.dtype)) / declared.scale
        out = x.flatten(1) @ self.weight.T
        out = out.softmax(-1) if declared.output == "probabilities" else out
        return out[:, list(declared.order)] if declared.order else out


def onnx_file(declared) -> bytes:
    """The same by hand in ONNX."""
    uint8 = declared.dtype == "uint8"
    shape = ["n", 4, 5, 3] if declared.layout == "NHWC" else ["n", 3, 4, 5]
    constants = {"std": column(declared.std), "mean": column(declared.mean), "scale": torch.tensor(declared.scale)}
    constants |= {"w": WEIGHT.T.contiguous()}
    if declared.order:
        constants["order"] = torch.tensor(declared.order)
    axes = [0, 3, 1, 2] if declared.layout == "NHWC" else [0, 1, 2, 3]
    nodes = [
        helper.make_node("Cast", ["x"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["turned"], perm=axes),
        helper.make_node("Mul", ["turned", "std"], ["wide"]),
        helper.make_node("Add", ["wide", "mean"], ["shifted"]),
        helper.make_node("Div", ["shifted", "scale"], ["image"]),
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
        helper.make_node("Softmax" if declared.output == "probabilities" else "Identity", ["scores"], ["shown"]),
        helper.make_node("Gather", ["shown", "order"], ["y"], axis=1)
        if declared.order
        else helper.make_node("Identity", ["shown"], ["y"]),
    ]
    kind = TensorProto.UINT8 if uint8 else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "wants",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def predictors(declared):
    yield open_predictor(TorchNetwork(Wants(declared), declared), Target(name="torch"))
    yield open_predictor(OnnxNetwork(onnx_file(declared), declared), Target(name="edge", runtime="onnxruntime"))


@pytest.mark.parametrize("given", WANTED.values(), ids=WANTED)
def test_both_runtimes_honour_it(given):
    declared = replace(PLAIN, **given)
    for predictor in predictors(declared):
        found = predictor.logits(X)[0]
        expected = EXPECTED.log_softmax(-1) if declared.output == "probabilities" else EXPECTED
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in WANTED if "uint8" not in name])
def test_gradients_are_those_of_the_user_s_input(name):
    declared = replace(PLAIN, **WANTED[name])
    view = open_predictor(TorchNetwork(Wants(declared), declared), Target(name="torch")).differentiable()
    x = X[:2].clone().requires_grad_(True)
    out = view(x)
    (gradient,) = torch.autograd.grad(out[:, 1].sum(), x)
    plain = X[:2].clone().requires_grad_(True)
    expected = plain.flatten(1) @ WEIGHT.T
    expected = expected.log_softmax(-1) if declared.output == "probabilities" else expected
    (wanted,) = torch.autograd.grad(expected[:, 1].sum(), plain)
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-4)


def test_whole_pixels_have_no_gradient():
    declared = replace(PLAIN, scale=255.0, dtype="uint8")
    predictor = open_predictor(TorchNetwork(Wants(declared), declared), Target(name="torch"))
    with pytest.raises(NotDifferentiable, match="whole pixels"):
        predictor.differentiable()


def test_a_wrong_layout_does_not_fit():
    declared = replace(PLAIN, layout="NHWC")
    with pytest.raises(UserError, match=r"the file takes samples of shape \(4, 5, 3\), the data has \(3, 4, 5\)"):
        open_predictor(OnnxNetwork(onnx_file(declared), PLAIN), Target(name="edge", runtime="onnxruntime"))


def test_pixels_are_never_cut_off_silently():
    declared = replace(PLAIN, scale=255.0, dtype="uint8")
    with pytest.raises(UserError, match="uint8"):
        open_predictor(
            OnnxNetwork(onnx_file(declared), replace(PLAIN, scale=255.0)), Target(name="e", runtime="onnxruntime")
        )
