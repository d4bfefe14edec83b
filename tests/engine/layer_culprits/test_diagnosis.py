"""Faults planted in one layer of a trained network: the ranking must name that layer first."""

import copy
import io
import json
import sys
import warnings

import jsonschema
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import save_file

from bench.cli import run_cli
from bench.compression.base import StepContext, steps
from bench.data.base import Samples
from bench.data.digits import Digits
from bench.engine.layer_culprits import diagnose
from bench.engine.layer_culprits.files import as_onnx
from bench.errors import UserError
from bench.networks.network import OnnxNetwork, TorchNetwork
from bench.results import LayerReport
from bench.results.layers import NotFinite
from bench.results.schema import json_schema

LAYERS = ("conv1", "conv2", "conv3")


@pytest.fixture(scope="module")
def digits():
    return Digits().load(120, 64)


@pytest.fixture(scope="module")
def samples(digits):
    return digits.evaluation


@pytest.fixture(scope="module")
def network(zoo):
    return zoo("deep")


@pytest.fixture(scope="module")
def context(digits):
    return StepContext(digits.train, digits.calibration, None, 0)


@pytest.fixture(scope="module")
def file(network):
    return as_onnx(network, "REFERENCE")


def _edit(network, edit):
    module = copy.deepcopy(network.module)
    with torch.no_grad():
        edit(module)
    return TorchNetwork(module, network.input)


def _sign(module, layer):
    module.get_submodule(layer).weight.neg_()


def _swap(module, layer):
    weight = module.get_submodule(layer).weight
    weight.copy_(weight.flip(0).clone())


def _stale(module, layer):
    module.get_submodule(layer.replace("conv", "bn")).reset_running_stats()


def _scale(module, layer):
    module.get_submodule(layer).weight.mul_(4.0)


def _saturated(module, layer):
    module.set_submodule(layer.replace("conv", "relu"), torch.nn.Hardtanh(0.0, 0.1))


def _two_bits(module, layer):
    for name in LAYERS:
        weight = module.get_submodule(name).weight
        levels = 1 if name == layer else 127
        step = weight.abs().amax(dim=(1, 2, 3), keepdim=True) / levels
        weight.copy_((weight / step).round() * step)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("fault", [_sign, _swap, _stale, _scale, _saturated, _two_bits])
def test_names_the_planted_fault_first(network, samples, fault, layer):
    found = diagnose(network, _edit(network, lambda module: fault(module, layer)), samples)
    assert found.ranking[0] == layer
    row = found.layers[LAYERS.index(layer)]
    assert row.restored.js.ci[0] > 0
    if fault is not _two_bits:  # nothing else is wrong, so all of it goes
        assert row.restored.js.after < 1e-9
        assert all(other.added.relative_mse < 1e-9 for other in found.layers if other is not row)


def _saved(network, edit):
    model = onnx.load_model_from_string(network.model)
    edit({tensor.name: tensor for tensor in model.graph.initializer}, model)
    return OnnxNetwork(model.SerializeToString(), network.input, quantised=network.quantised)


def _multiply(tensor, factor):
    tensor.CopyFrom(
        numpy_helper.from_array(np.asarray(numpy_helper.to_array(tensor) * np.float32(factor)), tensor.name)
    )


def _scale_of(model, layer, what):
    """The name of the scale of a convolution's weights or of what is made of its output, however it is quantised."""
    made = {name: node for node in model.graph.node for name in node.output}
    node = next(n for n in model.graph.node if layer in n.name and n.op_type in ("Conv", "QLinearConv", "ConvInteger"))
    if node.op_type == "QLinearConv":
        return node.input[{"weight": 4, "output": 6}[what]]
    if node.op_type == "ConvInteger":
        (reader,) = [n for n in model.graph.node if n.op_type == "Mul" and f"{node.name}_scales" in n.name]
        return reader.input[1]
    if what == "weight":
        return made[node.input[1]].input[1]
    value = node.output[0]
    while True:
        reader = next(n for n in model.graph.node if value in n.input)
        if reader.op_type == "QuantizeLinear":
            return reader.input[1]
        value = reader.output[0]


def _wrong_scale(quantised, layer, what, factor, consistent=True):
    def edit(stored, model):
        name = _scale_of(model, layer, what)
        if name not in stored:  # a Constant node
            (node,) = [n for n in model.graph.node if name in n.output]
            return _multiply(node.attribute[0].t, factor)
        for node in model.graph.node:  # a bias counts in steps of input times weights
            if consistent and node.op_type == "QLinearConv" and node.input[1] == name:
                bias = np.round(numpy_helper.to_array(stored[node.input[8]]) / factor).astype(np.int32)
                stored[node.input[8]].CopyFrom(numpy_helper.from_array(bias, node.input[8]))
        return _multiply(stored[name], factor)

    return _saved(quantised, edit)


@pytest.fixture(scope="module")
def quantised(file, network, context):
    made = {f"static-{form}": steps.get("ort-static-quant")(format=form).apply(file, context)[0] for form in FORMS}
    made["dynamic"] = steps.get("ort-dynamic-quant")().apply(file, context)[0]
    integer = steps.get("ptq")(bits=8).apply(network, context)[0]
    return made | {"brevitas": steps.get("onnx-export")().apply(integer, context)[0]}


FORMS = ("qdq", "qoperator")


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("tool", "what", "factor"),
    [
        ("static-qdq", "weight", 0.3),
        ("static-qdq", "output", 0.1),
        ("static-qdq", "output", 12.0),
        ("static-qoperator", "weight", 0.3),
        ("static-qoperator", "output", 0.1),
        ("dynamic", "weight", 3.0),
        ("brevitas", "weight", 3.0),
        ("brevitas", "output", 0.1),
    ],
)
def test_names_a_wrong_scale_first_whatever_the_compressor(quantised, file, samples, tool, what, factor, layer):
    found = diagnose(file, _wrong_scale(quantised[tool], layer, what, factor), samples)
    assert found.ranking[0] == layer
    assert [row.name for row in found.layers if row.kind != "input"] == [*LAYERS, "classifier"]
    assert all(row.restored for row in found.layers)


def test_names_two_faults_that_mask_each_other(network, samples):
    def both(module):
        _sign(module, "conv1")
        _scale(module, "conv3")

    found = diagnose(network, _edit(network, both), samples)
    assert set(found.ranking[:2]) == {"conv1", "conv3"}


def test_names_the_layer_of_two_bits_among_eight_by_brevitas(file, network, digits, context):
    low = steps.get("ptq")(bits=8, weight_bits=2).apply(network, context)[0]
    high = steps.get("ptq")(bits=8).apply(network, context)[0]
    module = copy.deepcopy(high.module)
    module.conv2 = copy.deepcopy(low.module.conv2)
    found = diagnose(file, TorchNetwork(module, network.input, quantised=True), digits.evaluation)
    assert found.ranking[0] == "conv2"
    assert {row.weights.variant[0] for row in found.layers[1:]} == {8, 12, 10}


def test_a_scale_that_two_layers_use_names_both(quantised, file, samples):
    """In integers a convolution's output scale is its reader's bias scale too: the fault sits in both."""
    found = diagnose(file, _wrong_scale(quantised["static-qoperator"], "conv1", "output", 0.1, False), samples)
    assert set(found.ranking[:2]) == {"conv1", "conv2"}


def test_a_sign_flip_shows_before_the_activation(network, samples):
    found = diagnose(network, _edit(network, lambda m: (_sign(m, "conv2"), _flip_shift(m.bn2))), samples)
    row = found.layers[1]
    assert row.before_activation.cosine == pytest.approx(-1.0, abs=1e-6)
    assert row.before_activation.relative_mse == pytest.approx(4.0, rel=1e-5)
    assert row.before_activation.sqnr_db == pytest.approx(-10 * np.log10(4.0), abs=1e-4)
    assert row.cosine == pytest.approx(0.0, abs=1e-6)  # ReLU keeps what the other one cuts off


def _flip_shift(norm):
    norm.running_mean.neg_()
    norm.bias.neg_()


def test_the_same_network_has_nothing_to_restore(file, samples):
    found = diagnose(file, file, samples)
    assert found.divergence.js.estimate == 0
    assert [row.identical for row in found.layers] == [True] * 4
    assert all(row.sqnr_db is None and row.relative_mse == 0 and row.cosine == 1 for row in found.layers)
    assert all(row.restored.js.removed == 0 for row in found.layers)


def test_restoring_every_layer_of_a_single_one_equals_the_reference(network, samples, file):
    """The only layer that differs is put back: the output is the reference's, figure by figure."""
    found = diagnose(file, _edit(network, lambda module: _scale(module, "conv2")), samples)
    restored = found.layers[1].restored
    assert restored.js.removed == pytest.approx(restored.js.before, abs=1e-9)
    for figure in ("accuracy", "nll"):
        assert getattr(restored, figure).after == pytest.approx(0.0, abs=1e-5)
        assert getattr(restored, figure).removed == pytest.approx(getattr(restored, figure).before, abs=1e-5)
    low, high = restored.js.ci
    assert low < restored.js.removed < high


def test_brings_batch_norm_folded_and_unfolded_together(network, samples):
    from bench.batch_norm_folding.modules import fold_batch_norms

    folded = TorchNetwork(fold_batch_norms(network.module, network.input.shape).module, network.input)
    unfolded = _unfolded(network)
    assert "BatchNormalization" in {node.op_type for node in onnx.load_model_from_string(unfolded.model).graph.node}
    found = diagnose(unfolded, folded, samples)
    assert all(row.sqnr_db > 80 and row.restored for row in found.layers)
    stale = diagnose(unfolded, _edit(network, lambda module: _stale(module, "conv2")), samples)
    assert stale.ranking[0] == "conv2"


def _unfolded(network):
    file, axes = io.BytesIO(), {"x": {0: "n"}}
    options = {"input_names": ["x"], "dynamic_axes": axes, "opset_version": 13, "do_constant_folding": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = torch.onnx.TrainingMode.PRESERVE
        example = (torch.zeros(2, *network.input.shape),)
        torch.onnx.export(copy.deepcopy(network.module), example, file, dynamo=False, training=kept, **options)
    return OnnxNetwork(file.getvalue(), network.input)


def test_half_precision_and_opsets_meet(file, samples, context, network):
    half = steps.get("ort-fp16")().apply(file, context)[0]
    found = diagnose(_unfolded(network), half, samples)
    rows = [row for row in found.layers if row.kind != "input"]
    assert [row.name for row in rows] == [*LAYERS, "classifier"]
    assert all(row.restored and 40 < row.sqnr_db < 100 for row in rows)


def test_pruned_channels_are_said_and_not_compared(network, samples, context):
    pruned = steps.get("structured-prune")(ratio=0.5).apply(network, context)[0]
    found = diagnose(network, pruned, samples)
    first, last = found.layers[0], found.layers[-1]
    assert first.variant_name == "conv1"
    assert first.weights.variant[0] < first.weights.reference[0]
    assert first.relative_mse is first.restored is first.added is None
    assert "channels are not" in first.reason
    assert "shape" in first.restored_reason
    assert last.name == "classifier"
    assert last.relative_mse > 0  # logits have one shape in both
    assert last.restored is None
    assert sorted(found.ranking) == sorted(row.name for row in found.layers)


class Residual(torch.nn.Module):
    """Two branches of unlike depth that are added; ``swapped`` writes the sum the other way round."""

    def __init__(self, swapped=False, broken=None):
        super().__init__()
        torch.manual_seed(5)
        self.stem = torch.nn.Conv2d(1, 6, 3, padding=1)
        self.first = torch.nn.Conv2d(6, 6, 3, padding=1)
        self.second = torch.nn.Conv2d(6, 6, 3, padding=1)
        self.shortcut = torch.nn.Conv2d(6, 6, 1)
        self.head = torch.nn.Linear(6 * 64, 10)
        self.swapped, self.broken = swapped, broken

    def forward(self, x):
        x = self.stem(x).relu()
        main = self.second(self.first(x).relu())
        if self.broken == "log":
            main = torch.log(main)
        side = self.shortcut(x)
        x = (side + main if self.swapped else main + side).relu()
        if self.broken == "add":
            x = x * 3
        return self.head(x.view(x.size(0), -1))


@pytest.fixture
def residual(network):
    def make(**options):
        with torch.random.fork_rng(devices=[]):
            return TorchNetwork(Residual(**options).eval(), network.input)

    return make


def test_branches_are_matched_whatever_the_order_of_a_sum(residual, samples):
    broken = _edit(residual(swapped=True), lambda module: _sign(module, "shortcut"))
    found = diagnose(residual(), broken, samples)
    assert all(row.name == row.variant_name or row.kind == "add" for row in found.layers)
    assert found.ranking[0] == "shortcut"
    assert found.layers[-2].kind == "add"
    assert found.layers[-2].restored.js.removed == pytest.approx(0, abs=1e-9)


def test_a_join_can_be_guilty(residual, samples):
    found = diagnose(residual(), residual(broken="add"), samples)
    first = next(row for row in found.layers if row.name == found.ranking[0])
    assert first.kind == "add"


def test_nan_is_ranked_first_with_its_reason(residual, samples):
    found = diagnose(residual(), residual(broken="log"), samples)
    assert found.ranking[0] == "second"
    rows = {row.name: row for row in found.layers}
    assert rows["second"].not_finite == NotFinite(samples=len(samples), own=True)
    assert "NaN or infinite values on 120 samples, of finite inputs" in rows["second"].reason
    assert rows["head"].not_finite == NotFinite(samples=len(samples), own=False)
    assert found.divergence.not_finite == len(samples)
    assert found.divergence.js.estimate == pytest.approx(np.log(2))
    assert rows["second"].restored.js.after == pytest.approx(0, abs=1e-9)
    assert LayerReport.model_validate_json(found.model_dump_json()) == found


def test_a_reference_that_gives_nan_is_refused(residual, samples):
    with pytest.raises(UserError, match="reference: its logits are NaN or infinite on 120 of 120"):
        diagnose(residual(broken="log"), residual(), samples)


def test_overflow_in_half_precision_is_found(file, samples, context):
    half = steps.get("ort-fp16")().apply(file, context)[0]
    stored = [t.name for t in onnx.load_model_from_string(half.model).graph.initializer]

    def edit(tensors, model):
        node = next(n for n in model.graph.node if "conv2" in n.name and n.op_type == "Conv")
        weight = numpy_helper.to_array(tensors[node.input[1]])
        tensors[node.input[1]].CopyFrom(numpy_helper.from_array(np.full_like(weight, 6e4), node.input[1]))

    assert stored
    found = diagnose(file, _saved(half, edit), samples)
    assert found.ranking[0] == "conv2"
    assert found.layers[[r.name for r in found.layers].index("conv2")].not_finite.own


class Longer(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.body = network
        self.more = torch.nn.Linear(10, 10)
        torch.nn.init.eye_(self.more.weight)
        torch.nn.init.zeros_(self.more.bias)

    def forward(self, x):
        return self.more(self.body(x))


def test_a_layer_of_the_variant_alone_is_listed(network, samples):
    with torch.random.fork_rng(devices=[]):
        longer = TorchNetwork(Longer(copy.deepcopy(network.module)).eval(), network.input)
    found = diagnose(network, _edit(longer, lambda module: _sign(module.body, "conv2")), samples)
    assert found.only_in_variant == ["more"]
    assert found.ranking[0] == "conv2"
    turned = diagnose(longer, network, samples)
    missing = turned.layers[-1]
    assert (missing.name, missing.variant_name, missing.restored) == ("more", None, None)
    assert missing.reason == missing.restored_reason == "the variant has no layer that answers to it"


def test_figures_do_not_depend_on_the_number_of_samples_beside(network, samples):
    variant = _edit(network, lambda module: _scale(module, "conv2"))
    every, few = diagnose(network, variant, samples), diagnose(network, variant, samples.take(slice(0, 40)))
    again = diagnose(network, variant, samples)
    assert every == again
    assert few.samples == 40
    assert few.layers[1].relative_mse != every.layers[1].relative_mse


def test_without_labels_only_the_divergence_is_restored(network, samples):
    variant = _edit(network, lambda module: _scale(module, "conv2"))
    found = diagnose(network, variant, Samples(samples.ids, samples.x, None))
    restored = found.layers[1].restored
    assert restored.js is not None
    assert restored.accuracy is restored.nll is None


FACTORY = """
import torch

def convolutions():
    torch.manual_seed(3)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(64, 10))

class Spectrum(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = convolutions()
    def forward(self, x):
        return self.body(torch.fft.fft2(x).real)

def odd():
    return Spectrum()

class Bare(torch.nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :10]

def bare():
    return Bare()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, samples):
    """A factory, a checkpoint with a flipped layer, ONNX files and data in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "guilty_nets.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("guilty_nets", None)
    import guilty_nets

    with torch.random.fork_rng(devices=[]):
        module = guilty_nets.convolutions()
    state = module.state_dict()
    save_file(state, tmp_path / "good.safetensors")
    save_file({**state, "2.weight": -state["2.weight"]}, tmp_path / "bad.safetensors")
    np.savez(tmp_path / "x.npz", x=samples.x[:40], y=samples.y[:40])
    np.savez(tmp_path / "wide.npz", x=np.zeros((4, 3, 8, 8), np.float32))
    return tmp_path


PAIR = ("guilty_nets:convolutions@good.safetensors", "guilty_nets:convolutions@bad.safetensors")


def test_command_prints_json(folder, capsys):
    assert run_cli(["why-diverged", *PAIR, "--data", "x.npz", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, json_schema("layers"))
    assert found["ranking"][0] == "2"
    assert {"name", "position", "sqnr_db", "cosine", "relative_mse", "restored"} <= set(found["layers"][0])
    assert [row["position"] for row in found["layers"]] == [0, 1, 2]
    assert set(found["layers"][1]["restored"]["js"]) == {"before", "after", "removed", "ci"}


def test_command_prints_a_table(folder, capsys):
    assert run_cli(["why-diverged", *PAIR, "--data", "x.npz"]) == 0
    shown = capsys.readouterr()
    lines = [line.split() for line in shown.out.splitlines()]
    (first,) = [line for line in lines if line[:1] == ["1"]]
    assert first[1] == "2"
    assert "(100%)" in first


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nets.onnx", PAIR[1], "--data", "x.npz"), "REFERENCE: no file nets.onnx"),
        ((*PAIR, "--data", "none.npz"), "no file 'none.npz'"),
        ((*PAIR, "--data", "wide.npz"), "does not take inputs (2, 3, 8, 8)"),
        ((PAIR[0], "guilty_nets:odd", "--data", "x.npz"), "VARIANT: it cannot be written as ONNX"),
        ((PAIR[0], "guilty_nets:bare", "--data", "x.npz"), "VARIANT: no layer can be matched: the reference has"),
        ((*PAIR, "--data", "x.npz", "--bounds", "1"), "--bounds: '1' is not LO,HI"),
        ((PAIR[0], "two.onnx", "--data", "x.npz"), "2 inputs: 'x', 'z'; give a network with one input"),
        ((PAIR[0], "branch.onnx", "--data", "x.npz"), "VARIANT: node 'choice' (If, opset 17): control flow"),
    ],
)
def test_a_mistake_is_one_line(folder, capsys, arguments, said):
    _odd_files(folder)
    assert run_cli(["why-diverged", *arguments, "--quiet"]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown
    assert len(shown.strip().splitlines()) == 1


def _odd_files(folder):
    make, value = onnx.helper, onnx.helper.make_tensor_value_info
    x, z, out = value("x", 1, ["n", 1, 8, 8]), value("z", 1, ["n", 64]), value("out", 1, ["n", 64])
    flat = make.make_node("Flatten", ["x"], ["f"])
    two = make.make_graph([flat, make.make_node("Add", ["f", "z"], ["out"])], "two", [x, z], [out])
    branch = [
        make.make_graph([make.make_node(kind, ["f"], [f"{kind}_out"])], kind, [], [value(f"{kind}_out", 1, None)])
        for kind in ("Relu", "Abs")
    ]
    choice = make.make_node("If", ["yes"], ["g"], name="choice", then_branch=branch[0], else_branch=branch[1])
    weight = numpy_helper.from_array(np.eye(64, 10, dtype=np.float32), "w")
    yes = numpy_helper.from_array(np.array(True), "yes")
    last = make.make_node("MatMul", ["g", "w"], ["out"])
    chosen = make.make_graph([flat, choice, last], "chosen", [x], [value("out", 1, ["n", 10])], [weight, yes])
    for name, graph in (("two", two), ("branch", chosen)):
        made = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=10)
        onnx.save(made, folder / f"{name}.onnx")
