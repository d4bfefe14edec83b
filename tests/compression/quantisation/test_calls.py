"""One layer that is called twice: quantised as two that share their parameters."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.data.base import Samples
from bench.functional.module_cost import parameter_count
from bench.networks.network import InputSpec
from bench.outside_networks.loading import load_outside

DECLARED = InputSpec((1, 8, 8), tuple("0123456789"))


class Twice(nn.Module):
    """The second call reads values of another size than the first."""

    def __init__(self):
        super().__init__()
        self.first, self.again, self.head = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8 * 4, 10)

    def forward(self, x):
        x = self.again(self.first(x).relu()).relu()
        return self.head(self.again(9 * x).relu().flatten(1))


def make():
    torch.manual_seed(0)
    module = Twice().eval()
    with torch.no_grad():
        module.again.bias.add_(0.3)
    return module


@pytest.fixture
def network():
    return load_outside(DECLARED, factory=f"{__name__}:make")


@pytest.fixture
def context():
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 1, 8, 8), dtype=np.float32), rng.integers(0, 10, 64)
    samples = Samples(tuple(map(str, range(64))), x, y)
    return StepContext(samples, samples, None, 0)


STEPS = [("ptq", {}), ("qat", {"epochs": 1}), ("ptq-mixed", {"average_bits": 6})]


@pytest.mark.parametrize(("step", "options"), STEPS)
def test_the_exported_file_answers_what_torch_answers(network, context, step, options):
    """What integers compute, without optimisation; before, both calls had the bias of the last one's scale."""
    made = run_step(steps.get(step)(**options), network, context)
    file = run_step(steps.get("onnx-export")(), made, context)
    x = np.random.default_rng(1).random((40, 1, 8, 8), dtype=np.float32)
    plain = onnxruntime.SessionOptions()
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    found = onnxruntime.InferenceSession(file.model, plain).run(None, {"input": x})[0]
    with torch.no_grad():
        expected, right = (each.module(torch.from_numpy(x)).numpy() for each in (made, network))
    assert np.median(np.abs(found - expected).max(axis=1)) < 1e-4 * np.abs(right).max()
    if step == "ptq":
        assert np.abs(expected - right).max() < 0.05 * np.abs(right).max()


@pytest.mark.parametrize(("step", "options"), STEPS)
def test_the_calls_share_their_parameters_in_the_store_too(network, context, step, options):
    made = run_step(steps.get(step)(**options), network, context)
    back = restore(made.record, to_bytes(made))
    x = torch.from_numpy(context.train.x[:5])
    for each in (made, back):
        assert each.module.again.weight is each.module.again_call_2.weight
        assert each.module.again.bias is each.module.again_call_2.bias
        assert parameter_count(each.module) == parameter_count(network.module)
    with torch.no_grad():
        assert torch.equal(made.module(x), back.module(x))
    layers = made.record["record"]["layers"]
    assert layers["again_call_2"] == {**layers["again"], "weight_of": "again"}
    assert made.record["record"]["storage"]["weights"] == 8 * 9 + 8 * 8 * 9 + 10 * 32
