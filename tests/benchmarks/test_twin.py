"""The differentiable twin of an int8 session beside the float torch network and beside ONNX Runtime itself."""

import statistics
import time

import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.base import loaders
from bench.models.base import models
from bench.models.training import initialise
from bench.networks.network import TorchNetwork
from bench.outside_networks.records import source_record
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

BATCH = 128
ROUNDS = 7


@pytest.fixture(scope="module")
def networks():
    data = loaders.get("digits")().load(300, 64)
    model = models.get("resnet8")()
    module = initialise(model, data.input, 0)
    network = TorchNetwork(module, data.input, source_record(model, data.input))
    context = StepContext(data.train, data.calibration, None, 0)
    exported = run_step(steps.get("onnx-export")(), network, context)
    x = torch.from_numpy(data.evaluation.x[:BATCH])
    return network, run_step(steps.get("ort-static-quant")(), exported, context), x


def seconds(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def test_forward_of_an_int8_network(benchmark, networks):
    network, quantised, x = networks
    plain = open_predictor(network, Target(name="torch"))
    session = open_predictor(quantised, Target(name="edge", runtime="onnxruntime", integer_sums="exact"))
    session.trust(x)
    twin = session.differentiable(gradient="straight_through")
    float_twin = plain.differentiable()

    def backward(view):
        images = x.clone().requires_grad_()
        torch.autograd.grad(view(images).sum(), images)

    kinds = {
        "torch": lambda: plain.logits(x),
        "session": lambda: session.logits(x),
        "torch gradient": lambda: backward(float_twin),
        "twin gradient": lambda: backward(twin),
    }

    def forward():
        with torch.no_grad():
            twin(x)

    spent = {name: [] for name in kinds}
    for function in (*kinds.values(), forward):
        function()
    own = []
    for _ in range(ROUNDS):  # in turn, so that a busy machine slows all of them
        own.append(seconds(forward))
        for name, function in kinds.items():
            spent[name].append(seconds(function))
    middle = {name: statistics.median(values) for name, values in spent.items()}
    benchmark.pedantic(forward, rounds=ROUNDS)
    ratio = statistics.median(own) / middle["torch"]
    benchmark.extra_info["twin forward to float torch forward"] = round(ratio, 2)
    benchmark.extra_info["twin forward to session"] = round(statistics.median(own) / middle["session"], 2)
    benchmark.extra_info["twin gradient to float torch gradient"] = round(
        middle["twin gradient"] / middle["torch gradient"], 2
    )
    assert ratio < 3
