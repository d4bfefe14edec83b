import json

import onnx
import pytest
import torch
from torch import nn

from bench.compression.base import StepContext, steps
from bench.compression.chains import check_chain, run_step
from bench.compression.exporting import checks
from bench.compression.restoring import restore, to_bytes
from bench.errors import UserError
from bench.models.base import models
from bench.models.training import initialise
from bench.networks.network import OnnxNetwork, TorchNetwork
from bench.runtimes.base import Target
from bench.runtimes.onnx_operators import integer_kernels, optimised_operators
from bench.runtimes.opening import open_predictor

MODEL = models.get("convnet")()


@pytest.fixture(scope="module")
def network(zoo):
    return zoo("convnet")


@pytest.fixture(scope="module")
def quantised(network, digits):
    context = StepContext(digits.train, digits.calibration, None, 0)
    return {bits: run_step(steps.get("ptq")(bits=bits), network, context) for bits in (8, 4, 3)}


def export(network, context, **options):
    return run_step(steps.get("onnx-export")(**options), network, context)


def edge(optimisation="all", **options):
    """With exact sums of 8-bit products, as torch has them."""
    return Target(name="edge", runtime="onnxruntime", optimisation=optimisation, integer_sums="exact", **options)


def logits(network, digits, target=None, batch=256):
    predictor = open_predictor(network, target or Target(name="torch"))
    predictor.batch_size = batch
    return predictor.logits(torch.from_numpy(digits.evaluation.x))[0]


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_float_file_agrees_and_folds_batch_norm(network, context, digits, exporter, capfd):
    made = export(network, context, exporter=exporter)
    record = made.record["record"]
    assert made.kind == "onnx"
    for batch in (1, 7, 256):
        assert (logits(made, digits, edge(), batch) - logits(network, digits)).abs().max() < 1e-5
    assert record["batch_norms"] == {"before": 3, "folded_by_exporter": 3}
    assert "BatchNormalization" not in record["operators"]
    assert record["parity"]["levels"]["disabled"]["largest"] < 1e-5
    assert record["parity"]["levels"]["all"]["flips"] == 0
    model = onnx.load_model_from_string(made.model)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == record["ir"] <= 13
    assert b"site-packages" not in made.model  # the exporter's stack traces
    assert export(network, context, exporter=exporter).model == made.model
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bits", [8, 4, 3])
@pytest.mark.parametrize("level", ["disabled", "basic", "extended", "all"])
def test_quantised_file_computes_what_torch_computes(quantised, context, digits, bits, level):
    """Sums of products of integers are exact, so the only freedom is a rounding that falls the other way."""
    made = export(quantised[bits], context)
    expected = logits(quantised[bits], digits)
    for batch in (1, 7, 256):
        difference = (logits(made, digits, edge(level), batch) - expected).abs().amax(dim=1)
        assert difference.median() < 1e-4
        assert (difference > 1e-3).float().mean() < 0.2
        assert difference.max() < 0.1 * expected.std()


@pytest.mark.parametrize("bits", [8, 4, 3])
def test_the_record_tells_the_difference_at_each_level(quantised, context, bits):
    """What optimisation does to a quantised file is a finding, so no size is demanded but that of ``disabled``."""
    parity = export(quantised[bits], context).record["record"]["parity"]
    assert list(parity["levels"]) == ["disabled", "basic", "extended", "all"]
    assert parity["levels"]["disabled"]["median"] < 1e-5
    assert parity["levels"]["disabled"]["largest"] < 0.01 * parity["largest_logit"]  # one rounding at a tie
    for figures in parity["levels"].values():
        assert 0 <= figures["median"] <= figures["largest"]


@pytest.mark.parametrize("bits", [8, 4])
def test_quantised_file_holds_and_runs_integers(network, quantised, context, bits):
    made = export(quantised[bits], context)
    record = made.record["record"]
    weights = sum(p.numel() for name, p in network.module.named_parameters() if p.dim() > 1)
    assert made.kind == "onnx-quantised"
    assert record["weight_bytes"]["int8"] >= weights
    assert record["weight_bytes"]["float"] < 0.05 * 4 * weights
    assert len(made.model) < 0.45 * len(export(network, context).model)
    counts = optimised_operators(made, edge())
    assert counts["QLinearConv"] == 3
    assert counts["QGemm"] == 1
    assert not {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul"} & set(counts)
    assert record["integer_kernels"] == integer_kernels(counts) == 4


def test_quantised_file_is_plain(quantised, context):
    model = onnx.load_model_from_string(export(quantised[8], context).model)
    onnx.checker.check_model(model, full_check=True)
    assert [entry.name for entry in model.graph.input] == ["input"]
    assert [entry.name for entry in model.graph.output] == ["logits"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert {entry.domain for entry in model.opset_import} == {""}
    assert model.ir_version <= 13


def test_values_that_only_moved_stay_integers(context, digits):
    """Max pooling and flattening stand between quantiser and linear layer: still all integers, still the same."""
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10)).eval()
    made, _ = steps.get("ptq")(bits=6).apply(TorchNetwork(module, digits.input), context)
    exported, record = steps.get("onnx-export")().apply(made, context)
    counts = optimised_operators(exported, edge("extended"))
    assert record["integer_kernels"] == 2
    assert "DequantizeLinear" not in counts
    difference = (logits(exported, digits, edge()) - logits(made, digits)).abs().amax(dim=1)
    assert difference.median() < 1e-5


def test_export_leaves_the_network_alone(quantised, context, digits):
    before, expected = to_bytes(quantised[8]), logits(quantised[8], digits)
    state = torch.random.get_rng_state()
    first, second = export(quantised[8], context), export(quantised[8], context)
    assert first.model == second.model
    assert to_bytes(quantised[8]) == before
    assert torch.equal(logits(quantised[8], digits), expected)
    assert torch.equal(state, torch.random.get_rng_state())


def test_restores_from_its_bytes(quantised, context):
    made = export(quantised[4], context)
    again = restore(json.loads(json.dumps(made.record)), to_bytes(made))
    assert (again.model, again.kind) == (made.model, "onnx-quantised")


@pytest.mark.parametrize("opset", [13, 20])
def test_opsets(network, quantised, context, opset):
    for each in (network, quantised[8]):
        model = onnx.load_model_from_string(export(each, context, opset=opset).model)
        assert [entry.version for entry in model.opset_import] == [opset]


def test_a_file_that_computes_something_else_is_refused(network, quantised, context, digits):
    """The comparison is real: a file of other weights does not pass it."""
    module = initialise(MODEL, digits.input, 5)
    stranger = TorchNetwork(module, digits.input)
    strange = {False: export(stranger, context), True: export(run_step(steps.get("ptq")(), stranger, context), context)}
    for each in (network, quantised[8]):
        with pytest.raises(RuntimeError, match="computes something else"):
            checks.check_parity(each, OnnxNetwork(strange[each.quantised].model, each.input, quantised=each.quantised))


def test_float_weights_in_a_quantised_file_are_refused(quantised):
    with pytest.raises(RuntimeError, match=r"holds 0 of \d+ quantised weights as 8-bit integers"):
        checks.check_integers(quantised[8].module, {"float": 95680})


def test_nothing_is_printed_or_warned(quantised, context, capfd):
    export(quantised[8], context)
    assert capfd.readouterr() == ("", "")


def test_errors(network, quantised, context):
    with pytest.raises(UserError, match=r'onnx-export.exporter: .*keeps float weights.*; use "torchscript"'):
        export(quantised[8], context, exporter="dynamo")
    with pytest.raises(UserError, match=r"onnx-export.opset: the dynamo exporter starts at 18, not 13"):
        export(network, context, exporter="dynamo", opset=13)
    with pytest.raises(UserError, match="an ONNX file already"):
        check_chain("torch", [steps.get("onnx-export")(), steps.get("onnx-export")()])
