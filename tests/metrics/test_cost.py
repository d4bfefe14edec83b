from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_pruning

from bench.compression.record import to_bytes
from bench.metrics.cost.cost import Cost, artefact_figures

VALUES = {value.name: value for value in Cost.values}
NETWORKS = ["reference", "ptq4", "onnx", "onnx4", "onnx8"]


@pytest.fixture(scope="module")
def figures(networks) -> dict[str, dict[str, float]]:
    return {name: artefact_figures(networks[name]) for name in NETWORKS}


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
def test_latencies_are_quantiles_of_timed_calls(predictors, samples, observing, name) -> None:
    metric = Cost(warmup=2, rounds=20)
    shown = metric.observe(predictors[name], samples, observing)
    taken = shown["_latencies"]
    assert taken.shape == (20,)
    assert taken.min() > 0
    found = [VALUES[f"latency_{name}"].figure(shown) for name in ("median", "p90", "p99")]
    np.testing.assert_allclose(found, np.quantile(taken, (0.5, 0.9, 0.99)))
    for value in metric.values:
        assert value.timing == value.name.startswith("latency")
        assert isinstance(value.figure(shown), float)


def test_what_is_not_known_is_none() -> None:
    assert VALUES["macs"].figure({"file_bytes": np.array(3)}) is None


def test_the_network_is_left_as_it_was(networks, predictors, samples, observing) -> None:
    module = networks["reference"].module
    before = {name: value.clone() for name, value in module.state_dict().items()}
    Cost(warmup=0, rounds=1).observe(predictors["reference"], samples, observing)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert not any(layer._forward_hooks for layer in module.modules())
