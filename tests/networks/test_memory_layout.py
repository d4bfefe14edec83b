"""Which networks keep to the contiguous layout; that they do survives only in a process of its own."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from bench.models.base import models
from bench.models.training import fast_layout, initialise
from bench.networks.memory_layout import contiguous, keep_contiguous, needs_contiguous
from bench.networks.network import InputSpec, TorchNetwork
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

LAST = torch.channels_last


def last(x):
    """With the strides of channels last, a 1x1 kernel too."""
    return torch.empty_like(x, memory_format=LAST).copy_(x)


CONVOLUTIONS = {
    "one channel": (nn.Conv2d(1, 8, 1, stride=2), True),
    "seven channels": (nn.Conv2d(7, 8, 1, stride=2), True),
    "eight channels": (nn.Conv2d(8, 8, 1, stride=2), False),
    "eight channels in four groups": (nn.Conv2d(8, 8, 1, stride=2, groups=4), False),
    "another stride": (nn.Conv2d(4, 8, 1, stride=3), True),
    "stride down": (nn.Conv2d(4, 8, 1, stride=(2, 1)), True),
    "stride across": (nn.Conv2d(4, 8, 1, stride=(1, 2)), True),
    "no stride": (nn.Conv2d(4, 8, 1), False),
    "padded": (nn.Conv2d(4, 8, 1, stride=2, padding=1), True),
    "3x3": (nn.Conv2d(4, 8, 3, stride=2), False),
    "1x3": (nn.Conv2d(4, 8, (1, 3), stride=2), False),
    "one axis": (nn.Conv1d(4, 8, 1, stride=2), False),
    "transposed": (nn.ConvTranspose2d(4, 8, 1, stride=2), False),
    "no convolution": (nn.Linear(4, 8), False),
}


@pytest.mark.parametrize(("part", "wanted"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_which_networks_need_it(part, wanted):
    assert needs_contiguous(part) is wanted
    assert needs_contiguous(nn.Sequential(nn.ReLU(), nn.Sequential(part))) is wanted


MODELS = [("resnet8", {"width": 4}, True), ("resnet8", {"width": 7}, True), ("resnet8", {"width": 8}, False)]


@pytest.mark.parametrize(("name", "options", "wanted"), MODELS)
def test_the_layout_of_training(name, options, wanted):
    declared = InputSpec((1, 8, 8), ("a", "b"))
    module = initialise(models.get(name)(**options), declared, 0)
    assert needs_contiguous(module) is wanted
    assert fast_layout(module, torch.zeros(2, 1, 8, 8)) == (torch.contiguous_format if wanted else LAST)


class Watched(nn.Conv2d):
    """Notes the strides of what it is given."""

    def forward(self, input):
        self.seen = input.stride()
        return super().forward(input)


def network(channels, *, named=False):
    """Turns to channels last by itself before the convolution in question."""

    class Turning(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, channels, 3, padding=1)
            self.watched = Watched(channels, 8, 1, stride=2)

        def forward(self, x):
            x = last(self.first(x))
            return self.watched(input=x) if named else self.watched(x)

    module = Turning()
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = last(parameter.data)
    return module


@pytest.mark.parametrize("channels", range(1, 8))
@pytest.mark.parametrize("named", [False, True])
def test_weights_and_activations_are_put_in_order(channels, named):
    module = network(channels, named=named)
    x = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    wanted = copy.deepcopy(module)(x)
    assert module(x).is_contiguous(memory_format=LAST)
    with keep_contiguous(module):
        torch.testing.assert_close(module(x), wanted)
        assert module.watched.seen == (channels * 36, 36, 6, 1)
        assert module.first.weight.stride() == (9, 9, 3, 1)
        assert module.watched.weight.stride() == (channels, 1, 1, 1)
        assert copy.deepcopy(module).watched._forward_pre_hooks
    module(x)
    assert module.watched.seen == (channels * 36, 1, channels * 6, channels)
    assert not module.watched._forward_pre_hooks
    keep_contiguous(module)
    module(x)
    assert module.watched.seen == (channels * 36, 36, 6, 1)


def test_another_network_is_left_alone():
    module = network(8)
    before = [(parameter.data_ptr(), parameter.stride()) for parameter in module.parameters()]
    with keep_contiguous(module):
        assert not any(part._forward_pre_hooks for part in module.modules())
        module(torch.zeros(2, 1, 6, 6))
    assert module.watched.seen == (8 * 36, 1, 8 * 6, 8)
    assert [(parameter.data_ptr(), parameter.stride()) for parameter in module.parameters()] == before


@pytest.mark.parametrize(("channels", "strides"), [(4, (144, 36, 6, 1)), (8, (288, 1, 48, 8))])
def test_what_is_attacked_and_explained(channels, strides):
    module = nn.Sequential(network(channels), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    declared = InputSpec((1, 6, 6), tuple("abcdefgh"))
    predictor = open_predictor(TorchNetwork(module, declared), Target(name="torch"))
    view = predictor.differentiable()
    view(torch.zeros(2, 1, 6, 6))
    assert view.network[0].watched.seen[1:] == strides[1:]
    assert module[0].first.weight.is_contiguous(memory_format=LAST)  # the network itself is not changed
    assert not module[0].watched._forward_pre_hooks


def test_strides_that_an_axis_of_one_leaves_open():
    for shape in ((2, 1, 6, 6), (2, 4, 1, 1), (2, 4, 6, 1), (8, 1, 1, 1), (2, 4, 6, 5)):
        x = last(torch.randn(shape)).requires_grad_()
        made = contiguous(x)
        assert made.stride() == torch.empty(shape).stride()
        assert torch.equal(made, x)
        assert torch.equal(torch.autograd.grad(made.sum(), x)[0], torch.ones(shape))


OWN_PROCESS = """
import sys
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.digits import Digits
from bench.networks.network import TorchNetwork
from bench.metrics.base import metrics
from bench.engine.in_memory import answers
from bench.models.base import Recipe
from bench.models.resnet8 import ResNet8
from bench.outside_networks.records import source_record
from bench.models.training import initialise, train
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor


class ImagesLast(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.permute(0, 3, 1, 2))


def in_colour(samples):
    return replace(samples, x=np.repeat(samples.x, 3, axis=1))  # one channel fits both layouts


digits = Digits().load(32, 32)
part, shown, calibration = (
    in_colour(samples) for samples in (digits.train.take(slice(0, 512)), digits.evaluation, digits.calibration)
)
context = StepContext(part, calibration, None, 0)
model, declared = ResNet8(width=4), replace(digits.input, shape=(3, 8, 8))
given = {
    "plain": (initialise(model, declared, 0), declared),
    "last": (initialise(model, declared, 0).to(memory_format=torch.channels_last), declared),
    "images last": (ImagesLast(initialise(model, declared, 0)), replace(declared, layout="NHWC")),
}
recipe = Recipe(epochs=1, batch=16, adversarial_epsilon=0.05)
if sys.argv[1:] == ["short"]:
    given = {"last": given["last"]}
for name, (module, declared) in given.items():
    network = TorchNetwork(train(module, part, declared, recipe, 0), declared, source_record(model, declared))
    untrained = TorchNetwork(module, declared, network.record)
    found = {"trained": network}
    if name == "last":
        for _ in range(3):
            run_step(steps.get("structured-prune")(ratio=0.3, importance="taylor"), untrained, context)
        print(name, "scored", flush=True)
    for use in ("finetune", "qat"):
        found[use] = run_step(steps.get(use)(epochs=1, batch=16), untrained, context)
    for kind, made in found.items():
        predictor = open_predictor(made, Target(name="torch"))
        answers(metrics.get("adversarial.pgd")(epsilon=0.05, steps=3), predictor, shown)
        answers(metrics.get("attribution.ig")(steps=4), predictor, shown)
        answers(metrics.get("lipschitz.local")(), predictor, shown)
        print(name, kind, flush=True)
"""


def test_the_heap_survives():
    """It passes everywhere; without the guard it was seen to fail on AVX2, where it alone can: in short elsewhere."""
    short = "AVX512" in torch.backends.cpu.get_cpu_capability()
    command = [sys.executable, "-X", "faulthandler", "-c", OWN_PROCESS, *(["short"] if short else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)  # a broken heap can hang too
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == (4 if short else 10)
