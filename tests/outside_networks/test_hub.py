"""Names of other packages, with packages of those names that are made here."""

import hashlib
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from bench.compression.restoring import restore, to_bytes
from bench.errors import MissingExtra, UserError
from bench.networks.network import InputSpec
from bench.outside_networks.hub import PACKAGES, build_named, hub_package
from bench.outside_networks.loading import load_outside
from bench.suite.load import load_suite
from bench.suite.planned_networks import Splits, plan_outside
from tests.suite.documents import problems, text, write

DECLARED = InputSpec(shape=(1, 2, 2), classes=("a", "b", "c"))
CALLS = []


def net(fill=None):
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Dropout())
    if fill is not None:
        nn.init.constant_(module[1].weight, fill)
    return module


@pytest.fixture
def fake(monkeypatch):
    """Put a package of that name into place."""

    def put(name, **content):
        package = ModuleType(name)
        for key, value in content.items():
            setattr(package, key, value)
        monkeypatch.setitem(sys.modules, name, package)

    CALLS.clear()
    return put


@pytest.fixture
def timm(fake):
    def create_model(name, pretrained):
        CALLS.append((name, pretrained))
        if name == "none":
            raise RuntimeError("Unknown model (none)\nmore")
        return net(2.0 if pretrained else None)

    fake("timm", create_model=create_model)


@pytest.mark.parametrize("hub", PACKAGES)
def test_an_absent_package(monkeypatch, hub):
    monkeypatch.setitem(sys.modules, PACKAGES[hub], None)
    with pytest.raises(MissingExtra, match=rf"'{PACKAGES[hub]}' is not installed; pip install .*\[{hub}\]"):
        build_named(f"{hub}:resnet18", False, "reference.factory")


def test_names():
    assert hub_package("timm:vit_base_patch16_224.augreg_in21k") == "timm"
    assert hub_package("huggingface:google/vit-base") == "transformers"
    assert hub_package("mynets.timm:build") is None
    assert hub_package("timm:../x") is None


def test_timm(timm):
    network = load_outside(DECLARED, factory="timm:tiny.x")
    assert CALLS == [("tiny.x", True)]
    assert not network.module.training
    assert network.module[1].weight.eq(2).all()
    blob = to_bytes(network)
    again = restore(network.record, blob)  # the weights are here: nothing is fetched
    assert CALLS[-1] == ("tiny.x", False)
    assert torch.equal(again.module[1].weight, network.module[1].weight)
    with pytest.raises(UserError, match=r"^reference\.factory: timm cannot give 'none': .*Unknown model \(none\) more"):
        load_outside(DECLARED, factory="timm:none", where="reference")


def test_own_weights_instead_of_published_ones(timm, tmp_path):
    from safetensors.torch import save_file

    save_file({"1.weight": torch.ones(3, 4), "1.bias": torch.zeros(3)}, tmp_path / "w.safetensors")
    network = load_outside(DECLARED, factory="timm:tiny", checkpoint=tmp_path / "w.safetensors")
    assert CALLS == [("tiny", False)]
    assert network.module[1].weight.eq(1).all()


def test_torchvision(fake, tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(net(3.0).state_dict(), file)
    named = tmp_path / f"tiny-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.pth"
    file.rename(named)
    weights = SimpleNamespace(DEFAULT=SimpleNamespace(url=named.as_uri()))

    def get_model(name, weights):
        CALLS.append((name, weights))
        return net()

    fake("torchvision", models=SimpleNamespace(get_model=get_model, get_model_weights=lambda name: weights))
    assert build_named("torchvision:tiny", True, "f")[1].weight.eq(3).all()
    assert not build_named("torchvision:tiny", False, "f")[1].weight.eq(3).any()
    assert CALLS == [("tiny", None)] * 2
    with named.open("ab") as handle:
        handle.write(b"x")
    with pytest.raises(UserError, match="torchvision cannot give 'tiny': RuntimeError: invalid hash value"):
        build_named("torchvision:tiny", True, "f")


def test_hugging_face(fake):
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, pixel_values):
            return SimpleNamespace(logits=self.net(pixel_values), hidden_states=None)

    class Auto:
        @staticmethod
        def from_pretrained(name, use_safetensors):
            CALLS.append((name, use_safetensors))
            return Classifier()

        @staticmethod
        def from_config(config):
            CALLS.append(config)
            return Classifier()

    config = SimpleNamespace(from_pretrained=lambda name: f"config of {name}")
    fake("transformers", AutoModelForImageClassification=Auto, AutoConfig=config)
    network = load_outside(DECLARED, factory="huggingface:org/tiny-net")
    assert CALLS == [("org/tiny-net", True)]
    assert network.module(torch.zeros(2, 1, 2, 2)).shape == (2, 3)
    again = restore(network.record, to_bytes(network))
    assert CALLS[-1] == "config of org/tiny-net"
    assert torch.equal(again.module.network.net[1].weight, network.module.network.net[1].weight)


@pytest.mark.parametrize("name", ["timm:vit_tiny.a-b", "torchvision:resnet18", "huggingface:org/net-1.0"])
def test_in_a_suite(tmp_path, name):
    reference = f'[reference]\nfactory = "{name}"'
    suite = load_suite(write(tmp_path, text(reference=reference, yardstick="")))
    assert suite.reference.outside.factory == name
    node = plan_outside(suite.reference.outside, Splits("train", "calibration", DECLARED.canonical()))
    assert list(node.parts["code"].values()) == ["absent"]  # the version of the package, where it is installed
    (problem,) = problems(write(tmp_path, text(reference='[reference]\nfactory = "tim:a-b"', yardstick="")))
    assert problem.where == "reference.factory"
