"""Networks that are TorchScript: measured as any other, compressed as files, refused by what takes layers apart."""

import copy

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.data.base import Samples
from bench.engine.layer_culprits import why_diverged
from bench.errors import UserError
from bench.functional.module_cost import multiply_accumulates, parameter_count
from bench.networks.network import InputSpec
from bench.outside_networks.loading import load_outside
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
DECLARED = InputSpec((1, 8, 8), tuple("0123456789"))
MACS = 8 * 64 * 9 + 8 * 64 * 8 * 9 + 32 * 10
PARAMETERS = 8 * 9 + 8 + 2 * 8 + 8 * 8 * 9 + 8 + 32 * 10 + 10

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10),
        )

    def forward(self, x):
        if x.sum() > 1e9:  # which only a compiler keeps
            return self.body(x) * 2
        return self.body(x)


class Two(Net):
    def forward(self, x):
        return x, self.body(x)


class Holder(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def plain(kind=Net):
    torch.manual_seed(0)
    module = kind().eval()
    with torch.no_grad():
        module.body[7].weight.mul_(9)
    return module


def moved():
    module = plain()
    with torch.no_grad():
        module.body[3].weight.add_(0.1 * torch.randn_like(module.body[3].weight))
    return module


def scripted(): return torch.jit.script(plain())
def moved_script(): return torch.jit.trace(moved(), torch.zeros(2, 1, 8, 8))
def traced(): return torch.jit.trace(plain(), torch.zeros(2, 1, 8, 8))
def loaded(): return torch.jit.load("net.pt")
def within(): return Holder(scripted())
def traced_within(): return Holder(traced())
def several(): return torch.jit.script(plain(Two))
def frozen(): return torch.jit.freeze(scripted())
def frozen_within(): return nn.Sequential(frozen(), nn.Linear(10, 10))
"""
KINDS = ("scripted", "traced", "loaded", "within", "several")


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """The factories' module, in the current folder."""
    import importlib
    import sys

    (tmp_path / "script_nets.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "script_nets", raising=False)
    module = importlib.import_module("script_nets")
    module.scripted().save("net.pt")
    return module


def taken_in(name):
    return load_outside(DECLARED, factory=f"script_nets:{name}")


def images(n=64, seed=0):
    return np.random.default_rng(seed).random((n, 1, 8, 8), dtype=np.float32)


def context(n=64):
    labels = np.random.default_rng(1).integers(0, 10, n)
    samples = Samples(tuple(map(str, range(n))), images(n), labels)
    return StepContext(samples, samples, None, 0)


@pytest.mark.parametrize("name", KINDS)
def test_it_is_measured_as_the_module_it_was_made_of(nets, name):
    network = taken_in(name)
    x = torch.from_numpy(images())
    plain = nets.plain()
    with torch.no_grad():
        expected = plain(x)
        exact = copy.deepcopy(plain).double()(x.double())
    predictor, floor = (open_predictor(network, Target(name="torch"), "cpu", floor=at) for at in (False, True))
    assert torch.allclose(predictor.logits(x)[0], expected, rtol=0, atol=1e-6)
    assert floor.dtype == torch.float64
    assert torch.allclose(floor.logits(x)[0], exact, rtol=0, atol=1e-12)
    given, wanted = x.clone().requires_grad_(), x.clone().requires_grad_()
    predictor.differentiable()(given)[:, 3].sum().backward()
    plain(wanted)[:, 3].sum().backward()
    assert torch.allclose(given.grad, wanted.grad, atol=1e-6)
    assert wanted.grad.abs().max() > 1e-3
    assert (multiply_accumulates(network.module, (1, 8, 8)).macs, parameter_count(network.module)) == (MACS, PARAMETERS)


@pytest.mark.parametrize("name", KINDS)
def test_the_store_gives_back_its_weights_and_noise_can_be_added(nets, name):
    network = taken_in(name)
    noisy = run_step(steps.get("weight-noise")(sigma=0.5), network, context())
    back = restore(noisy.record, to_bytes(noisy))
    x = torch.from_numpy(images())
    with torch.no_grad():
        assert torch.equal(back.module(x), noisy.module(x))
        assert (noisy.module(x) - network.module(x)).abs().max() > 0.1
        assert torch.allclose(network.module(x), nets.plain()(x), atol=1e-6)  # which the step left alone


@pytest.mark.parametrize("name", KINDS)
def test_the_exported_file_answers_the_same_and_takes_the_steps_of_files(nets, name):
    network = taken_in(name)
    file = run_step(steps.get("onnx-export")(), network, context())
    x = images(5)
    found = onnxruntime.InferenceSession(file.model).run(None, {"input": x})[0]
    with torch.no_grad():
        assert np.abs(found - nets.plain()(torch.from_numpy(x)).numpy()).max() < 1e-5


def test_the_remedy_that_is_named_works(nets):
    network = taken_in("traced")
    file = run_step(steps.get("onnx-export")(), network, context())
    assert run_step(steps.get("ort-static-quant")(), file, context()).quantised


@pytest.mark.parametrize(
    ("step", "options"),
    [
        ("ptq", {}), ("qat", {}), ("ptq-mixed", {"average_bits": 6}), ("bn-fold", {}), ("bn-reset", {}),
        ("structured-prune", {"ratio": 0.5}), ("finetune", {"epochs": 1}),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("name", "place"), [("scripted", "the network"), ("within", "layer 'inner'")])
def test_steps_that_take_layers_apart_say_so_and_what_to_do(nets, step, options, name, place):
    with pytest.raises(UserError) as caught:
        run_step(steps.get(step)(**options), taken_in(name), context())
    assert str(caught.value).startswith(f"{step}: {place} is TorchScript, which {step} cannot take apart or train; ")
    assert "put onnx-export first" in str(caught.value)


def test_the_dynamo_exporter_is_refused(nets):
    with pytest.raises(UserError, match='the dynamo exporter takes no TorchScript; use "torchscript"'):
        run_step(steps.get("onnx-export")(exporter="dynamo"), taken_in("within"), context())


@pytest.mark.parametrize(("name", "place"), [("frozen", "the network"), ("frozen_within", "layer '0'")])
def test_frozen_weights_are_refused(nets, name, place):
    with pytest.raises(UserError, match=rf"{place} is TorchScript without parameters: .*; return the module before"):
        taken_in(name)


def test_a_frozen_preparation_of_images_is_no_frozen_network(nets, monkeypatch):
    class Shift(nn.Module):
        def forward(self, x):
            return (x - torch.full((1, 1, 1, 1), 0.5)) / torch.tensor([0.25])

    shift = torch.jit.freeze(torch.jit.script(Shift().eval()))
    monkeypatch.setattr(nets, "within", lambda: nn.Sequential(shift, nets.scripted()))
    assert multiply_accumulates(taken_in("within").module, (1, 8, 8)).macs == MACS


@pytest.mark.parametrize(("reference", "variant"), [("traced", "moved_script"), ("traced_within", "moved")])
def test_why_diverged_names_the_layer_that_moved(nets, tmp_path, reference, variant):
    """As for plain modules: the moved convolution stands first with all of the divergence."""
    np.savez(tmp_path / "d.npz", x=images(), y=np.zeros(64, np.int64))
    found = why_diverged(f"script_nets:{reference}", f"script_nets:{variant}", tmp_path / "d.npz")
    plain = why_diverged("script_nets:plain", "script_nets:moved", tmp_path / "d.npz")
    first = {row.name: row for row in found.layers}[found.ranking[0]]
    right = {row.name: row for row in plain.layers}[plain.ranking[0]]
    assert plain.divergence.js.estimate > 1e-3
    assert first.restored.js.removed == pytest.approx(plain.divergence.js.estimate, rel=1e-3)
    assert first.restored.js.removed == pytest.approx(right.restored.js.removed, rel=1e-3)


def test_why_diverged_refuses_control_flow_in_words(nets, tmp_path):
    np.savez(tmp_path / "d.npz", x=images(), y=np.zeros(64, np.int64))
    with pytest.raises(UserError, match=r"reference: .*control flow cannot be taken apart into layers"):
        why_diverged("script_nets:within", "script_nets:moved", tmp_path / "d.npz")
