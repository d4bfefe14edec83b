import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from bench.compression.base import steps
from bench.compression.ort_fp16 import largest_values
from bench.errors import UserError
from bench.networks.network import OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor


def scaled(network, name, factor):
    """The file with one of its weights multiplied."""
    model = onnx.load_model_from_string(network.model)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), name))
            return OnnxNetwork(model.SerializeToString(), network.input, network.record)
    raise AssertionError([tensor.name for tensor in model.graph.initializer])


def test_inside_half_outside_float(files, context):
    made, record = steps.get("ort-fp16")().apply(files["pool"], context)
    graph = onnx.load_model_from_string(made.model).graph
    kinds = [entry.type.tensor_type.elem_type for entry in (*graph.input, *graph.output)]
    assert kinds == [TensorProto.FLOAT, TensorProto.FLOAT]
    assert {t.data_type for t in graph.initializer if t.dims} == {TensorProto.FLOAT16}
    assert record["bits"]["stored"] == 16
    assert made.kind == "onnx"


def test_the_record_names_the_largest_value(files, trained, context, digits):
    """The torch network's own activations have that size."""
    _, record = steps.get("ort-fp16")().apply(files["pool"], context)
    seen = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, out: seen.append(float(out.abs().max())))
        for module in trained["pool"].module.modules()
        if not list(module.children()) and not isinstance(module, torch.nn.Conv2d)  # BatchNorm is folded into it
    ]
    with torch.no_grad():
        trained["pool"].module(torch.from_numpy(digits.calibration.x))
    for hook in hooks:
        hook.remove()
    assert record["largest_value"]["value"] == pytest.approx(max(seen), rel=1e-4)
    assert record["calibration_samples"] == len(digits.calibration)


def test_a_value_inside_that_overflows_is_refused(files, context):
    names = [
        t.name for t in onnx.load_model_from_string(files["mlp-dynamo"].model).graph.initializer if len(t.dims) > 1
    ]
    loud = files["mlp-dynamo"]
    for name in names[:2]:
        loud = scaled(loud, name, 1e3)
    with pytest.raises(UserError, match=r"ort-fp16: fp16 overflow: '.*' reaches .*e\+\d+ on the calibration samples"):
        steps.get("ort-fp16")().apply(loud, context)
    finite = open_predictor(loud, Target(name="edge", runtime="onnxruntime")).logits(torch.zeros(1, 1, 8, 8))
    assert finite.isfinite().all()  # float32 holds it


def test_a_weight_that_overflows_is_refused(files, context):
    name = next(t.name for t in onnx.load_model_from_string(files["mlp-dynamo"].model).graph.initializer if t.dims)
    with pytest.raises(UserError, match=rf"fp16 overflow: the weight '{name}' holds .*; float16 ends at 65504"):
        steps.get("ort-fp16")().apply(scaled(files["mlp-dynamo"], name, 1e7), context)


def test_headroom_is_asked_for(files, context):
    steps.get("ort-fp16")(headroom=100).apply(files["pool"], context)
    with pytest.raises(UserError, match=r"float16 ends at 0\.65504 here"):
        steps.get("ort-fp16")(headroom=1e5).apply(files["pool"], context)


def test_largest_values_are_those_of_all_batches(files, digits):
    model = onnx.load_model_from_string(files["pool"].model)
    x = digits.evaluation.x[:10]
    whole = largest_values(model, "input", x, 1)
    parts = [largest_values(model, "input", x[index : index + 1], 1) for index in range(10)]
    assert whole == {name: max(part[name] for part in parts) for name in whole}
    assert list(whole)[-1] == "logits"
