import copy
import json
from dataclasses import replace

import numpy as np
import pydantic
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.compression import ptq as ptq_step
from bench.compression.base import StepContext, steps
from bench.compression.chains import check_chain, run_step
from bench.compression.quantisation.calibration import calibrate
from bench.compression.quantisation.equalisation import Equalised
from bench.compression.quantisation.graph import quantised_graph
from bench.compression.quantisation.options import Scheme
from bench.compression.restoring import restore, to_bytes
from bench.data.base import Samples
from bench.errors import NotApplicable, UserError
from bench.models.base import models
from bench.networks.network import InputSpec, TorchNetwork
from bench.runtimes.base import Target
from bench.runtimes.onnx_operators import integer_kernels, optimised_operators
from bench.runtimes.opening import open_predictor

MODEL = models.get("convnet")()
TARGET = Target(name="torch")


@pytest.fixture(scope="module")
def network(zoo):
    return zoo("convnet")


def quantise(network, context, **options):
    return run_step(steps.get("ptq")(**options), network, context)


def logits(network, digits, target=TARGET):
    return open_predictor(network, target).logits(torch.from_numpy(digits.evaluation.x))[0]


def accuracy(network, digits):
    return float((logits(network, digits).argmax(dim=1) == torch.from_numpy(digits.evaluation.y)).float().mean())


def test_error_grows_as_bits_shrink(network, context, digits):
    reference = logits(network, digits)
    change = {
        bits: float((logits(quantise(network, context, bits=bits), digits) - reference).abs().median())
        for bits in (8, 4, 2)
    }
    assert 0 < change[8] < change[4] < change[2]
    assert change[8] < 0.02 * float(reference.std())


def test_8_bits_keep_the_accuracy_and_4_bits_run(network, context, digits):
    plain = accuracy(network, digits)
    assert plain > 0.9
    assert abs(accuracy(quantise(network, context), digits) - plain) <= 0.01
    assert accuracy(quantise(network, context, bits=4), digits) > 0.8


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_and_activations_take_no_more_values_than_the_bits_allow(network, context, digits, bits, per_channel):
    made = quantise(network, context, bits=bits, per_channel=per_channel)
    seen = {}
    for name in made.record["record"]["quantisers"]:
        made.module.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: seen.__setitem__(name, out.value.unique())
        )
    with torch.no_grad():
        made.module(torch.from_numpy(digits.evaluation.x))
    assert len(seen) == 5
    assert all(1 < len(values) <= 2**bits for values in seen.values())
    for layer in ("conv1", "conv2", "classifier"):
        weight = made.module.get_submodule(layer).quant_weight().value.detach().flatten(1)
        rows = weight if per_channel else weight.reshape(1, -1)
        assert max(len(row.unique()) for row in rows) <= 2**bits - 1  # symmetric: one value stays unused


def test_weight_and_activation_bits_apart(network, context):
    made = quantise(network, context, bits=8, weight_bits=4)
    assert (made.record["record"]["weight_bits"], made.record["record"]["activation_bits"]) == (4, 8)
    assert int(made.module.conv1.quant_weight().bit_width) == 4
    assert int(made.module.activation_quantiser_1.act_quant.bit_width()) == 8


def test_input_and_every_layer_input_are_quantised(network, context):
    record = quantise(network, context).record["record"]
    assert [found["after"] for found in record["quantisers"].values()] == ["input", "relu1", "relu2", "relu3", "pool"]
    assert sorted(record["layers"]) == ["classifier", "conv1", "conv2", "conv3"]
    assert record["left_float"] == []
    assert [pair["batch_norm"] for pair in record["folded"]] == ["bn1", "bn2", "bn3"]
    assert record["quantisers"]["activation_quantiser_0"]["scale"] == pytest.approx(1 / 255)


def test_restores_bit_equal_without_data(network, context, digits):
    for options in ({}, {"bits": 4, "per_channel": False, "bias_correction": True}):
        made = quantise(network, context, **options)
        record = json.loads(json.dumps(made.record))
        again = restore(record, to_bytes(made))
        assert again.kind == "torch-quantised"
        assert torch.equal(logits(again, digits), logits(made, digits))


def test_same_bytes_twice_whatever_the_global_state(network, context):
    first = to_bytes(quantise(network, context, bias_correction=True))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(99)
            assert to_bytes(quantise(network, context, bias_correction=True)) == first
    finally:
        torch.set_num_threads(threads)


def test_input_is_untouched_and_generator_too(network, context):
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    state = torch.random.get_rng_state()
    quantise(network, context, bias_correction=True)
    assert torch.equal(state, torch.random.get_rng_state())
    after = network.module.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not network.module.training


def test_bias_correction_removes_the_mean_error_of_rounded_weights(network, context, digits):
    reference = open_predictor(network, TARGET).logits(torch.from_numpy(digits.calibration.x))[0]
    errors = []
    for correct in (False, True):
        made = quantise(network, context, weight_bits=3, bias_correction=correct)
        found = open_predictor(made, TARGET).logits(torch.from_numpy(digits.calibration.x))[0]
        errors.append(float((found - reference).mean(dim=0).abs().max()))
    assert errors[1] < 0.8 * errors[0]


def test_gradient_passes_straight_through(network, context, digits):
    module = quantise(network, context, bits=4).module
    images = torch.from_numpy(digits.evaluation.x[:8]).requires_grad_()
    functional.cross_entropy(module(images), torch.from_numpy(digits.evaluation.y[:8])).backward()
    assert images.grad.flatten(1).norm(dim=1).min() > 0


class Branches(nn.Module):
    """A residual network with shared and functional parts, a depthwise layer and a BatchNorm that stays."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.depthwise, self.point = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.Conv2d(8, 8, 1)
        self.late_bn, self.drop, self.head = nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Linear(8 * 16, 5)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        early = self.relu(self.stem_bn(self.stem(x)))
        late = self.point(functional.relu(self.depthwise(early)))
        late = self.late_bn(self.relu(late + early))
        late = functional.max_pool2d(late, 2) * torch.sigmoid(early.mean())
        return self.head(self.drop(torch.flatten(late, 1)))


@pytest.fixture(scope="module")
def branches():
    declared = InputSpec((3, 8, 8), tuple("abcde"), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = TorchNetwork(Branches().eval(), declared)
    images = np.random.default_rng(0).random((64, 3, 8, 8), dtype=np.float32)
    samples = Samples(tuple(map(str, range(64))), images, None)
    return network, StepContext(samples, samples, None, 0)


def test_branches_signed_inputs_and_kept_batch_norm(branches):
    network, context = branches
    made, record = steps.get("ptq")().apply(network, context)
    places = [found["after"] for found in record["quantisers"].values()]
    assert places == ["x", "relu", "relu_1", "point", "mul"]  # both sides of the sum, and once each
    assert record["left_float"] == ["late_bn"]
    assert record["quantisers"]["activation_quantiser_0"]["zero_point"] > 0  # normalised images are negative too
    x = torch.from_numpy(context.calibration.x)
    before, after = (open_predictor(each, TARGET).logits(x) for each in (network, made))
    assert 0 < (before - after).abs().max() < 0.1 * before.std()
    rebuilt = steps.get("ptq")().rebuild(network, record)
    rebuilt.module.load_state_dict(made.module.state_dict(), strict=True)
    assert torch.equal(open_predictor(rebuilt, TARGET).logits(x), after)


@pytest.mark.parametrize("weight", [0.0, 1e-12])
def test_a_switched_off_channel_keeps_its_bias(weight, digits, context):
    """BatchNorm with gamma 0 folds into zero weights and a bias, whose 32-bit scale would vanish with them."""
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
    nn.init.constant_(module[0].weight[:2], weight)
    nn.init.constant_(module[0].bias, 2.0)
    network = TorchNetwork(module, digits.input)
    made, record = steps.get("ptq")().apply(network, context)
    assert list(record["smallest_ranges"]) == ["0"]
    before, after = logits(network, digits), logits(made, digits)
    assert (before - after).abs().max() < 0.1 * before.std()
    rebuilt = steps.get("ptq")().rebuild(network, record)
    rebuilt.module.load_state_dict(made.module.state_dict(), strict=True)
    assert torch.equal(logits(rebuilt, digits), after)
    exported, _ = steps.get("onnx-export")().apply(made, context)
    edge = open_predictor(exported, Target(name="edge", runtime="onnxruntime", integer_sums="exact"))
    found = edge.logits(torch.from_numpy(digits.evaluation.x))[0]
    assert (found - after).abs().amax(dim=1).median() < 1e-4


def test_dead_activations_stay_finite(digits, context):
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10)).eval()
    nn.init.constant_(module[0].bias, -100.0)  # every activation is zero
    network = TorchNetwork(module, digits.input)
    made, _ = steps.get("ptq")().apply(network, context)
    torch.testing.assert_close(logits(made, digits), logits(network, digits), rtol=1e-4, atol=1e-4)


def test_scales_average_over_batches_of_fixed_size():
    """Two batches with ranges 1 and 3: the scale is that of their mean, 2."""
    module, _ = quantised_graph(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), Scheme(8, 8, True))
    x = torch.cat([torch.linspace(0, 1, 1024).view(256, 1, 2, 2), torch.linspace(0, 3, 1024).view(256, 1, 2, 2)])
    calibrate(module, x, Scheme(8, 8, True), bias_correction=False)
    assert module.activation_quantiser_0.act_quant.scale().item() == pytest.approx(2 / 255, rel=1e-3)


def test_untraceable_and_empty_networks_do_not_apply(digits, context):
    class Untraceable(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, x):
            return self.linear(x.flatten(1)) if x.sum() > 0 else self.linear(-x.flatten(1))

    with pytest.raises(NotApplicable, match=r"torch.fx cannot trace the network"):
        quantise(TorchNetwork(Untraceable(), digits.input), context)
    with pytest.raises(NotApplicable, match="no 2d convolution and no linear layer"):
        quantise(TorchNetwork(nn.Sequential(nn.Flatten(), nn.ReLU()), digits.input), context)


def test_refusals_and_bad_parameters(network, context):
    ptq = steps.get("ptq")
    with pytest.raises(UserError, match="the network is quantised already"):
        quantise(quantise(network, context), context)
    with pytest.raises(UserError, match=r"variant\[1\].steps\[1\]: ptq cannot follow ptq: the network is quantised"):
        check_chain("torch", [ptq(), ptq()], "variant[1]")
    with pytest.raises(UserError, match="put ptq before onnx-export"):
        check_chain("torch", [steps.get("onnx-export")(), ptq()])
    with pytest.raises(UserError, match=r"data.calibration: no calibration samples"):
        quantise(network, replace(context, calibration=context.calibration.take(slice(0, 0))))
    for bad in ({"bits": 1}, {"bits": 9}, {"weight_bits": 1}, {"bit": 8}):
        with pytest.raises(pydantic.ValidationError):
            ptq(**bad)


OPTIONS = [
    {"weight_bits": 7},
    {"activation_bits": 7},
    {"weights_only": True},
    {"per_channel": False},
    {"weight_symmetric": False},
    {"weight_symmetric": False, "per_channel": False},
    {"weight_range": "mse"},
    {"weight_range": "mse", "weight_symmetric": False},
    {"activation_symmetric": True},
    {"calibration": "min-max"},
    {"calibration": "mse"},
    {"calibration": "mse", "activation_symmetric": True},
    {"percentile": 99.9},
    {"equalise": True},
    {"bias_correction": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_has_an_effect_keeps_the_accuracy_and_restores(network, context, digits, options):
    plain, made = quantise(network, context), quantise(network, context, **options)
    assert not torch.equal(logits(plain, digits), logits(made, digits))
    assert abs(accuracy(made, digits) - accuracy(network, digits)) <= 0.02
    again = restore(json.loads(json.dumps(made.record)), to_bytes(made))
    assert torch.equal(logits(again, digits), logits(made, digits))


def test_every_option_is_described():
    for name in ("ptq", "ptq-mixed", "qat"):
        found = pydantic.TypeAdapter(steps.get(name)).json_schema()["properties"]
        assert all(entry.get("description") for entry in found.values())


INTEGER_OPTIONS = [options for options in OPTIONS if not {"weights_only", "activation_symmetric"} & set(options)]


@pytest.mark.parametrize("options", INTEGER_OPTIONS, ids=str)
def test_exported_files_run_on_integers(trained, context, digits, options):
    made = quantise(trained["flatten"], context, **options)
    exported = run_step(steps.get("onnx-export")(), made, context)
    edge = Target(name="edge", runtime="onnxruntime", integer_sums="exact")
    counts = optimised_operators(exported, edge)
    assert integer_kernels(counts) == exported.record["record"]["integer_kernels"] == 3
    assert not {"Conv", "FusedConv", "Gemm", "MatMul"} & set(counts)
    stored = exported.record["record"]["weight_bytes"]
    weights = made.record["record"]["storage"]["weights"]
    assert stored["int8" if made.record["parameters"]["weight_symmetric"] else "uint8"] >= weights
    expected = logits(made, digits)
    moved = (logits(exported, digits, edge) - expected).abs().amax(dim=1).median()
    assert moved < 0.02 * expected.std()


def test_what_runs_in_floating_point_is_said(trained, context):
    for options, note in (({"weights_only": True}, "weights only"), ({"activation_symmetric": True}, "signed")):
        made = quantise(trained["flatten"], context, **options)
        assert any(each.startswith(note) for each in made.record["record"]["notes"])
        exported = run_step(steps.get("onnx-export")(), made, context).record["record"]
        assert exported["integer_kernels"] < 3
        assert exported["weight_bytes"]["int8"] >= made.record["record"]["storage"]["weights"]


def test_fewer_bits_are_nominal(trained, context):
    """The file of 3 bits is not smaller than that of 8: it even holds the clipping."""
    sizes = {}
    for bits in (8, 3):
        made = quantise(trained["flatten"], context, bits=bits)
        storage = made.record["record"]["storage"]
        assert storage["nominal_bits"] == bits
        assert storage["nominal_bytes"] == -(-storage["weights"] * bits // 8)
        assert storage["stored_bits"] == {"torch": 32, "onnx": 8}
        sizes[bits] = len(run_step(steps.get("onnx-export")(), made, context).model)
    assert sizes[3] >= sizes[8]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_degenerate_layers_stay_finite(digits, context, options):
    """A layer of zero weights, a constant channel and activations that are always zero."""
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)
    ).eval()
    with torch.no_grad():
        module[0].weight[0], module[0].bias[0] = 0.0, 0.5  # constant
        module[0].bias[1] = -100.0  # always zero
        module[2].weight.zero_()
        module[2].bias.copy_(torch.tensor([-1.0, 0.0, 1.0, 2.0]))
    network = TorchNetwork(module, digits.input)
    made, record = steps.get("ptq")(**options).apply(network, context)
    json.dumps(record, allow_nan=False)
    torch.testing.assert_close(logits(made, digits), logits(network, digits), rtol=0.05, atol=0.05)


def test_equalisation_that_changes_the_function_is_refused(network, digits):
    found = Equalised(copy.deepcopy(network.module), (), 1.0)
    found.module.classifier.bias.data += 0.01
    with pytest.raises(RuntimeError, match="equalisation changed the logits by"):
        ptq_step._parity(network.module, found, torch.from_numpy(digits.calibration.x))


def test_options_without_effect_are_refused():
    for bad in (
        {"weights_only": True, "activation_bits": 4},
        {"weights_only": True, "calibration": "mse"},
        {"weights_only": True, "activation_symmetric": True},
        {"calibration": "min-max", "percentile": 99.0},
    ):
        with pytest.raises(pydantic.ValidationError, match="does nothing with"):
            steps.get("ptq")(**bad)
