"""Networks of nn.MultiheadAttention and nn.TransformerEncoderLayer, and layers that share one Parameter."""

import importlib

import pytest
import torch
from torch.backends import mha

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.data.digits import Digits
from bench.engine.layer_culprits.files import as_onnx
from bench.errors import NotApplicable
from bench.functional.module_cost import parameter_count
from bench.models.base import Recipe
from bench.networks.network import InputSpec
from bench.outside_networks.loading import load_outside
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

DECLARED = InputSpec(shape=(1, 8, 8), classes=tuple(map(str, range(10))))
EDGE, CPU = Target(name="edge", runtime="onnxruntime", integer_sums="exact"), Target(name="cpu")

NETWORKS = '''
import torch
from torch import nn

class Attention(nn.Module):
    """A vision transformer of patches of 2 x 2 and two blocks."""
    def __init__(self, encoder):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.encoder = nn.Conv2d(1, 16, 2, 2), encoder
        self.position = nn.Parameter(torch.randn(1, 16, 16) * 0.1)
        if encoder:
            block = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
            self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        else:
            self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(2))
            self.attend = nn.ModuleList(nn.MultiheadAttention(16, 4, batch_first=True) for _ in range(2))
            self.mlps = nn.ModuleList(
                nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)) for _ in range(2))
        self.head = nn.Linear(16, 10)
    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        if self.encoder:
            x = self.blocks(x)
        else:
            for norm, attend, mlp in zip(self.norms, self.attend, self.mlps):
                y = norm(x)
                x = x + attend(y, y, y, need_weights=False)[0]
                x = x + mlp(x)
        return self.head(x.mean(1)) * 10

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        self.b.weight = self.a.weight
    def forward(self, x):
        return self.c(torch.relu(self.b(torch.relu(self.a(x.flatten(1))))))

def attention(): return Attention(False)
def encoder(): return Attention(True)
def tied(): return Tied()
'''


@pytest.fixture(autouse=True)
def factories(tmp_path, monkeypatch):
    (tmp_path / "attending.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return importlib.import_module("attending")


@pytest.fixture(scope="module")
def digits():
    return Digits().load(100, 64)


def through(network, chain, digits):
    given = {"qat": {"epochs": 1}, "ptq-mixed": {"average_bits": 7}, "structured-prune": {"ratio": 0.2}}
    context = StepContext(digits.train, digits.calibration, Recipe(epochs=1, learning_rate=1e-6), 0)
    for step in chain:
        network = run_step(steps.get(step)(**given.get(step, {})), network, context)
    return restore(network.record, to_bytes(network))


def logits(network, x):
    return open_predictor(network, EDGE if network.kind.startswith("onnx") else CPU).logits(x)[0]


@pytest.mark.parametrize("name", ["attention", "encoder", "tied"])
@pytest.mark.parametrize("chain", [[], ["ptq"], ["ptq-mixed"], ["qat"]], ids=lambda chain: "+".join(chain) or "none")
def test_the_exported_file_computes_what_torch_does(digits, name, chain):
    network = load_outside(DECLARED, factory=f"attending:{name}")
    x = torch.from_numpy(digits.evaluation.x)
    if (name, chain) == ("tied", ["ptq-mixed"]):
        with pytest.raises(NotApplicable, match="a and b share a parameter, and bits are chosen for each layer"):
            through(network, chain, digits)
        return
    made = through(network, chain, digits)
    right = logits(made, x)
    spread = float((right - right.mean(1, keepdim=True)).std())
    found = logits(through(made, ["onnx-export"], digits), x)
    assert float((found - right).abs().median()) < (0.01 if chain else 1e-5) * spread
    if chain == ["ptq"]:  # eight bits are near the network itself
        assert float((right - logits(network, x)).abs().median()) < 0.05 * spread


def test_the_fast_path_is_put_back(digits):
    assert mha.get_fastpath_enabled()
    through(load_outside(DECLARED, factory="attending:attention"), ["ptq", "onnx-export"], digits)
    assert mha.get_fastpath_enabled()
    assert as_onnx(load_outside(DECLARED, factory="attending:encoder"), "VARIANT").model
    assert mha.get_fastpath_enabled()


def test_what_torch_holds_inside_a_layer_stays_float_and_is_told(digits):
    made = through(load_outside(DECLARED, factory="attending:encoder"), ["ptq"], digits)
    assert set(made.record["record"]["layers"]) == {"patch", "head"}
    assert any("linear1" in name for name in made.record["record"]["left_float"])


def test_shared_weights_stay_shared_and_are_counted_once(factories, digits):
    network = load_outside(DECLARED, factory="attending:tied")
    made = through(network, ["ptq"], digits)
    assert made.module.a.weight is made.module.b.weight
    assert parameter_count(made.module) == parameter_count(network.module) == 64 * 64 + 2 * 64 + 650
    exported = through(made, ["onnx-export"], digits)
    assert exported.record["record"]["weight_bytes"]["int8"] < 64 * 64 + 1000  # once, with zero points
    trained = through(network, ["finetune"], digits)
    assert trained.module.a.weight is trained.module.b.weight
