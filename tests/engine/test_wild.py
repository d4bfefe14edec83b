"""Two real classifiers out of other people's packages: every figure against onnxruntime and numpy by hand."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from bench import api
from bench.engine.networks import Networks
from bench.engine.planning import plan_suite
from bench.store.store import Store
from bench.suite.load import load_suite

SUITES = Path(__file__).parents[2] / "suites"
SHIPPED = {
    "wild": ("qonnx", "data/onnx/mnist-conv/model.onnx"),
    "wild-angle": ("rapidocr", "models/ch_ppocr_mobile_v2.0_cls_mobile.onnx"),
}
IMAGES = 60  # a part of what the shipped suites measure: the sums by hand are the same
FEWER = 4  # samples where no figure by hand stands beside: of attacks, of Jacobians, of the trial of gradients
STATIC_STEP = 1 / 255  # of a softmax quantised to uint8 between 0 and 1


@pytest.fixture(scope="module", params=SHIPPED)
def measured(request, tmp_path_factory):
    """A suite's name, its judged results, its data, and the bytes of every network in it."""
    package, path = SHIPPED[request.param]
    pytest.importorskip("mlxtend")
    shipped = Path(pytest.importorskip(package).__file__).parent / path
    folder = tmp_path_factory.mktemp("suite")
    for name in SHIPPED:
        text = (SUITES / f"{name}.toml").read_text()
        (folder / f"{name}.toml").write_text(re.sub(r"(?m)^samples = \d+", f"samples = {FEWER}", text))
    fewer = folder / "fewer.toml"
    data = f"[data]\nevaluation = {IMAGES}\ncalibration = 64\n"
    fewer.write_text(f'extends = "{request.param}.toml"\nname = "{request.param}"\n{data}')
    suite = load_suite(fewer)
    assert suite.reference.outside.onnx.samefile(shipped)
    assert suite.reference.outside.input.get("output") is None
    store = str(tmp_path_factory.mktemp("store"))
    planned = plan_suite(suite)
    plan, dataset = planned.plan, planned.dataset
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.probes.batching.PIXELS", FEWER * dataset.evaluation.x[0].size)  # no batches to fill
        patch.setattr("bench.probes.gradient_view.TRIAL", FEWER)
        results = api.run(suite, store=store, dataset=dataset)
    networks = Networks(Store(store), dataset, lambda message: None)
    files = {cell.variant: networks.get(cell.network).model for cell in plan.cells}
    return request.param, results, dataset.evaluation, {"reference": shipped.read_bytes()} | files


def answers(model, x, value=None):
    """What the file puts out, or that value of it, one sample at a time, its 8-bit products summed exactly."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(value, {name: x[i : i + 1]})[0] for i in range(len(x))]).astype(np.float64)


def softmax(logits):
    made = np.exp(logits - logits.max(axis=1, keepdims=True))
    return made / made.sum(axis=1, keepdims=True)


def probabilities(suite, variant, model, x):
    if suite == "wild":
        return softmax(answers(model, x))
    x = ((x - np.float32(0.5)) / np.float32(0.5)).astype(np.float32)
    if variant == "fp16":  # probabilities in float16 are too coarse to compare with: what its softmax reads
        loaded = onnx.load_model_from_string(model)
        (read,) = (node.input[0] for node in loaded.graph.node if node.op_type == "Softmax")
        loaded.graph.output.append(onnx.ValueInfoProto(name=read))
        return softmax(answers(loaded.SerializeToString(), x, [read]))
    made = answers(model, x)
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=2 * STATIC_STEP)
    made = np.maximum(made, STATIC_STEP if variant == "static-int8" else 0)
    return made / made.sum(axis=1, keepdims=True)


def entropy(p):
    return -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)


def test_every_figure_is_the_one_by_hand(measured):
    name, results, samples, files = measured
    shown = {key: probabilities(name, key, model, samples.x) for key, model in files.items()}
    values = {(cell.variant, cell.metric): cell.values for cell in results.cells}
    assert {cell.status for cell in results.cells} == {"ok"}
    p, rows = shown["reference"], np.arange(len(samples))
    right = {key: (made.argmax(axis=1) == samples.y).mean() for key, made in shown.items()}
    nll = {key: -np.log(made[rows, samples.y]).mean() for key, made in shown.items()}
    assert right["reference"] > 0.95
    assert nll["reference"] < 0.15
    for variant in set(files) - {"reference"}:
        q = shown[variant]
        accuracy, calibration = (values[variant, key] for key in ("fidelity.accuracy", "uncertainty.calibration"))
        predictions = values[variant, "fidelity.predictions"]
        assert accuracy["accuracy"].reference == right["reference"]
        assert accuracy["accuracy"].variant == right[variant]
        assert predictions["flip_rate"].estimate == (p.argmax(axis=1) != q.argmax(axis=1)).mean()
        assert calibration["nll"].reference == pytest.approx(nll["reference"], rel=1e-4)
        assert calibration["nll"].variant == pytest.approx(nll[variant], rel=1e-4)
        js = (entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2).mean()
        assert predictions["js"].estimate == pytest.approx(js, rel=1e-3, abs=1e-10)


def test_the_variants_are_what_they_say(measured):
    name, results, _, files = measured
    kinds = {}
    for key, model in files.items():
        loaded = onnx.load_model_from_string(model)
        kinds[key] = {node.op_type for node in loaded.graph.node}
        kinds[key] |= {numpy_helper.to_array(tensor).dtype.name for tensor in loaded.graph.initializer}
    assert {"QuantizeLinear", "int8"} <= kinds["static-int8"]
    assert {"DynamicQuantizeLinear", "int8"} <= kinds["dynamic-int8"]
    assert "float16" in kinds["fp16"]
    if "fold" in files:
        assert "BatchNormalization" in kinds["reference"] - kinds["fold"]
    figures = {(cell.variant, cell.metric): cell.values for cell in results.cells}
    for key in set(files) - {"reference"}:
        size = figures[key, "cost"]["file_bytes"]
        open_sizes = 22 if name == "wild-angle" else 0  # what its two sizes of -1 took
        assert (size.reference, size.variant) == (len(files["reference"]) - open_sizes, len(files[key]))
