"""What every ONNX Runtime step must do."""

import json
from dataclasses import replace

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.compression.base import steps
from bench.compression.chains import check_chain, run_step
from bench.compression.restoring import restore, to_bytes
from bench.errors import UserError
from bench.networks.network import OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.onnx_operators import optimised_operators
from bench.runtimes.onnx_session import LEVELS
from bench.runtimes.opening import open_predictor

# step, its parameters, the bits of its weights, and how far logits may move (of their spread, median)
ROWS = [
    ("ort-static-quant", {}, 8, 0.1),
    ("ort-static-quant", {"format": "qoperator"}, 8, 0.1),
    ("ort-static-quant", {"weight_type": "uint8"}, 8, 0.1),
    ("ort-static-quant", {"activation_type": "int8"}, 8, 0.1),
    ("ort-static-quant", {"activation_type": "uint16"}, 8, 0.05),
    ("ort-static-quant", {"activation_type": "int16", "symmetric": True}, 8, 0.05),
    ("ort-static-quant", {"method": "entropy", "bins": 256}, 8, 0.3),
    ("ort-dynamic-quant", {}, 8, 0.1),
    ("ort-dynamic-quant", {"weight_type": "uint8", "per_channel": False}, 8, 0.1),
    ("ort-dynamic-quant", {"reduce_range": True}, 8, 0.2),
    ("ort-int4", {}, 4, 0.7),
    ("ort-int4", {"symmetric": False, "block": 16}, 4, 0.7),
    ("ort-fp16", {}, 16, 0.005),
]
STEPS = sorted({name for name, *_ in ROWS})


def edge(optimisation="all", integer_sums="exact", **options):
    """With exact sums of 8-bit products: how far logits move is then the same on every processor."""
    given = {"optimisation": optimisation, "integer_sums": integer_sums, **options}
    return Target(name="edge", runtime="onnxruntime", **given)


def logits(network, digits, target=None):
    return open_predictor(network, target or edge()).logits(torch.from_numpy(digits.evaluation.x))[0]


@pytest.mark.parametrize("file", ["flatten", "mlp", "pool-dynamo"])
@pytest.mark.parametrize(("name", "options", "bits", "limit"), ROWS, ids=[f"{name}-{o}" for name, o, *_ in ROWS])
def test_nearly_the_same_function_in_fewer_bits(files, context, digits, capfd, file, name, options, bits, limit):
    before = files[file]
    made = run_step(steps.get(name)(**options), before, context)
    record = made.record["record"]
    expected = logits(before, digits)
    moved = (logits(made, digits) - expected).abs().amax(dim=1).median()
    assert 0 < moved < limit * expected.std()
    assert record["bits"] == {"nominal": bits, "stored": bits}
    assert record["bytes"] == {"before": len(before.model), "after": len(made.model)}
    assert record["running_operators"] == optimised_operators(made, edge(integer_sums="native"))
    onnx.checker.check_model(onnx.load_model_from_string(made.model))
    assert run_step(steps.get(name)(**options), before, context).model == made.model
    again = restore(json.loads(json.dumps(made.record)), to_bytes(made))
    assert (again.model, again.kind) == (made.model, made.kind)
    assert made.kind == steps.get(name)(**options).produces("onnx")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", STEPS)
def test_every_level_and_format_runs(files, context, digits, name):
    made = run_step(steps.get(name)(), files["pool"], context)
    plain = logits(made, digits, edge("disabled"))
    formats = ["onnx"] if name == "ort-int4" else ["onnx", "ort"]
    for level in LEVELS:
        for kind in formats:
            difference = (logits(made, digits, edge(level, format=kind)) - plain).abs().amax(dim=1)
            assert difference.median() < 1e-4


@pytest.mark.parametrize("name", STEPS)
def test_bad_files_are_refused(files, context, name):
    step = steps.get(name)()
    with pytest.raises(UserError, match="not a valid ONNX file"):
        step.apply(replace(files["pool"], model=b"nothing"), context)
    half = run_step(steps.get("ort-fp16")(), files["pool"], context)
    with pytest.raises(UserError, match="holds float16 weights already"):
        step.apply(half, context)


@pytest.mark.parametrize("name", STEPS)
def test_chains(name):
    step = steps.get(name)()
    check_chain("torch", [steps.get("onnx-export")(), step])
    with pytest.raises(UserError, match=r"it takes an ONNX file; put onnx-export before it"):
        check_chain("torch", [step])
    for kind in ("torch-quantised", "onnx-quantised"):
        with pytest.raises(UserError, match="already"):
            check_chain(kind, [step])


@pytest.mark.parametrize("name", [name for name in STEPS if "calibration" in steps.get(name).needs])
def test_calibration_is_needed(files, context, name):
    step = steps.get(name)()
    with pytest.raises(UserError, match=r"data.calibration: no calibration samples; give 1 or more"):
        step.apply(files["pool"], replace(context, calibration=context.calibration.take(slice(0, 0))))
    fixed = onnx.load_model_from_string(files["pool"].model)
    for entry in (*fixed.graph.input, *fixed.graph.output):
        entry.type.tensor_type.shape.dim[0].dim_value = 8
    eight = replace(files["pool"], model=fixed.SerializeToString())
    few = replace(context, calibration=context.calibration.take(slice(0, 3)))
    with pytest.raises(UserError, match=r"3 calibration samples; the file takes 8 at a time; give 8 or more"):
        step.apply(eight, few)


def shape_only(digits):
    """A file without any weight: the mean over the image, as one row a sample."""
    nodes = [helper.make_node("Flatten", ["x"], ["y"])]
    declared = replace(digits.input, classes=tuple(map(str, range(64))))
    graph = helper.make_graph(
        nodes,
        "flat",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return OnnxNetwork(model.SerializeToString(), declared, {"source": "test"})


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("ort-static-quant", {}, "nothing to quantise"),
        ("ort-dynamic-quant", {}, "nothing to quantise"),
        ("ort-int4", {}, "no convolution or matrix product in the file has a constant weight"),
        ("ort-int4", {"layers": "linear"}, "no matrix product in the file"),
    ],
)
def test_a_file_without_weights_is_refused(context, digits, name, options, match):
    with pytest.raises(UserError, match=match):
        steps.get(name)(**options).apply(shape_only(digits), context)


@pytest.mark.parametrize("name", ["ort-int4", "ort-dynamic-quant"])
def test_linear_layers_alone(files, context, name):
    made = run_step(steps.get(name)(layers="linear"), files["pool"], context)
    kept = [t for t in onnx.load_model_from_string(made.model).graph.initializer if len(t.dims) == 4]
    assert len(kept) == 2
    assert {numpy_helper.to_array(tensor).dtype.name for tensor in kept} == {"float32"}
    assert 4 < made.record["record"]["bits"]["stored"] < 32
