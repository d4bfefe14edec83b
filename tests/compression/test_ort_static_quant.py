import json
from dataclasses import replace

import onnx
import pytest
import torch
from onnx import numpy_helper

from bench.compression.base import StepContext, steps
from bench.compression.chains import check_chain, run_step
from bench.compression.onnx_runtime.files import quiet, simplified
from bench.compression.onnx_runtime.static_quantiser import reader
from bench.compression.restoring import restore, to_bytes
from bench.errors import UserError
from bench.models.base import models
from bench.models.training import preprocess
from bench.networks.network import OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.onnx_operators import optimised_operators
from bench.runtimes.opening import open_predictor

MODEL = models.get("convnet")()
EDGE = Target(name="edge", runtime="onnxruntime", integer_sums="exact")


@pytest.fixture(scope="module", params=["convnet", "convnet-normalised"], ids=["raw", "normalised"])
def exported(digits, zoo, request):
    context = StepContext(digits.train, digits.calibration, None, 0)
    return run_step(steps.get("onnx-export")(), zoo(request.param), context)


def quantise(network, context, **options):
    return run_step(steps.get("ort-static-quant")(**options), network, context)


def logits(network, digits):
    return open_predictor(network, EDGE).logits(torch.from_numpy(digits.evaluation.x))[0]


OPTIONS = [
    {},
    {"per_channel": False},
    {"symmetric": True},
    {"method": "percentile"},
    {"method": "entropy", "bins": 512},
    {"reduce_range": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_accuracy_integers_size_and_repetition(exported, context, digits, options, capfd):
    made = quantise(exported, context, **options)
    y = torch.from_numpy(digits.evaluation.y)
    before, after = logits(exported, digits), logits(made, digits)
    accuracy = [float((each.argmax(dim=1) == y).float().mean()) for each in (before, after)]
    assert accuracy[0] > 0.9
    assert abs(accuracy[1] - accuracy[0]) <= 0.01
    assert 0 < (after - before).abs().median() < 0.1 * before.std()
    assert made.kind == "onnx-quantised"
    assert len(made.model) < 0.45 * len(exported.model)
    counts = optimised_operators(made, EDGE)
    assert counts["QLinearConv"] == 3
    assert made.record["record"]["integer_kernels"] == 4
    assert not {"Conv", "FusedConv", "Gemm", "FusedGemm"} & set(counts)
    assert quantise(exported, context, **options).model == made.model
    assert capfd.readouterr() == ("", "")


def weights(network):
    """Stored int8 tensors of more than one dimension, by name."""
    model = onnx.load_model_from_string(network.model)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return arrays, {name: a for name, a in arrays.items() if a.dtype.name == "int8" and a.ndim > 1}


def test_parameters_reach_the_file(exported, context):
    _, per_channel = weights(quantise(exported, context))
    _, reduced = weights(quantise(exported, context, reduce_range=True))
    assert max(abs(int(a.min())) for a in per_channel.values()) > 64
    assert max(int(abs(a.astype(int)).max()) for a in reduced.values()) <= 64

    def scale_sizes(made):
        arrays, _ = weights(made)
        return sorted(a.size for name, a in arrays.items() if a.dtype.name == "float32")

    assert 64 in scale_sizes(quantise(exported, context))
    assert set(scale_sizes(quantise(exported, context, per_channel=False))) == {1}
    symmetric, plain = (weights(quantise(exported, context, symmetric=s))[0] for s in (True, False))
    assert not any(a.dtype.name == "uint8" for a in symmetric.values())
    assert any(a.dtype.name == "uint8" for a in plain.values())


def test_calibration_uses_preprocessed_samples(exported, context):
    """The first quantiser's range is that of the normalised images."""
    arrays, _ = weights(quantise(exported, context))
    mean, std = exported.input.mean[0], exported.input.std[0]
    low, high = ((float(edge(context.calibration.x)) - mean) / std for edge in (lambda x: x.min(), lambda x: x.max()))
    scale = [float(a) for name, a in arrays.items() if name.startswith("input") and name.endswith("scale")]
    assert scale == [pytest.approx((high - low) / 255, rel=1e-5)]


def test_fixed_batch_of_one(exported, context, digits):
    model = onnx.load_model_from_string(exported.model)
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.shape.dim[0].dim_value = 1
    fixed = OnnxNetwork(model.SerializeToString(), exported.input, exported.record)
    assert torch.equal(logits(quantise(fixed, context), digits), logits(quantise(exported, context), digits))


def test_restores_from_its_bytes_and_input_is_untouched(exported, context):
    before = exported.sha256
    made = quantise(exported, context)
    again = restore(json.loads(json.dumps(made.record)), to_bytes(made))
    assert (again.model, again.kind) == (made.model, "onnx-quantised")
    assert exported.sha256 == before


def test_errors(exported, context):
    quant, export, ptq = (steps.get(name) for name in ("ort-static-quant", "onnx-export", "ptq"))
    with pytest.raises(UserError, match=r"data.calibration: no calibration samples"):
        quantise(exported, replace(context, calibration=context.calibration.take(slice(0, 0))))
    with pytest.raises(UserError, match=r"steps\[0\]: ort-static-quant cannot follow a torch network: it takes"):
        check_chain("torch", [quant()])
    with pytest.raises(UserError, match="quantised already"):
        check_chain("torch", [export(), quant(), quant()])
    with pytest.raises(UserError, match="quantised already"):
        check_chain("torch", [ptq(), export(), quant()])


@pytest.mark.parametrize("options", [{}, {"symmetric": True}, {"format": "qoperator"}, {"reduce_range": True}], ids=str)
def test_it_is_what_the_tool_makes(exported, context, options, tmp_path):
    """The ready-made function of ONNX Runtime gives the same weights, scales and zero points."""
    from onnxruntime import quantization as ort

    x = preprocess(torch.from_numpy(context.calibration.x), exported.input).numpy()
    source, result = tmp_path / "source.onnx", tmp_path / "result.onnx"
    symmetric = options.get("symmetric", False)
    with quiet():
        source.write_bytes(simplified(exported.model).SerializeToString())
        ort.quantize_static(
            source,
            result,
            reader("input", x, 1),
            quant_format=ort.QuantFormat.QOperator if "format" in options else ort.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=options.get("reduce_range", False),
            activation_type=ort.QuantType.QInt8 if symmetric else ort.QuantType.QUInt8,
            extra_options={"ActivationSymmetric": symmetric},
        )
    expected, _ = weights(OnnxNetwork(result.read_bytes(), exported.input))
    found, _ = weights(quantise(exported, context, **options))
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name]).all() and found[name].dtype == expected[name].dtype for name in found)


def ranges(network):
    """The width of every activation's range, by the name of its quantiser."""
    model = onnx.load_model_from_string(network.model)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    quantisers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    return {node.output[0]: 255 * float(arrays[node.input[1]]) for node in quantisers}


def test_percentile_and_entropy_clip(exported, context):
    """Both leave out rare large values; with as few bins as it compares, entropy could not."""
    whole = ranges(quantise(exported, context))
    for options in ({"method": "percentile", "percentile": 99.0}, {"method": "entropy", "bins": 512}):
        clipped = ranges(quantise(exported, context, **options))
        assert clipped.keys() == whole.keys()
        assert all(clipped[name] <= whole[name] * 1.001 for name in whole)
        assert min(clipped[name] / whole[name] for name in whole) < 0.9
    every = ranges(quantise(exported, context, method="percentile", percentile=100, bins=16384))
    assert all(every[name] == pytest.approx(whole[name], rel=0.01) for name in whole)


def test_combinations_without_kernels_are_refused():
    quant = steps.get("ort-static-quant")
    with pytest.raises(ValueError, match="signed activations with uint8 weights"):
        quant(symmetric=True, weight_type="uint8")
    with pytest.raises(ValueError, match="uint16 activations exist only as qdq"):
        quant(format="qoperator", activation_type="uint16")
    assert quant(symmetric=True, activation_type="uint8", weight_type="uint8").activations == "uint8"


def test_wide_activations_run_on_floating_point(exported, context):
    record = quantise(exported, context, activation_type="uint16").record["record"]
    assert record["integer_kernels"] == 0
    assert record["running_operators"]["Conv"] == 3
