"""Steps on networks that put out probabilities, with several outputs, a fixed batch or open sizes of -1."""

import warnings

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.data.digits import Digits
from bench.engine.intake import take_in
from bench.models.base import Recipe
from bench.networks.network import InputSpec
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from bench.suite.suite import Outside

DECLARED = InputSpec(shape=(1, 8, 8), classes=tuple(map(str, range(10))))
EDGE, CPU = Target(name="edge", runtime="onnxruntime"), Target(name="cpu")

NETWORK = """
import torch
from torch import nn

class Softmax(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )
        self.head = nn.Linear(16, 10)
        self.body[1].running_var.data.fill_(0.5)
        self.head.weight.data *= 20
    def logits(self, x): return self.head(self.body(x))
    def forward(self, x): return torch.softmax(self.logits(x), dim=1)

class Several(Softmax):
    def forward(self, x):
        features = self.body(x)
        return features, torch.softmax(self.head(features), dim=1)

def softmax(): torch.manual_seed(0); return Softmax()
def several(): torch.manual_seed(0); return Several()
"""


@pytest.fixture(scope="module")
def digits():
    return Digits().load(200, 64)


@pytest.fixture
def factories(tmp_path, monkeypatch):
    (tmp_path / "with_softmax.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    return importlib.import_module("with_softmax")


def export(module, path, outputs, batch=None):
    axes = {name: {0: "n"} for name in ("x", *outputs)} if batch is None else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), (torch.zeros(batch or 2, 1, 8, 8),), str(path), dynamo=False, opset_version=17,
            input_names=["x"], output_names=outputs, dynamic_axes=axes,
        )  # fmt: skip
    return path


def files(factories, folder):
    found = {
        "one output": export(factories.softmax(), folder / "one.onnx", ["p"]),
        "two outputs": export(factories.several(), folder / "two.onnx", ["f", "p"]),
        "batch 1": export(factories.softmax(), folder / "fixed.onnx", ["p"], batch=1),
    }
    made = onnx.load(found["one output"])
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    onnx.save(made, folder / "open.onnx")
    return found | {"size -1": folder / "open.onnx"}


def centred(z):
    return z - z.mean(-1, keepdim=True)


LIMITS = {"ort-dynamic-quant": 0.4, "ort-int4": 6.0, "ort-fp16": 0.02, "bn-fold": 1e-4}


@pytest.mark.parametrize("step", ["ort-static-quant", *LIMITS])
def test_steps_on_files(factories, digits, tmp_path, step):
    with torch.no_grad():
        right = factories.softmax().eval().logits(torch.from_numpy(digits.evaluation.x))
    spread = float(centred(right).std())
    for name, path in files(factories, tmp_path).items():
        network = take_in(Outside(onnx=path), DECLARED, digits.evaluation.x)
        made = run_step(steps.get(step)(), network, StepContext(digits.train, digits.calibration, None, 0))
        made = restore(made.record, to_bytes(made))
        predictor = open_predictor(made, EDGE)
        found = predictor.logits(torch.from_numpy(digits.evaluation.x))[0]
        assert float((found.argmax(1) != right.argmax(1)).float().mean()) < (0.3 if step == "ort-int4" else 0.05), name
        predictor.trust(torch.from_numpy(digits.evaluation.x[:64]))
        if step == "ort-static-quant":  # which quantises the softmax too
            assert predictor.spec.softmax == "kept"
            assert predictor.smallest == pytest.approx(1 / 255, rel=0.05)
            assert float(found.min()) >= np.log(predictor.smallest) - 1e-5
        else:
            assert predictor.spec.softmax == "removed"
            assert float((centred(found) - centred(right)).abs().max()) < LIMITS[step] * spread, name


CHAINS = [["bn-fold"], ["ptq"], ["ptq", "onnx-export"], ["structured-prune"], ["finetune"], ["qat", "onnx-export"]]
PARAMETERS = {"structured-prune": {"ratio": 0.25}, "finetune": {"epochs": 1}, "qat": {"epochs": 1}}


@pytest.mark.parametrize("chain", CHAINS, ids="+".join)
def test_steps_on_a_torch_network(factories, digits, chain):
    """The classes are the logits' own after every step; what trains, trains on probabilities."""
    network = take_in(Outside(factory="with_softmax:softmax"), DECLARED, digits.evaluation.x)
    x = torch.from_numpy(digits.evaluation.x)
    right = open_predictor(network, CPU).logits(x)[0]
    context = StepContext(digits.train, digits.calibration, Recipe(epochs=1, learning_rate=1e-4), 0)
    made = network
    for step in chain:
        made = run_step(steps.get(step)(**PARAMETERS.get(step, {})), made, context)
    made = restore(made.record, to_bytes(made))
    predictor = open_predictor(made, EDGE if made.kind.startswith("onnx") else CPU)
    assert made.input.output == "probabilities"
    found = predictor.logits(x)[0]
    shipped = predictor.as_shipped()
    assert predictor.spec.softmax == "removed"
    sums = shipped.to_user(shipped.forward(shipped.preprocess(x)))[0].sum(1)
    np.testing.assert_allclose(sums.detach().numpy(), 1, atol=1e-3)
    if chain[0] in ("finetune", "qat"):  # an untrained network learns
        y = torch.from_numpy(digits.evaluation.y)
        assert (found.argmax(1) == y).sum() > (right.argmax(1) == y).sum()
    elif chain != ["structured-prune"]:
        assert float((found.argmax(1) == right.argmax(1)).float().mean()) > 0.8
    if chain == ["bn-fold"]:
        torch.testing.assert_close(found, right, rtol=1e-3, atol=1e-3)


def test_a_predictor_of_a_step_has_gradients_of_logits(factories, digits):
    network = take_in(Outside(factory="with_softmax:softmax"), DECLARED, digits.evaluation.x)
    made = run_step(steps.get("ptq")(), network, StepContext(digits.train, digits.calibration, None, 0))
    view = open_predictor(made, CPU).differentiable(gradient="straight_through")
    x = torch.from_numpy(digits.evaluation.x[:8])
    torch.testing.assert_close(view(x), open_predictor(made, CPU).logits(x)[0])
    assert isinstance(view, nn.Module)
