"""Every registered architecture, at a small size, goes through the whole pipeline."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import fx, nn

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.models.base import Recipe, models
from bench.models.training import initialise, train
from bench.networks.network import InputSpec, TorchNetwork
from bench.outside_networks.records import source_record
from bench.runtimes.base import Target
from bench.runtimes.onnx_runtime import OnnxRuntime
from bench.runtimes.torch_runtime import TorchRuntime

INPUT = InputSpec(shape=(1, 8, 8), classes=tuple("012"), mean=(0.5,), std=(0.5,))


@dataclass
class Row:
    parameters: dict
    batch_norms: int
    cut: str  # a layer that pruning makes narrower


TABLE = {
    "convnet": Row({"widths": (8, 8), "strides": (2, 1)}, 2, "conv1"),
    "lenet5": Row({}, 0, "linear1"),
    "lenet5-same": Row({"widths": (4, 6, 8, 12)}, 0, "linear"),
    "mlp": Row({"hidden": (16, 8), "batch_norm": True}, 2, "linear1"),
    "mobilenet-tiny": Row({"stem": 8, "widths": (8, 12), "strides": (2, 1)}, 5, "depthwise2.conv"),
    "resnet8": Row({"width": 4}, 9, "block1.conv2"),
    "vit-tiny": Row({"width": 16, "depth": 1, "heads": 2, "hidden": 16}, 0, "attention1.inner.attend.heads.0.query"),
}


@dataclass(repr=False)
class Made:
    network: TorchNetwork
    context: StepContext
    x: torch.Tensor
    done: dict = field(default_factory=dict)

    def run(self, *chain):
        """The network after the steps, which restores to the same logits; each chain runs once."""
        if not chain:
            return self.network
        if str(chain) not in self.done:
            name, parameters = chain[-1]
            network = run_step(steps.get(name)(**parameters), self.run(*chain[:-1]), self.context)
            assert torch.equal(self.logits(network), self.logits(restore(network.record, to_bytes(network))))
            self.done[str(chain)] = network
        return self.done[str(chain)]

    def logits(self, network):
        runtime = TorchRuntime() if isinstance(network, TorchNetwork) else OnnxRuntime()
        level = Target(name="t", runtime=runtime.name, optimisation="disabled")
        return runtime.open(network, level, "cpu").logits(self.x)[0]


def samples(n):
    """Rows, columns or a chessboard, of either phase, and noise."""
    draws = np.random.default_rng(0)
    y, phase = draws.integers(0, 3, n), draws.integers(0, 2, (n, 1, 1, 1))
    rows, columns = np.indices((8, 8))
    patterns = np.stack([rows, columns, rows + columns])[y][:, None]
    x = 0.5 * ((patterns + phase) % 2) + draws.uniform(0, 0.5, (n, 1, 8, 8))
    return Samples(tuple(map(str, range(n))), x.astype(np.float32), y)


@pytest.fixture(scope="module", params=TABLE)
def made(request):
    model = models.get(request.param)(**TABLE[request.param].parameters)
    data = samples(96)
    module = train(initialise(model, INPUT, 0), data, INPUT, Recipe(epochs=8, batch=16), 0)
    network = TorchNetwork(module, INPUT, source_record(model, INPUT))
    context = StepContext(data, data.take(slice(0, 48)), Recipe(epochs=1), 5)
    return TABLE[request.param], Made(network, context, torch.from_numpy(data.x[:29]))


PRUNE = ("structured-prune", {"ratio": 0.4})
FINETUNE = ("finetune", {"epochs": 1, "batch": 16})
FOLD, QUANTISE, EXPORT = ("bn-fold", {}), ("ptq", {"bits": 8}), ("onnx-export", {})


def test_the_table_is_whole():
    built_in = {name for name in models.names() if models.get(name).__module__.startswith("bench.")}
    assert set(TABLE) == built_in


def test_tracing(made):
    _, found = made
    traced = fx.symbolic_trace(found.network.module)
    assert torch.equal(traced(found.x), found.network.module(found.x))


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("name", TABLE)
def test_shapes_at_the_default_size(name, shape):
    declared = InputSpec(shape=shape, classes=tuple("0123456789"))
    module = initialise(models.get(name)(), declared, 0)
    assert module(torch.zeros(3, *shape)).shape == (3, 10)
    assert not any(isinstance(part, nn.Dropout) for part in module.modules())


def test_learns(made):
    _, found = made
    y = torch.from_numpy(found.context.train.y[:29])
    assert (found.logits(found.network).argmax(dim=1) == y).float().mean() > 0.8


def test_rows_of_a_batch_do_not_meet(made):
    _, found = made
    module = found.network.module
    with torch.no_grad():
        torch.testing.assert_close(module(found.x)[3:4], module(found.x[3:4]), rtol=1e-4, atol=1e-5)


def test_folding(made):
    row, found = made
    if not row.batch_norms:
        with pytest.raises(NotApplicable, match="the network has none"):
            found.run(FOLD)
        return
    folded = found.run(FOLD)
    assert len(folded.record["record"]["folded"]) == row.batch_norms
    assert folded.record["record"]["kept"] == []
    torch.testing.assert_close(found.logits(folded), found.logits(found.network), rtol=1e-4, atol=1e-4)


def test_pruning(made):
    row, found = made
    pruned = found.run(PRUNE)
    before, after = (net.module.get_submodule(row.cut).weight.shape[0] for net in (found.network, pruned))
    assert after < before
    counts = [sum(p.numel() for p in net.module.parameters()) for net in (found.network, pruned)]
    assert counts[1] < 0.75 * counts[0]
    assert found.logits(pruned).shape == (29, 3)


def test_export(made):
    _, found = made
    exported = found.run(EXPORT)
    assert float((found.logits(exported) - found.logits(found.network)).abs().max()) < 1e-4


def test_quantising(made):
    _, found = made
    quantised = found.run(QUANTISE)
    plain = found.logits(found.network)
    assert 0 < float((found.logits(quantised) - plain).abs().max()) < 0.3 * float(plain.std())


def test_everything_in_turn(made):
    _, found = made
    chain = (PRUNE, FINETUNE, QUANTISE)
    quantised, exported = found.run(*chain), found.run(*chain, EXPORT)
    assert exported.quantised
    before = found.logits(quantised)
    assert float((found.logits(exported) - before).abs().median()) < 0.1 * float(before.std())


def test_lenet5_same_has_as_many_parameters_as_the_published_one():
    module = initialise(models.get("lenet5-same")(), InputSpec((1, 28, 28), tuple("0123456789")), 0)
    assert sum(weight.numel() for weight in module.parameters()) == 545_546
