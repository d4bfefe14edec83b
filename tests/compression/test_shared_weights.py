"""Two layers that share a parameter: every step keeps it shared, or refuses it by name; nothing counts it twice."""

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.exporting.checks import check_integers
from bench.compression.restoring import restore, to_bytes
from bench.data.base import Samples
from bench.errors import NotApplicable, UserError
from bench.functional.module_cost import parameter_count, state_bytes, weight_bits
from bench.networks.network import InputSpec, TorchNetwork
from bench.networks.tied_weights import shared_names
from bench.outside_networks.loading import load_outside
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

DECLARED = InputSpec(shape=(1, 8, 8), classes=("a", "b", "c"))
SOURCE = """
from torch import nn
def make():
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32), nn.Linear(32, 3),
    )
    net[5].weight = net[2].weight
    net[12].weight, net[12].bias = net[10].weight, net[10].bias
    return net
"""
SHARED = {"5.weight": "2.weight", "12.weight": "10.weight", "12.bias": "10.bias"}
# 1->8 and 8->8 convolutions, two biases of the latter, two BatchNorms, 32->32, 32->3
PARAMETERS = (72 + 8) + (576 + 8 + 8) + 2 * 16 + (1024 + 32) + (96 + 3)


@pytest.fixture
def network(tmp_path, monkeypatch):
    (tmp_path / "networks_that_share.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return load_outside(DECLARED, factory="networks_that_share:make")


@pytest.fixture
def context():
    rng = np.random.default_rng(5)
    images = [
        Samples(tuple(map(str, range(n))), rng.random((n, 1, 8, 8), dtype=np.float32), rng.integers(0, 3, n))
        for n in (64, 48)
    ]
    return StepContext(*images, None, 0)


def ties(module):
    """Shared names, without those under which quantisers look at a layer's own weight."""
    return {name: other for name, other in shared_names(module).items() if "_quant" not in name}


CHAINS = {
    "ptq": [("ptq", {})],
    "ptq 4 bits, equalised": [("ptq", {"bits": 4, "equalise": True, "weight_range": "mse"})],
    "qat": [("qat", {"epochs": 1})],
    "ptq, qat": [("ptq", {"weight_range": "mse"}), ("qat", {"epochs": 1, "learn_ranges": True})],
    "finetune": [("finetune", {"epochs": 1})],
    "weight-noise": [("weight-noise", {"sigma": 0.1})],
    "bn-reset": [("bn-reset", {"samples": 32})],
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_steps_keep_them_shared_and_so_does_the_store(network, context, chain):
    made = network
    for name, options in chain:
        made = run_step(steps.get(name)(**options), made, context)
    again = restore(made.record, to_bytes(made))
    x = torch.from_numpy(context.calibration.x)
    for module in (made.module, again.module):
        assert ties(module) == SHARED
        assert parameter_count(module) == PARAMETERS
    assert torch.equal(made.module(x), again.module(x))


def test_quantisers_follow_a_shared_weight_that_was_trained(network, context):
    made = run_step(steps.get("qat")(epochs=1), network, context)
    for layer in (made.module.get_submodule("2"), made.module.get_submodule("5")):
        with torch.no_grad():
            scale = layer.quant_weight().scale.flatten()
        torch.testing.assert_close(scale, layer.weight.detach().flatten(1).abs().amax(dim=1) / 127)
    assert not torch.equal(made.module.get_submodule("2").weight, network.module[2].weight)


@pytest.mark.parametrize("first", [("ptq", {}), ("ptq", {"weight_symmetric": False}), ("qat", {"epochs": 1})])
def test_a_quantised_network_is_exported_with_the_weight_once(network, context, first):
    quantised = run_step(steps.get(first[0])(**first[1]), network, context)
    exported = run_step(steps.get("onnx-export")(), quantised, context)
    held = exported.record["record"]["weight_bytes"]
    weights = 72 + 576 + 1024 + 96
    assert weights <= held.get("int8", 0) + held.get("uint8", 0) < weights + 128  # and zero points
    graph = onnx.load_model_from_string(exported.model).graph
    shapes = sorted(tuple(t.dims) for t in graph.initializer if t.data_type in (2, 3) and len(t.dims) > 1)
    assert shapes == [(3, 32), (8, 1, 3, 3), (8, 8, 3, 3), (32, 32)]
    x = torch.from_numpy(context.calibration.x)
    found = open_predictor(exported, Target(name="t", runtime="onnxruntime", optimisation="disabled")).logits(x)[0]
    wanted = quantised.module(x).detach()
    assert float((found - wanted).abs().median()) < 1e-3 * float(wanted.abs().max())


def test_a_file_without_the_integers_is_still_refused(network, context):
    quantised = run_step(steps.get("ptq")(), network, context)
    weights = 72 + 576 + 1024 + 96
    check_integers(quantised.module, {"int8": weights})
    with pytest.raises(RuntimeError, match=f"holds {weights - 1} of {weights} quantised weights"):
        check_integers(quantised.module, {"int8": weights - 1, "float": 4 * weights})


def test_sizes_count_a_shared_weight_once(network, context, tmp_path):
    assert parameter_count(network.module) == PARAMETERS
    save_model(network.module, str(tmp_path / "once.safetensors"))  # safetensors' own way to leave copies out
    found = (tmp_path / "once.safetensors").stat().st_size
    assert abs(state_bytes(network.module) - found) < 200  # it also notes the names that it left out
    layers = [network.module[0], network.module[2], network.module[10], network.module[13]]
    quantised = run_step(steps.get("ptq")(bits=4), network, context)
    assert quantised.record["record"]["storage"]["weights"] == sum(layer.weight.numel() for layer in layers)
    assert weight_bits(quantised.module) == (32.0, 4.0)
    mixed = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4).double())
    mixed[1].weight = mixed[0].weight
    assert weight_bits(mixed) == (48.0, 48.0)  # 16 of 32 bits and 16 of 64; counted twice it would be 42.7


def test_batch_norm_behind_a_shared_layer_stays_with_the_reason(network, context):
    with pytest.raises(NotApplicable, match=r"3: backward: 2 \(Conv2d\), which is used more than once"):
        run_step(steps.get("bn-fold")(), network, context)


def test_channels_of_shared_layers_are_not_pruned(network, context):
    with pytest.raises(NotApplicable, match="2: 2 and 5 share a parameter"):
        run_step(steps.get("structured-prune")(ratio=0.5), network, context)
    with pytest.raises(UserError, match=r"layers.10: '10' cannot be pruned: 1[02] and 1[02] share a parameter"):
        run_step(steps.get("structured-prune")(layers={"10": 0.5}), extended(network), context)


def test_other_channels_are_pruned_and_the_weight_stays_shared(network, context):
    made = run_step(steps.get("structured-prune")(ratio=0.5), extended(network), context)
    assert made.module[0].weight.shape[0] == 8
    assert made.module[-2].weight.shape == (8, 32)
    assert {"5.weight", "12.weight"} <= set(ties(made.module))


def extended(network):
    """With a further layer that shares nothing."""
    torch.manual_seed(0)
    module = nn.Sequential(*list(network.module)[:-1], nn.Linear(32, 16), nn.Linear(16, 3)).eval()
    return TorchNetwork(module, DECLARED)


def test_mixed_bits_are_refused_by_name(network, context):
    with pytest.raises(NotApplicable, match="2 and 5 share a parameter"):
        run_step(steps.get("ptq-mixed")(average_bits=4), network, context)


def test_a_shared_bias_is_not_corrected(network, context):
    with pytest.raises(UserError, match=r"ptq.bias_correction: 12.bias and 10.bias are one parameter"):
        run_step(steps.get("ptq")(bias_correction=True), network, context)
    network.module[12].bias = nn.Parameter(network.module[12].bias.detach().clone())
    made = run_step(steps.get("ptq")(bias_correction=True, bits=4), network, context)
    assert ties(made.module) == {"5.weight": "2.weight", "12.weight": "10.weight"}


def test_a_checkpoint_with_one_of_the_names_loads_and_one_that_contradicts_itself_does_not(network, tmp_path):
    module = network.module
    with torch.no_grad():
        module[2].weight.mul_(3)
    save_model(module, str(tmp_path / "once.safetensors"))
    given = {"factory": "networks_that_share:make"}
    loaded = load_outside(DECLARED, **given, checkpoint=tmp_path / "once.safetensors")
    x = torch.ones(2, 1, 8, 8)
    assert torch.equal(loaded.module(x), module(x))
    assert ties(loaded.module) == SHARED
    state = {name: value.clone() for name, value in module.state_dict().items()}
    save_file(state, tmp_path / "twice.safetensors")
    twice = load_outside(DECLARED, **given, checkpoint=tmp_path / "twice.safetensors")
    assert torch.equal(twice.module(x), module(x))
    save_file({**state, "5.weight": state["5.weight"] + 1}, tmp_path / "odd.safetensors")
    with pytest.raises(UserError, match=r"'5.weight' and '2.weight' are one parameter of the network, and differ"):
        load_outside(DECLARED, **given, checkpoint=tmp_path / "odd.safetensors")
