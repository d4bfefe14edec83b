import json
from dataclasses import replace

import pydantic
import pytest
import torch
from torch import nn

from bench.compression.base import steps
from bench.compression.chains import check_chain, run_step
from bench.compression.quantisation.training import divergence
from bench.compression.restoring import restore, to_bytes
from bench.errors import UserError
from bench.networks.network import TorchNetwork


@pytest.fixture(scope="module")
def small(trained):
    return trained["flatten"]


@pytest.fixture
def context(context):
    """Fewer training samples: what is tested is not how well it trains."""
    return replace(context, train=context.train.take(slice(0, 500)))


def make(name, network, context, **options):
    return run_step(steps.get(name)(**options), network, context)


def qat(network, context, **options):
    return make("qat", network, context, **{"epochs": 1, "batch": 128, **options})


def logits(network, samples):
    with torch.no_grad():
        return network.module(torch.from_numpy(samples.x))


def accuracy(network, samples):
    return float((logits(network, samples).argmax(1) == torch.from_numpy(samples.y)).float().mean())


def replayed(network, samples):
    again = restore(json.loads(json.dumps(network.record)), to_bytes(network))
    return torch.equal(logits(again, samples), logits(network, samples))


def test_training_recovers_what_two_bits_lost(small, context, digits):
    # five epochs gain .22 and more on four seeds, three as little as .08
    before = make("ptq", small, context, bits=2, per_channel=False)
    after = qat(small, context, bits=2, per_channel=False, epochs=5, batch=64, learning_rate=5e-3)
    assert accuracy(after, digits.evaluation) > accuracy(before, digits.evaluation) + 0.1
    assert after.kind == "torch-quantised"
    record = after.record["record"]
    assert record["train_accuracy_after"] > record["train_accuracy_before"] + 0.1
    assert replayed(after, digits.evaluation)


OPTIONS = [
    {"learning_rate": 1e-2},
    {"weight_decay": 5.0},
    {"learn_ranges": True},
    {"distillation": 0.5},
    {"distillation": 0.5, "temperature": 5.0},
    {"epochs": 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_changes_the_network_and_restores(small, context, digits, options):
    base = {k: v for k, v in options.items() if k == "distillation" and len(options) > 1}
    plain, made = qat(small, context, bits=4, **base), qat(small, context, bits=4, **options)
    assert (logits(made, digits.evaluation) - logits(plain, digits.evaluation)).abs().max() > 1e-4
    assert replayed(made, digits.evaluation)


SCHEMES = [
    {"weight_bits": 3},
    {"activation_bits": 3},
    {"weights_only": True},
    {"weight_symmetric": False, "weight_range": "mse", "learn_ranges": True},
    {"activation_symmetric": True, "calibration": "mse"},
    {"equalise": True, "bias_correction": True},
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_trains_from_every_scheme(small, context, digits, scheme):
    before = make("ptq", small, context, **{"bits": 4, **{k: v for k, v in scheme.items() if k != "learn_ranges"}})
    after = qat(small, context, bits=4, **scheme)
    assert not torch.equal(logits(before, digits.evaluation), logits(after, digits.evaluation))
    assert accuracy(after, digits.evaluation) > accuracy(before, digits.evaluation) - 0.02
    assert replayed(after, digits.evaluation)


def test_after_ptq_is_the_same_as_from_float(small, context, digits):
    quantised = make("ptq", small, context, bits=3)
    kept = to_bytes(quantised)
    apart, at_once = qat(quantised, context), qat(small, context, bits=3)
    assert torch.equal(logits(apart, digits.evaluation), logits(at_once, digits.evaluation))
    assert replayed(apart, digits.evaluation)
    assert to_bytes(quantised) == kept


def test_ranges_move_only_where_asked(small, context):
    quantised = make("ptq", small, context, bits=4, weight_range="mse")
    before = quantised.module.state_dict()
    ranges = [name for name in before if name.endswith(("scaling_impl.value", "zero_point_impl.value"))]
    assert len(ranges) == 9  # three layers' weights, three activations' scales and zero points
    for learn in (False, True):
        after = qat(quantised, context, learn_ranges=learn).module.state_dict()
        moved = [name for name in ranges if not torch.equal(before[name], after[name])]
        assert bool(moved) == learn


def test_depends_on_its_seed_alone(small, context, digits):
    first = to_bytes(qat(small, context, distillation=0.5))
    before = {name: value.clone() for name, value in small.module.state_dict().items()}
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        state = torch.random.get_rng_state()
        torch.set_num_threads(threads + 1)
        try:
            assert to_bytes(qat(small, context, distillation=0.5)) == first
        finally:
            torch.set_num_threads(threads)
        assert torch.equal(state, torch.random.get_rng_state())
    assert to_bytes(qat(small, replace(context, seed=12), distillation=0.5)) != first
    assert all(torch.equal(value, before[name]) for name, value in small.module.state_dict().items())


def test_distillation_alone_comes_nearer_to_the_float_network(small, context, digits):
    options = {"bits": 3, "epochs": 3, "batch": 64}
    target = logits(small, digits.evaluation)
    far, near = (qat(small, context, distillation=share, **options) for share in (0.0, 1.0))
    found = [float(divergence(target, logits(each, digits.evaluation), 1.0)) for each in (far, near)]
    assert found[1] < found[0]


def test_exports_as_integers(small, context):
    made = make("onnx-export", qat(small, context, learn_ranges=True), context)
    assert made.record["record"]["integer_kernels"] == 3


def test_a_switched_off_channel_keeps_a_bias_that_grows(digits, context):
    """Without light only biases learn: the smallest range that held them before training does not any more."""
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
    nn.init.zeros_(module[0].weight)
    nn.init.constant_(module[0].bias, 1e-3)
    network = TorchNetwork(module, digits.input)
    dark = replace(context, train=replace(context.train, x=context.train.x * 0))
    options = {"epochs": 2, "learning_rate": 0.05}
    made, record = steps.get("qat")(**options).apply(network, dark)
    assert list(record["trained_smallest_ranges"]) == ["0"]
    layer = made.module.get_submodule("0")
    assert layer.bias.abs().max() > 0.01
    seen = []
    layer.register_forward_hook(lambda _, __, out: seen.append(out))
    before = logits(made, digits.evaluation)
    torch.testing.assert_close(seen[0][0, :, 0, 0], layer.bias.detach(), rtol=1e-3, atol=1e-6)
    rebuilt = steps.get("qat")(**options).rebuild(network, json.loads(json.dumps(record)))
    rebuilt.module.load_state_dict(made.module.state_dict(), strict=True)
    assert torch.equal(logits(rebuilt, digits.evaluation), before)


def test_refusals(small, context):
    step = steps.get("qat")
    quantised = make("ptq", small, context)
    with pytest.raises(UserError, match=r"qat.bits: the network is quantised already; give it in the ptq step"):
        qat(quantised, context, bits=4)
    with pytest.raises(UserError, match=r"qat.distillation: the float network is gone"):
        qat(quantised, context, distillation=0.5)
    with pytest.raises(UserError, match=r"qat.learn_ranges: no range is stored"):
        qat(small, context, weights_only=True, learn_ranges=True)
    with pytest.raises(UserError, match=r"the loss is not finite"):
        qat(small, context, learning_rate=1e30)
    with pytest.raises(UserError, match="put qat before onnx-export"):
        check_chain("torch", [steps.get("onnx-export")(), step()])
    assert check_chain("torch", [steps.get("ptq")(), step(), steps.get("onnx-export")()]) == "onnx-quantised"
    for bad in ({"epochs": 0}, {"distillation": 1.5}, {"temperature": 3.0}, {"weights_only": True, "percentile": 99.0}):
        with pytest.raises(pydantic.ValidationError):
            step(**bad)
