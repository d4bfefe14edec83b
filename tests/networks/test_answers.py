"""Modules that answer more than one tensor: taken, stored, compressed and exported as their class scores."""

import numpy as np
import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.data.digits import Digits
from bench.errors import UserError
from bench.models.base import Recipe
from bench.networks.network import InputSpec
from bench.outside_networks.loading import load_outside
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

DECLARED = InputSpec(shape=(1, 8, 8), classes=tuple(map(str, range(10))))
UNKNOWN = InputSpec(shape=(1, 8, 8), classes=())
EDGE, CPU = Target(name="edge", runtime="onnxruntime"), Target(name="cpu")

NETWORKS = """
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
import torch
from torch import nn

Pair = namedtuple("Pair", "features scores")

class Answer:
    def __init__(self, logits): self.logits = logits

class Net(nn.Module):
    def __init__(self, how):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        )
        self.head = nn.Conv2d(16, 10, 1)
        self.head.weight.data *= 20
        self.how = how
    def forward(self, x):
        features = self.body(x)
        deep = self.head(features)
        flat = torch.flatten(deep, 1)
        if self.how == "plain": return flat
        if self.how == "tuple": return torch.flatten(features, 1), flat
        if self.how == "list": return [flat, features]
        if self.how == "named": return Pair(features, flat)
        if self.how == "dict": return {"aux": torch.flatten(features, 1), "out": flat}
        if self.how == "auxiliary": return {"aux": flat * 2, "out": flat}
        if self.how == "ordered": return OrderedDict(hidden=flat * 2, logits=flat)
        if self.how == "object": return Answer(flat)
        if self.how == "deep": return deep
        if self.how == "deep tuple": return features, deep
        if self.how == "codes": return (flat > 0), {"a": flat}
        if self.how == "twice": return flat, flat * 2

def make(how): return lambda: Net(how)
plain, as_tuple, as_list, named, as_dict = map(make, ("plain", "tuple", "list", "named", "dict"))
ordered, as_object, deep, deep_tuple, codes, twice, auxiliary = map(
    make, ("ordered", "object", "deep", "deep tuple", "codes", "twice", "auxiliary"))
"""

PARTS = {
    "as_tuple": ["item", 1, False],
    "as_list": ["item", 0, False],
    "named": ["item", 1, False],
    "as_dict": ["item", "out", False],
    "ordered": ["item", "logits", False],
    "auxiliary": ["item", "out", False],
    "as_object": ["attribute", "logits", False],
    "deep": ["whole", "", True],
    "deep_tuple": ["item", 1, True],
    "twice": ["item", 0, False],
}


@pytest.fixture(scope="module")
def digits():
    return Digits().load(60, 64)


@pytest.fixture(autouse=True)
def factories(tmp_path, monkeypatch):
    (tmp_path / "several_answers.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(str(tmp_path))


def load(name, declared=DECLARED):
    return load_outside(declared, factory=f"several_answers:{name}")


@pytest.mark.parametrize("name", PARTS)
def test_the_part_that_holds_the_class_scores_is_taken(digits, name):
    x = torch.from_numpy(digits.evaluation.x)
    right = open_predictor(load("plain"), CPU).logits(x)
    network = load(name)
    assert network.record["answer"] == PARTS[name]
    torch.testing.assert_close(open_predictor(network, CPU).logits(x), right, rtol=1e-5, atol=1e-5)
    again = restore(network.record, to_bytes(network))
    torch.testing.assert_close(open_predictor(again, CPU).logits(x), right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["as_tuple", "as_dict", "as_object", "deep"])
@pytest.mark.parametrize(
    "chain", [["onnx-export"], ["bn-fold", "ptq", "onnx-export"], ["structured-prune"], ["finetune"]], ids="+".join
)
def test_steps_take_it(digits, name, chain):
    """The same as of a network that answers its class scores alone."""
    parameters = {"structured-prune": {"ratio": 0.25}, "finetune": {"epochs": 1}}
    context = StepContext(digits.train, digits.calibration, Recipe(epochs=1, learning_rate=1e-3), 0)
    x = torch.from_numpy(digits.evaluation.x)
    found = []
    for factory in ("plain", name):
        network = load(factory)
        for step in chain:
            network = run_step(steps.get(step)(**parameters.get(step, {})), network, context)
        network = restore(network.record, to_bytes(network))
        found.append(open_predictor(network, EDGE if network.kind.startswith("onnx") else CPU).logits(x)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-3)


def test_a_declared_part(digits):
    x = torch.from_numpy(digits.evaluation.x)
    right = open_predictor(load("plain"), CPU).logits(x)
    for name, part in (("twice", "1"), ("ordered", "hidden")):
        declared = InputSpec(shape=(1, 8, 8), classes=DECLARED.classes, output_name=part)
        torch.testing.assert_close(open_predictor(load(name, declared), CPU).logits(x), 2 * right)
    with pytest.raises(UserError, match="its answer has no part 'ouy'; did you mean 'out'"):
        load("as_dict", InputSpec(shape=(1, 8, 8), classes=DECLARED.classes, output_name="ouy"))


def test_what_is_not_known_is_not_guessed():
    said = r"several parts may be class scores: \[0\] shape \(2, 16\), \[1\] shape \(2, 10\); say which: "
    with pytest.raises(UserError, match=said):
        load("as_tuple", UNKNOWN)
    assert len(load("as_dict", UNKNOWN).input.classes) == 10  # out, and logits, are names that say so
    assert len(load("ordered", UNKNOWN).input.classes) == 10  # logits is a name that says so
    assert len(load("deep", UNKNOWN).input.classes) == 10
    with pytest.raises(
        UserError, match=r"two images give \[0\] shape \(2, 10\) bool, \[1\] dict; put out \(batch, 10\)"
    ):
        load("codes")


def test_a_checkpoint_is_the_factorys_own(tmp_path):
    from safetensors.torch import save_file
    from several_answers import Net

    state = Net("tuple").state_dict()
    state["head.bias"] = torch.arange(10.0)
    save_file(state, tmp_path / "net.safetensors")
    network = load_outside(DECLARED, factory="several_answers:as_tuple", checkpoint=tmp_path / "net.safetensors")
    np.testing.assert_array_equal(network.module.network.head.bias.detach().numpy(), np.arange(10))
