"""Files that ONNX Runtime runs are read: open sizes of -1, nodes out of order, old versions, fixed batches, types."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.networks.network import InputSpec
from bench.onnx_files.probing import probe_answer
from bench.outside_networks.loading import load_outside
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

DECLARED = InputSpec(shape=(1, 2, 2), classes=("a", "b", "c"))
WEIGHT = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
X = np.random.default_rng(1).uniform(size=(5, 1, 2, 2)).astype(np.float32)
EDGE = Target(name="edge", runtime="onnxruntime")


def model(*, shape=("n", 1, 2, 2), kind=TensorProto.FLOAT, ir=10, order=(0, 1), extra=(), outputs=("y",), last=()):
    """Flatten, then a matrix; ``extra`` nodes after them."""
    dtype = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64}[kind]
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    shapes = {"y": [shape[0], 3], "flat": [shape[0], 4]} | dict(last)
    graph = helper.make_graph(
        [nodes[place] for place in order] + list(extra),
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, kind, shapes[name]) for name in outputs],
        [numpy_helper.from_array(WEIGHT.astype(dtype), "w")],
    )
    return helper.make_model(graph, ir_version=ir, opset_imports=[helper.make_opsetid("", 13)])


def load(path, made, declared=DECLARED):
    path.write_bytes(made.SerializeToString())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])  # the runtime takes the file
    return load_outside(declared, onnx=path), session


READ = {
    "size -1": model(shape=(-1, 1, 2, 2)),
    "all sizes -1": model(shape=(-1, -1, -1, -1)),
    "out of order": model(order=(1, 0)),
    "IR 3": model(ir=3),
    "batch 1": model(shape=(1, 1, 2, 2)),
    "batch 4": model(shape=(4, 1, 2, 2)),
    "float16": model(kind=TensorProto.FLOAT16),
    "double": model(kind=TensorProto.DOUBLE),
    "classes 1 1": model(
        extra=[helper.make_node("Unsqueeze", ["y", "axes"], ["deep"]), *()],
        outputs=("deep",),
        last={"deep": ["n", 3, 1, 1]},
    ),
    "scores are the second output": model(outputs=("flat", "y")),
}
axes = numpy_helper.from_array(np.array([2, 3]), "axes")
READ["classes 1 1"].graph.initializer.append(axes)


@pytest.mark.parametrize("made", READ.values(), ids=READ)
def test_what_the_runtime_runs_is_read_right(tmp_path, made):
    network, _ = load(tmp_path / "net.onnx", made)
    predictor = open_predictor(network, EDGE)
    found = predictor.logits(torch.from_numpy(X))[0].numpy()
    half = made.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16
    np.testing.assert_allclose(
        found, X.reshape(5, 4) @ WEIGHT, rtol=5e-3 if half else 1e-5, atol=1e-3 if half else 1e-6
    )
    predictor.trust(torch.from_numpy(X))  # the imported graph takes the same file
    twin = predictor.differentiable()(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(twin, found, rtol=2e-3, atol=1e-5)


def test_what_the_rules_forbid_is_put_right_and_nothing_else(tmp_path):
    for name in ("size -1", "out of order", "IR 3"):
        network, _ = load(tmp_path / "net.onnx", READ[name])
        onnx.checker.check_model(onnx.load_model_from_string(network.model), full_check=True)
        assert network.model != READ[name].SerializeToString()
    for name in ("batch 1", "float16", "scores are the second output"):
        network, _ = load(tmp_path / "net.onnx", READ[name])
        assert network.model == READ[name].SerializeToString()


def test_nodes_of_branches_are_sorted_too(tmp_path):
    """ONNX Runtime itself sorts the main graph alone."""
    inner = [helper.make_node("Neg", ["b"], ["c"]), helper.make_node("Identity", ["y"], ["b"])]
    graphs = {
        f"{name}_branch": helper.make_graph(
            inner, name, [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, ["n", 3])]
        )
        for name in ("then", "else")
    }
    made = model(extra=[helper.make_node("If", ["yes"], ["z"], **graphs)], outputs=("z",), last={"z": ["n", 3]})
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    (tmp_path / "net.onnx").write_bytes(made.SerializeToString())
    network = load_outside(DECLARED, onnx=tmp_path / "net.onnx")
    found = open_predictor(network, EDGE).logits(torch.from_numpy(X))[0].numpy()
    np.testing.assert_allclose(found, -X.reshape(5, 4) @ WEIGHT, rtol=1e-5)


def test_several_outputs(tmp_path):
    """The first whose second size is the number of classes, or the named one; costs are the whole file's."""
    made = model(
        extra=[helper.make_node("Neg", ["y"], ["turned"])],
        outputs=("flat", "y", "turned"),
        last={"turned": ["n", 3]},
    )
    network, _ = load(tmp_path / "net.onnx", made)
    assert network.input.output_name == "y"
    assert network.record["input"]["output_name"] == "y"
    named, _ = load(tmp_path / "net.onnx", made, replace(DECLARED, output_name="turned"))
    x = torch.from_numpy(X)
    first, second = (open_predictor(item, EDGE) for item in (network, named))
    np.testing.assert_allclose(second.logits(x).numpy(), -first.logits(x).numpy())
    assert first.file == made.SerializeToString()
    assert len(first.as_shipped().session.get_outputs()) == 3
    unknown = replace(DECLARED, classes=())
    said = r"several outputs may be class scores: 'flat' \(4\), 'y' \(3\), 'turned' \(3\); say which: input = .*turned"
    with pytest.raises(UserError, match=said):
        probe_answer(network.model, unknown, "onnx")
    with pytest.raises(UserError, match=r"the file has no output 'trned'; did you mean 'turned'\?"):
        load(tmp_path / "net.onnx", made, replace(DECLARED, output_name="trned"))
    with pytest.raises(UserError, match=r"two images give 'flat' float32 of shape \(2, 4\); put out \(batch, 3\)"):
        load(tmp_path / "net.onnx", made, replace(DECLARED, output_name="flat"))


def test_codes_are_no_class_scores(tmp_path):
    made = model(extra=[helper.make_node("Cast", ["y"], ["q"], to=TensorProto.UINT8)], outputs=("y",))
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("q", TensorProto.UINT8, ["n", 3]))
    with pytest.raises(UserError, match=r"two images give 'q' uint8 of shape \(2, 3\); put out .* in floating point"):
        load(tmp_path / "net.onnx", made)
