"""Sources are built again from their records."""

import json

import pytest
import torch

from bench.errors import UserError
from bench.models.convnet import Convnet
from bench.models.training import initialise
from bench.networks.network import InputSpec
from bench.outside_networks.records import factory_record, source_record
from bench.outside_networks.source import build_source

DECLARED = InputSpec(shape=(1, 8, 8), classes=tuple("0123456789"), mean=(0.5,))


@pytest.fixture
def factories(tmp_path, monkeypatch):
    (tmp_path / "factories_for_sources.py").write_text(
        "import torch\n"
        "def linear(): return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).train()\n"
        "def text(): return 'network'\n"
        "def fails(): raise RuntimeError('no\\nsuch weights')\n"
        "number = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "factories_for_sources"


def test_a_model_is_built_as_it_was_initialised():
    model = Convnet(widths=(4, 6), strides=(1, 2), head="flatten")
    record = source_record(model, DECLARED)
    assert json.loads(json.dumps(record)) == record
    built, wanted = build_source(record, 7), initialise(model, DECLARED, 7)
    assert str(built) == str(wanted)
    assert all(torch.equal(value, wanted.state_dict()[name]) for name, value in built.state_dict().items())
    assert InputSpec.from_canonical(record["input"]) == DECLARED


def test_a_factory_is_called_again(factories):
    record = factory_record(f"{factories}:linear", DECLARED)
    state = torch.get_rng_state()
    one, two = build_source(record, 1), build_source(record, 1)
    assert torch.equal(one[1].weight, two[1].weight)
    assert not torch.equal(one[1].weight, build_source(record, 2)[1].weight)
    assert torch.equal(torch.get_rng_state(), state)
    assert not one.training


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("text", "returned str; return a torch.nn.Module"),
        ("number", "is not callable"),
        ("fails", "failed: RuntimeError: no such weights"),
        ("linaer", "has no 'linaer'; did you mean 'linear'"),
    ],
)
def test_bad_factories(factories, name, said):
    with pytest.raises(UserError, match=said) as error:
        build_source(factory_record(f"{factories}:{name}", DECLARED), 0)
    assert "\n" not in str(error.value)


def test_a_file_has_no_structure():
    with pytest.raises(UserError, match="no structure to build"):
        build_source({"source": "onnx"}, 0)
