"""Files of old opsets: raised where their answers stay the same, else refused."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, version_converter

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.onnx_runtime.opsets import modern
from bench.data.digits import Digits
from bench.errors import UserError
from bench.models.base import Recipe
from bench.networks.network import OnnxNetwork

STEPS = ("ort-static-quant", "ort-dynamic-quant", "ort-fp16", "ort-int4")
OWN = np.random.default_rng(0)
WEIGHT, BIAS = (OWN.normal(size=size).astype(np.float32) for size in ((64, 10), (1, 10)))


@pytest.fixture(scope="module")
def digits():
    return Digits().load(100, 64)


@pytest.fixture
def context(digits):
    return StepContext(digits.train, digits.calibration, Recipe(epochs=1), 11)


def old(digits, opset=8, ir=3, bias=BIAS):
    """As CNTK wrote files: initialisers are inputs too, one bias of shape (1, classes), its batch fixed to 1."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["y"]),
    ]
    stored = {"shape": np.array([1, 64]), "w": WEIGHT, "b": bias}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 8, 8])]
    inputs += [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in stored.items()
    ]
    graph = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    return OnnxNetwork(model.SerializeToString(), digits.input, {"source": "onnx"})


def outputs(model, digits):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # 8-bit products do not saturate
    session = onnxruntime.InferenceSession(model, options)
    return np.concatenate([session.run(None, {"x": x[None]})[0] for x in digits.evaluation.x])


@pytest.mark.parametrize(("opset", "ir"), [(8, 3), (11, 6), (12, 7)])
def test_a_raised_file_is_the_same_function(digits, opset, ir):
    network = old(digits, opset, ir)
    raised, notes = modern(network, "step")
    assert notes == [f"raised from opset {opset} to 13; outputs on 8 probes stay the same"]
    model = onnx.load_model_from_string(raised.model)
    assert (model.opset_import[0].version, [value.name for value in model.graph.input]) == (13, ["x"])
    expected = digits.evaluation.x.reshape(-1, 64) @ WEIGHT + BIAS
    np.testing.assert_allclose(outputs(raised.model, digits), expected, rtol=1e-5, atol=1e-5)


def test_a_new_file_is_left_alone(digits):
    network = old(digits, 13, 7)
    assert modern(network, "step") == (network, [])


@pytest.mark.parametrize("bias", [BIAS, BIAS[0], np.float32([[0.5]]), np.float32(0.5)], ids=lambda b: str(b.shape))
@pytest.mark.parametrize("name", STEPS)
def test_every_step_takes_it(digits, context, name, bias):
    made = run_step(steps.get(name)(), old(digits, bias=bias), context)
    assert made.record["record"]["notes"] == ["raised from opset 8 to 13; outputs on 8 probes stay the same"]
    expected = digits.evaluation.x.reshape(-1, 64) @ WEIGHT + bias
    near = {"ort-fp16": 0.005, "ort-int4": 0.3}.get(name, 0.03)
    assert np.abs(outputs(made.model, digits) - expected).max() < near * np.abs(expected).max()


def test_a_bias_that_others_read_stays(digits, context):
    network = old(digits)
    model = onnx.load_model_from_string(network.model)
    model.graph.node[-1].output[0] = "sum"
    model.graph.node.append(helper.make_node("Sub", ["sum", "b"], ["y"]))
    shared = OnnxNetwork(model.SerializeToString(), digits.input, {"source": "onnx"})
    made = run_step(steps.get("ort-static-quant")(), shared, context)
    expected = digits.evaluation.x.reshape(-1, 64) @ WEIGHT
    assert np.abs(outputs(made.model, digits) - expected).max() < 0.03 * np.abs(expected).max()


def test_what_cannot_be_raised_is_refused(digits, monkeypatch):
    real = version_converter.convert_version

    def bent(model, opset):
        made = real(model, opset)
        tensor = next(each for each in made.graph.initializer if each.name == "b")
        tensor.CopyFrom(numpy_helper.from_array(BIAS + np.float32(0.1), "b"))
        return made

    monkeypatch.setattr(version_converter, "convert_version", bent)
    with pytest.raises(UserError, match=r"^step: the file uses opset 8 and answers otherwise at 13, by 0\.0\d+ of its"):
        modern(old(digits), "step")

    def none(model, opset):
        raise RuntimeError("no adapter\nmore")

    monkeypatch.setattr(version_converter, "convert_version", none)
    said = r"opset 8 and cannot be raised to 13: no adapter; export it with opset 13 or newer$"
    with pytest.raises(UserError, match=said):
        modern(old(digits), "step")
