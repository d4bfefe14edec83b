"""Every uncertainty method on digits: members, seeds, saving and loading, every step, and ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.mlp import Mlp
from bench.models.resnet8 import ResNet8
from bench.networks.network import TorchNetwork
from bench.outside_networks.records import source_record
from bench.runtimes.opening import open_predictor
from bench.uncertainty.base import methods
from tests.zoo import TARGETS

ROWS = {  # one a method: an architecture that carries it, its parameters, the least accuracy of a member
    "deep-ensemble": (Convnet(widths=(8, 16), strides=(2, 2)), {"members": 3}, 0.8),
    "bagging": (Mlp(hidden=(24,)), {"members": 3}, 0.7),
    "mc-dropout": (Convnet(widths=(8, 16), strides=(2, 2)), {"members": 3, "rate": 0.2}, 0.5),
    "mimo": (Convnet(widths=(12, 24), strides=(2, 2)), {"members": 2, "repeat": 2}, 0.5),
    "stochastic-depth": (ResNet8(width=4), {"members": 4, "survival": 0.5}, 0.4),
    "packed-ensemble": (Convnet(widths=(12, 24), strides=(2, 2)), {"members": 4, "width": 2}, 0.5),
    "self-ensemble": (Convnet(widths=(12, 24), strides=(2, 2)), {"members": 3, "overlap": 0.25}, 0.5),
    "masksembles": (Convnet(widths=(12, 24), strides=(2, 2)), {"members": 4, "scale": 1.5}, 0.6),
    "snapshot-ensemble": (Mlp(hidden=(24,)), {"members": 2}, 0.6),
    "swag": (Convnet(widths=(8, 16), strides=(2, 2)), {"members": 3, "epochs": 3, "rank": 2}, 0.7),
    "last-layer-laplace": (Convnet(widths=(8, 16), strides=(2, 2)), {"members": 3}, 0.7),
    "prune-and-tune": (Mlp(hidden=(24,)), {"members": 2, "epochs": 2}, 0.6),
    "subspace": (Convnet(widths=(8, 16), strides=(2, 2)), {"members": 3}, 0.5),
    "espro": (Mlp(hidden=(24,), batch_norm=True), {"members": 3, "vertices": 3, "epochs": 2, "draws": 2}, 0.7),
    "curve": (Mlp(hidden=(24,)), {"members": 3, "epochs": 2}, 0.5),
}
RECIPE = Recipe(epochs=4, batch=32)


@pytest.fixture(scope="module")
def trained(digits):
    known = {}

    def get(name, seed=0):
        if (name, seed) not in known:
            model, given, _ = ROWS[name]
            method = methods.get(name)(**given)
            method.check(model, digits.input, RECIPE)
            module = method.train(model, digits.train, digits.input, RECIPE, seed, lambda line: None)
            declared = method.answers(digits.input)
            known[name, seed] = TorchNetwork(module, declared, source_record(model, declared, method))
        return known[name, seed]

    return get


def logits(network, x, threads=1):
    target = TARGETS["onnx" if network.kind.startswith("onnx") else "torch"]
    return open_predictor(network, replace(target, threads=threads)).logits(torch.from_numpy(x))


def test_every_method_has_its_row() -> None:
    assert sorted(ROWS) == [name for name in methods.names() if methods.get(name).__module__.startswith("bench.")]


@pytest.mark.parametrize("name", ROWS)
class TestMethod:
    def test_members_are_right_and_differ(self, trained, samples, name) -> None:
        found = logits(trained(name), samples.x)
        assert len(found) == ROWS[name][1]["members"]
        accuracies = [(row.argmax(dim=1).numpy() == samples.y).mean() for row in found]
        assert min(accuracies) > ROWS[name][2]
        differ = [not torch.equal(found[0], row) for row in found[1:]]
        assert any(differ) if name == "stochastic-depth" else all(differ)  # of few gates two may be drawn alike

    def test_a_member_is_one_function_whatever_batch_and_threads(self, trained, samples, name) -> None:
        network = trained(name)
        found = logits(network, samples.x)
        one = torch.cat([logits(network, samples.x[[row]]) for row in range(10)], dim=1)
        torch.testing.assert_close(one, found[:, :10], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(logits(network, samples.x, threads=2), found, rtol=1e-4, atol=1e-4)

    def test_a_seed_trains_one_network_and_another_seed_another(self, digits, trained, samples, name) -> None:
        model, given, _ = ROWS[name]
        state = torch.random.get_rng_state()
        again = methods.get(name)(**given).train(model, digits.train, digits.input, RECIPE, 0, lambda line: None)
        assert torch.equal(torch.random.get_rng_state(), state)
        first = trained(name).module.state_dict()
        assert all(torch.equal(first[key], tensor) for key, tensor in again.state_dict().items())
        assert not torch.equal(logits(trained(name, 1), samples.x), logits(trained(name), samples.x))

    def test_it_comes_back_from_its_record_and_weights(self, trained, samples, name) -> None:
        network = trained(name)
        back = restore(network.record, to_bytes(network))
        assert back.input == network.input
        assert torch.equal(logits(back, samples.x), logits(network, samples.x))

    @pytest.mark.parametrize("chain", ["fold", "prune", "tuned", "alone", "ptq8", "onnx", "onnx8"])
    def test_members_survive_steps(self, digits, trained, samples, name, chain) -> None:
        if chain == "fold" and not any("bn" in key for key in trained(name).module.state_dict()):
            pytest.skip("it has no BatchNorm")
        if chain == "alone" and name in ("mimo", "packed-ensemble", "last-layer-laplace"):
            pytest.skip("its members share layers")
        chains = {
            "fold": [("bn-fold", {})],
            "prune": [("structured-prune", {"ratio": 0.25})],
            "tuned": [("structured-prune", {"ratio": 0.25}), ("finetune", {"epochs": 2})],
            "alone": [("one-member", {"member": 1})],
            "ptq8": [("ptq", {"bits": 8})],
            "onnx": [("onnx-export", {})],
            "onnx8": [("onnx-export", {}), ("ort-static-quant", {})],
        }
        network, context = trained(name), StepContext(digits.train, digits.calibration, RECIPE, 0)
        for step, given in chains[chain]:
            network = run_step(steps.get(step)(**given), network, context)
        if chain in ("tuned", "alone"):
            back = restore(network.record, to_bytes(network))
            assert torch.equal(logits(back, samples.x), logits(network, samples.x))
        if chain == "alone":
            assert network.input.members == 1
            found, own = logits(network, samples.x)[0], logits(trained(name), samples.x)[1]
            torch.testing.assert_close(found, own, rtol=1e-4, atol=1e-4 * float(own.std()))
            return
        before, after = logits(trained(name), samples.x), logits(network, samples.x)
        if chain in ("fold", "onnx"):
            torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3 * float(before.std()))
        elif chain in ("prune", "tuned"):
            assert after.shape == before.shape
            accuracies = [(row.argmax(dim=1).numpy() == samples.y).mean() for row in after]
            assert min(accuracies) > (0.4 if chain == "tuned" else 0.1)
        else:
            same = (after.argmax(dim=-1) == before.argmax(dim=-1)).float().mean(dim=1)
            assert float(same.min()) > 0.85
            apart = (after - before).std() / before.std()
            assert 0 < float(apart) < 0.3
