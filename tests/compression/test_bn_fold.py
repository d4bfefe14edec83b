"""Folding as a step: the null control, with its own exactness in the record."""

import json

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import bench.batch_norm_folding.modules as modules
from bench.batch_norm_folding.folding import FoldingResult
from bench.compression.bn_fold import BnFold
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.errors import NotApplicable, UserError
from bench.models.training import accuracy
from bench.networks.network import OnnxNetwork, TorchNetwork
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from tests.batch_norm_folding.networks import exported, unsettle


def test_the_record_says_what_was_folded_and_how_exactly(network, context, digits):
    made = run_step(BnFold(), network, context)
    record = made.record["record"]
    assert record["folded"] == [
        {"batch_norm": name, "into": [layer], "direction": "backward", "undone_in": []}
        for name, layer in (("bn1", "conv1"), ("bn2", "conv2"))
    ]
    assert record["kept"] == []
    assert record["notes"] == ["BatchNorms: 2 folded backward, 0 forward, 0 kept"]
    assert 0 < record["exact_relative"] < 1e-12
    assert 0 < record["exact_largest"] < record["cast_largest"] < 1e-4
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in made.module.modules())
    x = torch.from_numpy(digits.evaluation.x)
    with torch.no_grad():
        torch.testing.assert_close(made.module(x), network.module(x), rtol=1e-4, atol=1e-4)
    assert accuracy(made.module, digits.evaluation, digits.input) == accuracy(
        network.module, digits.evaluation, digits.input
    )


def mixed():
    """One BatchNorm that goes backward, one forward, one that goes backward and is undone, one that stays."""

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.stays, self.back = nn.BatchNorm2d(1), nn.BatchNorm2d(2)
            self.first, self.second, self.third = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3)
            self.branch, self.forth = nn.BatchNorm2d(4), nn.BatchNorm1d(4, affine=False)
            self.linear = nn.Linear(4, 10, bias=False)

        def forward(self, x):
            y = self.first(self.stays(x))
            z = torch.relu(self.branch(self.second(torch.relu(self.back(y)))))
            return self.linear(self.forth((z + self.third(y).abs()).mean((2, 3))))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return unsettle(Mixed())


BECAME = {
    "stays": None,
    "back": ("backward", ["first"], ["third"]),
    "branch": ("backward", ["second"], []),
    "forth": ("forward", ["linear"], []),
}


def test_every_fate_is_in_the_record(digits, context):
    made = run_step(BnFold(), TorchNetwork(mixed(), digits.input, {"source": "factory"}), context)
    record = made.record["record"]
    found = {entry["batch_norm"]: (entry["direction"], entry["into"], entry["undone_in"]) for entry in record["folded"]}
    assert found == {name: fate for name, fate in BECAME.items() if fate}
    reason = (
        "backward: the network's input would have to change; "
        "forward: its shift would change the zeros that pad first (Conv2d)"
    )
    assert record["kept"] == [{"batch_norm": "stays", "reason": reason}]
    assert record["notes"] == ["BatchNorms: 2 folded backward, 1 forward, 1 kept", f"stays stays: {reason}"]
    assert record["exact_relative"] < 1e-12


def test_restore_needs_no_data_and_refuses_an_older_version(digits, context, monkeypatch):
    source = {"source": "factory", "factory": f"{__name__}:mixed", "input": digits.input.canonical(), "kind": "torch"}
    monkeypatch.setattr("bench.outside_networks.source.call_factory", lambda *given, **named: mixed())
    made = run_step(BnFold(), TorchNetwork(mixed(), digits.input, source), context)
    record = json.loads(json.dumps(made.record))
    again = restore(record, to_bytes(made))
    x = torch.from_numpy(digits.evaluation.x[:20])
    with torch.no_grad():
        assert torch.equal(again.module(x), made.module(x))
    with pytest.raises(UserError, match="made by version 1 of bn-fold, this is version 2"):
        restore(record | {"version": 1}, to_bytes(made))


def test_a_file_is_folded_as_the_network_is(digits, context):
    model = exported(mixed(), digits.input.shape, torch.float32)
    names = {node.output[0]: node.name for node in model.graph.node if node.op_type == "BatchNormalization"}
    network = OnnxNetwork(model.SerializeToString(), digits.input, {"source": "onnx"})
    made = run_step(BnFold(), network, context)
    record = made.record["record"]
    folded = {entry["batch_norm"].split("/")[1]: entry["direction"] for entry in record["folded"]}
    assert folded == {name: fate[0] for name, fate in BECAME.items() if fate}
    assert [entry["batch_norm"].split("/")[1] for entry in record["kept"]] == ["stays"]
    assert len(names) == 4
    assert record["exact_relative"] < 1e-12
    assert record["cast_largest"] < 1e-4
    left = [node.op_type for node in onnx.load_model_from_string(made.model).graph.node]
    assert left.count("BatchNormalization") == 1
    x = torch.from_numpy(digits.evaluation.x[:50])
    target = Target(name="ort", runtime="onnxruntime", optimisation="disabled")
    before, now = (open_predictor(each, target).logits(x).numpy() for each in (network, made))
    np.testing.assert_allclose(now, before, rtol=1e-4, atol=1e-4)


def test_a_file_without_any_is_handed_on_and_a_network_is_refused(files, trained, context):
    made = run_step(BnFold(), files["pool"], context)
    assert made.model == files["pool"].model
    assert made.record["record"]["notes"] == ["the file has no BatchNorm left"]
    folded = run_step(BnFold(), trained["pool"], context)
    with pytest.raises(NotApplicable, match=r"no BatchNorm can be folded \(the network has none\)"):
        run_step(BnFold(), folded, context)


def test_a_fold_that_changes_the_function_is_refused(digits, context, monkeypatch):
    real = modules.fold_batch_norms

    def wrong(module, shape, **options):
        folding = real(module, shape, **options)
        folding.module.linear.weight.data[0, 0] += 1e-6
        return folding

    monkeypatch.setattr(modules, "fold_batch_norms", wrong)
    with pytest.raises(RuntimeError, match="folding changed the logits by"):
        run_step(BnFold(), TorchNetwork(mixed(), digits.input, {"source": "factory"}), context)

    import bench.batch_norm_folding.onnx_files.folding as file_module

    model = exported(mixed(), digits.input.shape, torch.float32)
    plan = file_module.fold_all

    def bent(graph, weights, **options) -> FoldingResult:
        made = plan(graph, weights, **options)
        name = next(name for name in made.changed if "linear" in name)
        made.changed[name].bias[0] += 1e-6
        return made

    monkeypatch.setattr(file_module, "fold_all", bent)
    with pytest.raises(RuntimeError, match="folding changed the logits by"):
        run_step(BnFold(), OnnxNetwork(model.SerializeToString(), digits.input, {"source": "onnx"}), context)
