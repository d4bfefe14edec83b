"""Trained networks, each once for all tests; what compression makes of one of them, and how to run it."""

import copy
import hashlib
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.base import Samples
from bench.data.digits import Digits
from bench.models.base import Model, Recipe
from bench.models.convnet import Convnet
from bench.models.mlp import Mlp
from bench.models.training import initialise, train
from bench.models.vit_tiny import VitTiny
from bench.networks.network import InputSpec, TorchNetwork
from bench.outside_networks.records import source_record
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

MODEL = Convnet(widths=(8, 16), strides=(2, 2))
NORMALISED = {"mean": (0.3,), "std": (0.4,)}  # so that preprocessing matters
ZOO: dict[str, tuple[Model, int, dict[str, Any]]] = {  # architecture, epochs, how it takes its input
    "small": (MODEL, 3, {}),
    "pool": (Convnet(widths=(8, 12), strides=(1, 2)), 3, {}),
    "flatten": (Convnet(widths=(6, 8), strides=(2, 2), head="flatten"), 3, {}),
    "mlp": (Mlp(hidden=(24, 16), batch_norm=True), 3, {}),
    "linear": (Mlp(hidden=()), 4, {}),
    "hidden": (Mlp(hidden=(24,)), 4, {}),
    "convnet": (Convnet(), 4, {}),
    "convnet-normalised": (Convnet(), 5, NORMALISED),
    "wide-normalised": (Convnet(widths=(8, 16), strides=(1, 2)), 3, NORMALISED),
    "deep": (Convnet(widths=(8, 12, 12), strides=(1, 2, 1)), 4, {}),
    "transformer": (VitTiny(width=16, heads=2, depth=1, patch=2), 2, {}),
}
TARGETS = {"torch": Target(name="torch"), "onnx": Target(name="edge", runtime="onnxruntime", integer_sums="exact")}


@pytest.fixture(scope="session")
def digits():
    return Digits().load(120, 64)


@pytest.fixture(scope="session")
def samples(digits):
    return digits.evaluation


def _content(module: torch.nn.Module) -> str:
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in module.state_dict().values())).hexdigest()


@pytest.fixture(scope="session")
def zoo():
    """``zoo(name, seed=0)``: a trained network of ``ZOO``, trained once.

    Its training split meets no test's evaluation or calibration split of 360 and 128 samples or fewer. No test may
    change it: whoever wants to takes a copy.
    """
    data = Digits().load(360, 128)
    contents: list[tuple[torch.nn.Module, str]] = []

    @cache
    def get(name: str, seed: int = 0) -> TorchNetwork:
        model, epochs, declared = ZOO[name]
        given = replace(data.input, **declared)
        module = train(initialise(model, given, seed), data.train, given, Recipe(epochs=epochs), seed)
        contents.append((module, _content(module)))
        return TorchNetwork(module, given, source_record(model, given))

    yield get
    assert all(_content(module) == content for module, content in contents), "a test changed a network of the zoo"


@pytest.fixture(scope="session")
def networks(digits, zoo):
    """The reference, the same from another seed, four bits, and ONNX in floats, four and eight bits."""
    context = StepContext(digits.train, digits.calibration, None, 0)
    made = {name: zoo("small", seed) for name, seed in (("reference", 0), ("retrained", 1))}
    made["ptq4"] = run_step(steps.get("ptq")(bits=4), made["reference"], context)
    made["onnx"] = run_step(steps.get("onnx-export")(), made["reference"], context)
    made["onnx4"] = run_step(steps.get("onnx-export")(), made["ptq4"], context)
    made["onnx8"] = run_step(steps.get("ort-static-quant")(), made["onnx"], context)
    return made


@pytest.fixture(scope="session")
def degenerate(networks):
    """The reference with saturated logits, with an output that ignores the input, and with equal logits."""
    reference = networks["reference"]

    def changed(change):
        module = copy.deepcopy(reference.module)
        last = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)][-1]
        with torch.no_grad():
            change(last)
        return TorchNetwork(module, reference.input, reference.record)

    def saturate(last):
        last.weight.mul_(1e6)
        last.bias.mul_(1e6)

    def flatten(last):
        last.weight.zero_()
        last.bias.zero_()

    return {
        "saturated": changed(saturate),
        "constant": changed(lambda last: last.weight.zero_()),
        "equal": changed(flatten),
    }


@pytest.fixture(scope="session")
def predictors(networks, degenerate):
    return {
        name: open_predictor(network, TARGETS["onnx" if network.kind.startswith("onnx") else "torch"])
        for name, network in {**networks, **degenerate}.items()
    }


@pytest.fixture(scope="session")
def linear():
    """Make a predictor of ``z = W (x - mean) / std + b`` on images of one row of pixels."""

    def build(weight, bias=None, bounds=(-100.0, 100.0), mean=0.0, std=1.0):
        classes, pixels = weight.shape
        layer = torch.nn.Linear(pixels, classes)
        with torch.no_grad():
            layer.weight.copy_(torch.as_tensor(weight))
            layer.bias.copy_(torch.zeros(classes) if bias is None else torch.as_tensor(bias))
        declared = InputSpec((1, 1, pixels), tuple(map(str, range(classes))), bounds, (mean,), (std,))
        return open_predictor(TorchNetwork(torch.nn.Sequential(torch.nn.Flatten(), layer), declared), TARGETS["torch"])

    return build


@pytest.fixture(scope="session")
def rows():
    """Samples of one row of pixels from an array (n, pixels)."""

    def build(x, y=None):
        x = np.asarray(x, dtype=np.float32)[:, None, None, :]
        return Samples(
            tuple(f"row/{i}" for i in range(len(x))), x, None if y is None else np.asarray(y, dtype=np.int64)
        )

    return build
