from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.compression.base import steps
from bench.errors import NotApplicable, NotDifferentiable, UserError
from bench.networks.network import InputSpec, OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.onnx_operators import integer_kernels, operators, optimised_operators
from bench.runtimes.onnx_session import LEVELS
from bench.runtimes.opening import open_predictor

TARGET = Target(name="edge", runtime="onnxruntime")
SMALL = InputSpec(shape=(1, 2, 2), classes=("a", "b", "c"))


def linear_file(batch="n", kind=TensorProto.FLOAT, dynamic=False, ir=10, extra_input=False) -> bytes:
    """Flatten and a matrix product with a weight of 0, 1, 2, ..., written by hand."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    weight = np.arange(12, dtype=dtype).reshape(4, 3)
    nodes = [helper.make_node("Flatten", ["x"], ["flat"])]
    initialisers = [numpy_helper.from_array(weight, "w")]
    if dynamic:
        scale = {"ws": np.float32(1), "wz": np.uint8(0), "wq": weight.astype(np.uint8)}
        initialisers = [numpy_helper.from_array(np.asarray(value), name) for name, value in scale.items()]
        nodes += [
            helper.make_node("DynamicQuantizeLinear", ["flat"], ["q", "s", "z"]),
            helper.make_node("MatMulInteger", ["q", "wq", "z", "wz"], ["sum"]),
            helper.make_node("Cast", ["sum"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["real", "s"], ["y"]),
        ]
    else:
        nodes.append(helper.make_node("MatMul", ["flat", "w"], ["y"]))
    inputs = [helper.make_tensor_value_info("x", kind, [batch, 1, 2, 2])]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("other", kind, [1]))
    outputs = [helper.make_tensor_value_info("y", kind, [batch, 3])]
    graph = helper.make_graph(nodes, "linear", inputs, outputs, initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=ir)
    return model.SerializeToString()


def small(**options) -> OnnxNetwork:
    return OnnxNetwork(linear_file(**options), SMALL)


def product(images: torch.Tensor) -> torch.Tensor:
    return images.flatten(1) @ torch.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_agrees_with_torch(network, exported, x, level):
    found = open_predictor(exported, replace_level(level)).logits(x)
    expected = open_predictor(network, Target(name="torch")).logits(x)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-5


def replace_level(level) -> Target:
    return Target(name="edge", runtime="onnxruntime", optimisation=level)


def test_the_level_reaches_the_runtime(exported):
    plain = optimised_operators(exported, replace_level("disabled"))
    best = optimised_operators(exported, replace_level("extended"))
    assert plain == operators(exported.model)
    assert "FusedConv" in best
    assert "FusedConv" not in plain


def test_batches_and_threads_give_equal_results(exported, x):
    reference = open_predictor(exported, TARGET).logits(x)
    threaded = open_predictor(exported, Target(name="e", runtime="onnxruntime", threads=2))
    assert threaded.session.get_session_options().intra_op_num_threads == 2
    for size in (1, 7, len(x)):
        threaded.batch_size = size
        torch.testing.assert_close(threaded.logits(x), reference, rtol=1e-5, atol=1e-5)


def test_floor_changes_batch_and_threads_only(exported, x):
    plain, floor = open_predictor(exported, TARGET), open_predictor(exported, TARGET, floor=True)
    assert floor.batch_size != plain.batch_size
    options = [each.session.get_session_options() for each in (plain, floor)]
    assert options[0].intra_op_num_threads == 1
    assert options[1].intra_op_num_threads == 2
    assert options[0].graph_optimization_level == options[1].graph_optimization_level
    assert (floor.logits(x) - plain.logits(x)).abs().max() < 1e-4


def test_no_gradients(exported):
    with pytest.raises(NotDifferentiable, match="onnxruntime"):
        open_predictor(exported, TARGET).differentiable()


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_fixed_and_free_batches(batch):
    images = torch.rand(11, 1, 2, 2)
    predictor = open_predictor(small(batch=batch), TARGET)
    torch.testing.assert_close(predictor.logits(images)[0], product(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_other_float_inputs(kind):
    images = torch.rand(3, 1, 2, 2)
    found = open_predictor(small(kind=kind), TARGET).logits(images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0], product(images), rtol=1e-2, atol=1e-2)


def test_dynamic_quantisation_runs_at_batch_one():
    images = torch.rand(6, 1, 2, 2) * torch.tensor([1.0, 0.1, 0.5, 0.01, 1.0, 0.3]).view(-1, 1, 1, 1)
    predictor = open_predictor(small(dynamic=True), TARGET)
    assert predictor.spec.batch_dependent
    together, backwards = predictor.logits(images), predictor.logits(images.flip(0)).flip(1)
    assert torch.equal(together, backwards)
    whole = predictor.forward(images)  # one range for all: another function
    assert not torch.equal(together, whole)


def test_an_ordinary_file_is_not_batch_dependent(exported):
    assert not open_predictor(exported, TARGET).spec.batch_dependent


def test_operators_counts_nested_graphs():
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["out"])],
        "branch",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3])],
    )
    node = helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch)
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3]),
        helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])]
    model = helper.make_model(helper.make_graph([node], "main", inputs, outputs))
    assert operators(model.SerializeToString()) == {"If": 1, "Relu": 2}


def test_missing_provider(exported):
    with pytest.raises(UserError, match=r"target.edge.provider: 'CUDAExecutionProvide' is not in onnxruntime"):
        open_predictor(exported, Target(name="edge", runtime="onnxruntime", provider="CUDAExecutionProvide"))


@pytest.mark.parametrize("model", [b"", b"not an onnx file", linear_file(ir=99)])
def test_file_that_cannot_be_loaded(model):
    with pytest.raises(UserError, match=r"onnx: ONNX Runtime .* cannot load the file") as caught:
        open_predictor(OnnxNetwork(model, SMALL), TARGET)
    assert "\n" not in str(caught.value)


def test_external_data_is_refused(tmp_path):
    model = onnx.load_model_from_string(linear_file())
    onnx.save_model(
        model,
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
        convert_attribute=True,
    )
    with pytest.raises(UserError, match="self-contained"):
        open_predictor(OnnxNetwork((tmp_path / "m.onnx").read_bytes(), SMALL), TARGET)


def test_wrong_shape_classes_and_inputs():
    with pytest.raises(UserError, match=r"samples of shape \(1, 2, 2\), the data has \(3, 2, 2\)"):
        open_predictor(OnnxNetwork(linear_file(), replace(SMALL, shape=(3, 2, 2))), TARGET)
    with pytest.raises(UserError, match=r"it must be \(1, 2\)"):
        open_predictor(OnnxNetwork(linear_file(), replace(SMALL, classes=("a", "b"))), TARGET)
    with pytest.raises(UserError, match=r"takes 2 inputs \(x, other\)"):
        open_predictor(small(extra_input=True), TARGET)


def test_undeclared_classes_are_found_out():
    network = OnnxNetwork(linear_file(), replace(SMALL, classes=()))
    assert open_predictor(network, TARGET).logits(torch.zeros(2, 1, 2, 2)).shape == (1, 2, 3)


@pytest.mark.parametrize("level", LEVELS)
def test_ort_files_compute_the_same(network, exported, x, level):
    target = Target(name="edge", runtime="onnxruntime", optimisation=level, format="ort")
    predictor = open_predictor(exported, target)
    assert predictor.file[4:8] == b"ORTM"
    assert (predictor.logits(x) - open_predictor(network, Target(name="torch")).logits(x)).abs().max() < 1e-5
    assert optimised_operators(exported, target) == optimised_operators(exported, replace_level(level))


def test_the_format_is_part_of_the_target():
    kinds = [Target(name="e", runtime="onnxruntime", format=kind).canonical() for kind in ("onnx", "ort")]
    assert [kind["format"] for kind in kinds] == ["onnx", "ort"]
    assert "format" not in Target(name="e").canonical()
    with pytest.raises(ValueError, match="'onnx' or 'ort'"):
        Target(name="e", format="tflite")


def test_what_an_ort_file_cannot_hold_is_not_applicable(exported, context):
    made, _ = steps.get("ort-int4")().apply(exported, context)
    with pytest.raises(
        NotApplicable, match=r"onnxruntime \S+ cannot store this network as .ort: .*Unsupported"
    ) as caught:
        open_predictor(made, Target(name="edge", runtime="onnxruntime", format="ort"))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot load the file"):
        open_predictor(OnnxNetwork(b"nothing", SMALL), Target(name="edge", runtime="onnxruntime", format="ort"))


def written(nodes, shape=("n", 1, 2, 2), initialisers=(), domain="") -> OnnxNetwork:
    graph = helper.make_graph(
        nodes,
        "written",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(initialisers),
    )
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return OnnxNetwork(model.SerializeToString(), replace(SMALL, classes=tuple("abcd")))


def refusal(network) -> str:
    with pytest.raises(UserError) as caught:
        open_predictor(network, TARGET)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_custom_operator_is_refused():
    text = refusal(written([helper.make_node("Secret", ["x"], ["y"], domain="of.mine")], domain="of.mine"))
    assert "cannot load the file" in text
    assert "Secret" in text or "of.mine" in text
    assert text.endswith("give a valid, self-contained ONNX file of standard operators")


def test_shapes_that_do_not_resolve_are_refused():
    """A file of free height and width whose reshaping fits only another image."""
    size = numpy_helper.from_array(np.array([-1, 9], dtype=np.int64), "size")
    text = refusal(written([helper.make_node("Reshape", ["x", "size"], ["y"])], ("n", 1, "h", "w"), [size]))
    assert "cannot run one sample of shape (1, 2, 2)" in text


@pytest.mark.parametrize("shape", [(1, 4), (1, -1)])
def test_a_batch_of_one_that_is_written_into_the_graph_is_refused(shape):
    size = numpy_helper.from_array(np.array(shape, dtype=np.int64), "size")
    network = written([helper.make_node("Reshape", ["x", "size"], ["y"])], initialisers=[size])
    assert "two samples" in refusal(network) or "2 samples" in refusal(network)
    alone = written([helper.make_node("Reshape", ["x", "size"], ["y"])], (1, 1, 2, 2), [size])
    images = torch.rand(5, 1, 2, 2)
    assert torch.equal(open_predictor(alone, TARGET).logits(images)[0], images.flatten(1))


def test_every_installed_provider_runs_or_says_why(exported, x):
    import onnxruntime

    expected = open_predictor(exported, TARGET).logits(x)
    for provider in onnxruntime.get_available_providers():
        target = Target(name="edge", runtime="onnxruntime", provider=provider)
        reasons, predictor = [], None
        try:
            predictor = open_predictor(exported, target)
        except UserError as error:
            reasons = [problem.where for problem in error.problems]
        if predictor is None:
            assert reasons == ["target.edge.provider"]
        else:
            assert predictor.session.get_providers()[0] == provider
            torch.testing.assert_close(predictor.logits(x), expected, rtol=1e-3, atol=1e-3)


def test_only_arithmetic_counts_as_an_integer_kernel():
    assert integer_kernels({"DynamicQuantizeLinear": 3, "QuantizeLinear": 2, "ConvInteger": 2}) == 2
