from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch_pruning
from onnx import TensorProto, helper, numpy_helper

from bench.compression.restoring import to_bytes
from bench.engine.arrays import Memo, NetworkArrays
from bench.engine.derive import Derivation
from bench.engine.evidence import Evidence
from bench.engine.in_memory import answers
from bench.engine.observed import Observed
from bench.errors import NotApplicable
from bench.metrics.cost.cost import Cost
from bench.networks.network import InputSpec, OnnxNetwork, TorchNetwork
from bench.probes import memory_process as memory
from bench.probes.artefact import artefact_figures
from bench.probes.base import Context
from bench.probes.latency import Latency
from bench.runtimes.base import Target
from bench.runtimes.onnx_operators import optimised_operators
from bench.runtimes.onnx_predictor import SimulatedPredictor
from bench.runtimes.opening import open_predictor

VALUES = {value.name: value for value in Cost.values}
NETWORKS = ["reference", "ptq4", "onnx", "onnx4", "onnx8"]


@pytest.fixture(scope="module")
def figures(networks) -> dict[str, dict[str, float]]:
    return {name: artefact_figures(networks[name])[0] for name in NETWORKS}


@pytest.mark.parametrize("name", NETWORKS)
def test_bytes_are_those_of_the_stored_artefact(networks, figures, name) -> None:
    assert figures[name]["file_bytes"] == len(to_bytes(networks[name]))


def test_bits_tell_storage_from_arithmetic(figures) -> None:
    bits = {name: (figures[name]["stored_bits"], figures[name]["nominal_bits"]) for name in NETWORKS}
    assert bits == {"reference": (32, 32), "ptq4": (32, 4), "onnx": (32, 32), "onnx4": (8, 4), "onnx8": (8, 8)}


def test_the_same_arithmetic_counts_alike_in_every_form(networks, figures) -> None:
    macs, _ = torch_pruning.utils.count_ops_and_params(networks["reference"].module, torch.zeros(1, 1, 8, 8))
    found = {name: figures[name]["macs"] for name in NETWORKS}
    assert len(set(found.values())) == 1
    # the other counter adds biases, normalisation and pooling, which weigh a little in so small a network
    assert found["reference"] <= macs < 1.2 * found["reference"]


def test_parameters_are_weights_and_biases(networks, figures) -> None:
    module = networks["reference"].module
    assert figures["reference"]["parameters"] == sum(p.numel() for p in module.parameters())
    # BatchNorm's two vectors become one bias once folded
    channels = sum(m.num_features for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d))
    for name in ("ptq4", "onnx", "onnx4", "onnx8"):
        assert figures[name]["parameters"] == figures["reference"]["parameters"] - channels, name


@pytest.mark.parametrize("name", ["reference", "onnx8"])
def test_latencies_are_quantiles_of_timed_calls(predictors, samples, name) -> None:
    metric = Cost(warmup=2, rounds=20)
    shown = answers(metric, predictors[name], samples)
    taken = shown["latencies"]
    assert taken.shape == (20,)
    assert taken.min() > 0
    found = [VALUES[f"latency_{name}"].figure(shown) for name in ("median", "p90", "p99")]
    np.testing.assert_allclose(found, np.quantile(taken, (0.5, 0.9, 0.99)))
    for value in metric.values:
        assert value.timing == (value.name.startswith("latency") or value.name == "peak_memory")
        assert isinstance(value.figure(shown), float) == (value.name != "peak_memory")


def test_reference_and_variant_take_turns(predictors, samples) -> None:
    calls = []

    def listen(name):
        class Listening:
            network, spec = predictors[name].network, predictors[name].spec

            def as_shipped(self):
                return Shipped()

        class Shipped:
            def logits(self, x):
                calls.append((name, float(x.sum())))
                return predictors[name].logits(x)

        return Listening()

    pair = listen("reference"), listen("ptq4")
    shown = Latency(warmup=0, rounds=6).ask_pair(*pair, samples, Context(0)).arrays
    assert [name for name, _ in calls] == ["ptq4", "reference", "reference", "ptq4"] * 3
    assert [image for _, image in calls[::2]] == [image for _, image in calls[1::2]]  # one image a round
    assert shown["latencies"].shape == shown["reference_latencies"].shape == (6,)
    value = VALUES["latency_median"]
    assert value.figure(shown, value.against) == np.median(shown["reference_latencies"])
    assert value.figure(shown) == np.median(shown["latencies"])


def test_what_is_not_known_is_none() -> None:
    assert VALUES["macs"].figure({"file_bytes": np.array(3)}) is None


def test_why_there_are_no_multiply_accumulates_is_said(samples) -> None:
    class Distant(torch.nn.Module):
        def forward(self, x):
            return torch.cdist(x.flatten(1)[:, :10, None], x.flatten(1)[:, :10, None]).sum(-1)

    classes = tuple(str(number) for number in range(10))
    network = TorchNetwork(Distant(), InputSpec((1, 8, 8), classes))
    metric = Cost(warmup=0, rounds=1)
    shown = answers(metric, open_predictor(network, Target(name="torch")), samples)
    known = [(metric.probes[0], Observed("known", {"macs": np.array(7)}, 0.0))]
    own = NetworkArrays(metric, known, samples, Memo())
    found = Derivation().value(VALUES["macs"], Evidence([own], [shown], (), None, len(samples))).result
    assert (found.reference, found.variant, found.estimate) == (7.0, None, None)
    assert found.reason == "variant: torch has no formula for aten._cdist_forward"


def test_the_network_is_left_as_it_was(networks, predictors, samples) -> None:
    module = networks["reference"].module
    before = {name: value.clone() for name, value in module.state_dict().items()}
    answers(Cost(warmup=0, rounds=1), predictors["reference"], samples)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert not any(layer._forward_hooks for layer in module.modules())


def observe(predictor, samples, **options):
    metric = Cost(warmup=0, rounds=2, **options)
    shown = answers(metric, predictor, samples)
    json.dumps(shown.notes)
    return shown, shown.notes


def test_details_name_what_really_runs(networks, predictors, samples) -> None:
    _, details = observe(predictors["onnx8"], samples)
    assert details["operators"] == optimised_operators(networks["onnx8"], Target(name="edge", runtime="onnxruntime"))
    assert details["integer_kernels"] == 3
    assert observe(predictors["onnx"], samples)[1]["integer_kernels"] == 0
    assert list(observe(predictors["reference"], samples)[1]) == ["latency_quartiles"]


def test_what_is_simulated_takes_no_time_and_no_memory(networks, predictors, samples) -> None:
    """It is not what the target's runtime would run, so that its time would say nothing of it."""
    target = Target(name="old", runtime="onnxruntime", integer_sums="saturating")
    predictor = SimulatedPredictor(networks["onnx8"], target, 1)
    shown, details = observe(predictor, samples, memory=True)
    assert not {"latencies", "peak_memory"} & set(shown)
    run, _ = observe(predictors["onnx8"], samples)
    for value in Cost.values:
        assert value.figure(shown) == (None if value.timing else value.figure(run)), value.name
    assert details == {"operators": details["operators"], "integer_kernels": 3}
    for pair in ((predictors["onnx8"], predictor), (predictor, predictors["onnx8"])):
        with pytest.raises(NotApplicable, match="what is simulated has no latency"):
            Latency(warmup=0, rounds=2).ask_pair(*pair, samples, Context(0))
    evidence = Evidence([run], [shown], (), None, len(samples))
    reasons = {value.name: Derivation().value(value, evidence).result.reason for value in Cost.values}
    assert reasons["latency_median"] == "variant: what is simulated has no latency"
    assert reasons["peak_memory"] == "variant: what is simulated has no memory of its own"


def test_bytes_are_those_of_the_file_that_runs(networks, samples) -> None:
    predictor = open_predictor(networks["onnx"], Target(name="edge", runtime="onnxruntime", format="ort"))
    shown, details = observe(predictor, samples, memory=True)
    assert shown["file_bytes"] == len(predictor.file) != len(networks["onnx"].model)
    assert shown["peak_memory"] > 0
    assert details["operators"]


def product(width: int) -> OnnxNetwork:
    """64 values to ``width`` and back to 10: ``296 * width`` bytes of weights."""
    weights = [("w", (64, width)), ("v", (width, 10))]
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["h"]),
        helper.make_node("MatMul", ["h", "v"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return OnnxNetwork(model.SerializeToString(), InputSpec((1, 8, 8), tuple(map(str, range(10)))))


def test_peak_memory_is_that_of_the_network_alone(samples) -> None:
    """Weights of 30 MB cost at least 30 MB more; what this process holds is not counted."""
    edge = Target(name="edge", runtime="onnxruntime")
    held = np.ones(60_000_000)
    found = {}
    for width in (1_000, 100_000):
        predictor = open_predictor(product(width), edge)
        found[width] = observe(predictor, samples, memory=True)[0]["peak_memory"]
    assert memory.own_peak() > held.nbytes
    assert 0 < found[1_000] < 40e6
    assert 29e6 < found[100_000] - found[1_000] < 120e6


def test_peak_memory_of_torch_is_not_told(predictors, samples) -> None:
    assert "peak_memory" not in observe(predictors["reference"], samples, memory=True)[0]


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"the process that measures memory failed: FileNotFoundError"):
        memory._process("run", "no such folder")
