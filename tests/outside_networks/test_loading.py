"""Networks from outside, whole: accepted as declared or refused in one line."""

import re
from dataclasses import replace

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.data.base import loaders
from bench.errors import UserError
from bench.models.base import Recipe
from bench.models.training import accuracy, train
from bench.networks.network import InputSpec, OnnxNetwork, TorchNetwork
from bench.outside_networks.loading import load_outside
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

DECLARED = InputSpec(shape=(1, 2, 2), classes=("a", "b", "c"))


@pytest.fixture
def factory(tmp_path, monkeypatch):
    (tmp_path / "factories_from_outside.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def good(): return nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 3)).train()\n"
        "def wide(): return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))\n"
        "def deep(): return nn.Sequential(nn.Linear(2, 3))\n"
        "def pair():\n"
        "    class Pair(nn.Module):\n"
        "        def forward(self, x): return x, x\n"
        "    return Pair()\n"
        "def bad():\n"
        "    net = good()\n"
        "    nn.init.constant_(net[2].bias, float('nan'))\n"
        "    return net\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "factories_from_outside"


def onnx_file(path, classes=3):
    weight = torch.ones(4, classes).numpy()
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(weight, "w")],
    )
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_a_factory(factory):
    network = load_outside(DECLARED, factory=f"{factory}:good")
    assert isinstance(network, TorchNetwork)
    assert network.kind == "torch"
    assert network.input == DECLARED
    assert not network.module.training
    assert network.record == {
        "source": "factory",
        "factory": f"{factory}:good",
        "input": DECLARED.canonical(),
        "kind": "torch",
    }
    again = load_outside(DECLARED, factory=f"{factory}:good")
    assert torch.equal(network.module[2].weight, again.module[2].weight)


def test_a_checkpoint(factory, tmp_path):
    state = {"2.weight": torch.full((3, 4), 2.0), "2.bias": torch.zeros(3)}
    save_file(state, tmp_path / "net.safetensors")
    network = load_outside(DECLARED, factory=f"{factory}:good", checkpoint=tmp_path / "net.safetensors")
    assert torch.equal(network.module[2].weight, state["2.weight"])
    healed = load_outside(DECLARED, factory=f"{factory}:bad", checkpoint=tmp_path / "net.safetensors")
    assert torch.equal(healed.module[2].bias, state["2.bias"])  # what the checkpoint replaces need not be finite


def test_an_onnx_file(tmp_path):
    path = onnx_file(tmp_path / "net.onnx")
    network = load_outside(DECLARED, onnx=path)
    assert isinstance(network, OnnxNetwork)
    assert network.model == path.read_bytes()
    assert network.kind == network.record["kind"] == "onnx"
    assert network.record["sha256"] == network.sha256


def test_unnamed_classes_are_counted(factory, tmp_path):
    unnamed = InputSpec(shape=(1, 2, 2), classes=())
    assert load_outside(unnamed, factory=f"{factory}:good").input.classes == ("0", "1", "2")
    assert load_outside(unnamed, onnx=onnx_file(tmp_path / "net.onnx", classes=2)).input.classes == ("0", "1")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wide", "variant[1].factory: it does not take inputs (2, 1, 2, 2): RuntimeError: mat1 and"),
        ("deep", "variant[1].factory: two images give shape (2, 1, 2, 3); put out (batch, 3)"),
        (
            "pair",
            "variant[1].factory: two images give [0] shape (2, 1, 2, 2), [1] shape (2, 1, 2, 2); put out (batch, 3)",
        ),
        ("bad", "variant[1].factory: NaN or infinite weights in '2.bias'"),
        ("none", "variant[1].factory: 'factories_from_outside' has no 'none'"),
    ],
)
def test_bad_factories(factory, name, said):
    with pytest.raises(UserError, match=re.escape(said)) as error:
        load_outside(DECLARED, factory=f"{factory}:{name}", where="variant[1]")
    assert "\n" not in str(error.value)


def test_bad_choices(factory, tmp_path):
    path = onnx_file(tmp_path / "net.onnx", classes=4)
    with pytest.raises(UserError, match=r"reference\.onnx: the network puts out 4 classes, the data has 3"):
        load_outside(DECLARED, onnx=path, where="reference")
    with pytest.raises(UserError, match=r"^checkpoint: an ONNX file holds its own weights"):
        load_outside(DECLARED, onnx=path, checkpoint=path)
    for both in ({}, {"onnx": path, "factory": f"{factory}:good"}):
        with pytest.raises(UserError, match="not exactly one of onnx and factory"):
            load_outside(DECLARED, **both)
    with pytest.raises(UserError, match=r"^reference\.checkpoint: no file"):
        load_outside(DECLARED, factory=f"{factory}:good", checkpoint=tmp_path / "no.safetensors", where="reference")
    with pytest.raises(UserError, match="no module 'no_such_module'"):
        load_outside(DECLARED, factory="no_such_module:net")


def test_a_declaration_goes_through_every_step(tmp_path, monkeypatch):
    """A network in NHWC with its classes in another order: folded, exported, trained on, it stays what it is."""
    (tmp_path / "turned_net.py").write_text(
        "from torch import nn\n"
        "class Turned(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv, self.bn = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)\n"
        "        self.head = nn.Linear(4, 10)\n"
        "    def forward(self, x):\n"
        "        return self.head(self.bn(self.conv(x.permute(0, 3, 1, 2))).relu().mean((2, 3)))\n"
        "def build(): return Turned()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    digits = loaders.get("digits")().load(64, 16)
    order = tuple(reversed(range(10)))
    declared = replace(digits.input, scale=16.0, mean=(8.0,), std=(4.0,), layout="NHWC", order=order)
    network = load_outside(declared, factory="turned_net:build")
    x = torch.from_numpy(digits.evaluation.x)
    expected = open_predictor(network, Target(name="torch")).logits(x)
    context = StepContext(digits.train, digits.calibration, None, 0)
    folded = run_step(steps.get("bn-fold")(), network, context)
    exported = run_step(steps.get("onnx-export")(), folded, context)
    edge = Target(name="edge", runtime="onnxruntime")
    for made, target in ((folded, Target(name="torch")), (exported, edge)):
        again = restore(made.record, to_bytes(made))
        assert again.input == declared
        torch.testing.assert_close(open_predictor(again, target).logits(x), expected, rtol=1e-4, atol=1e-4)
    trained = train(network.module, digits.train, declared, Recipe(epochs=6, learning_rate=0.05), 0)
    found = open_predictor(replace(network, module=trained), Target(name="torch")).logits(x)[0].argmax(-1)
    right = float((found.numpy() == digits.evaluation.y).mean())
    assert right > 0.3  # chance is 0.1; labels in the outputs' order would leave it there
    assert right == pytest.approx(accuracy(trained, digits.evaluation, declared))
