import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bench.compression.base import steps
from bench.compression.ort_weight_only_int4 import pack, round_blocks, round_channels
from bench.graph.network import InputSpec, OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.onnx_runtime import optimised_operators
from bench.runtimes.opening import open_predictor

OPTIONS = [{}, {"symmetric": False}, {"block": 16}, {"block": 16, "symmetric": False}]
FINITE = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


def edge(optimisation):
    return Target(name="edge", runtime="onnxruntime", optimisation=optimisation)


def spread(parts, shape, axis, block):
    """Scales or zero points, one an element of the weight."""
    if not block:
        return parts.reshape([-1 if index == axis else 1 for index in range(len(shape))])
    return np.repeat(parts, block, axis=axis).take(range(shape[axis]), axis=axis)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (5, 7), elements=FINITE), st.booleans(), st.sampled_from([0, 2, 3]), st.sampled_from([0, 1]))
def test_rounding_is_to_the_nearest(weight, symmetric, block, axis):
    rounded = round_blocks(weight, axis, block, symmetric) if block else round_channels(weight, axis, symmetric)
    scale = spread(rounded.scale, weight.shape, axis, block).astype(np.float64)
    zero = spread(rounded.zero, weight.shape, axis, block).astype(np.float64)
    again = scale * (rounded.integers - zero)
    limits = (-7, 7) if symmetric else (0, 15)
    assert limits[0] <= rounded.integers.min() <= rounded.integers.max() <= limits[1]
    # an asymmetric range loses up to half a step more at one end: its zero point is rounded too
    assert (np.abs(again - weight) <= (0.5 if symmetric else 1.0) * scale * (1 + 1e-4)).all()
    assert not again[weight == 0].any()
    if symmetric and np.abs(weight).max() > 1e-3:  # the whole range is used: the largest weight is met
        assert np.abs(again).max() == pytest.approx(np.abs(weight).max(), rel=1e-5)


def test_nibbles_are_stored_as_onnx_stores_them():
    values = np.arange(-8, 7, dtype=np.int8)
    packed = helper.make_tensor("t", TensorProto.INT4, values.shape, pack(values), raw=True)
    assert numpy_helper.to_array(packed).astype(np.int8).tolist() == values.tolist()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("file", ["pool", "mlp"])
def test_it_computes_what_the_standard_says(files, context, digits, file, options):
    """ONNX's own reference implementation of the file agrees."""
    made, record = steps.get("ort-int4")(**options).apply(files[file], context)
    x = digits.evaluation.x[:20]
    model = onnx.load_model_from_string(made.model)
    expected = ReferenceEvaluator(model).run(None, {"input": x})[0]
    found = open_predictor(made, edge("disabled")).logits(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert record["covered"] == ({"Conv": 2, "Gemm": 1} if file == "pool" else {"Gemm": 3})
    assert record["integer_kernels"] == 0
    assert [entry.version for entry in model.opset_import if not entry.domain] == [21]


def product(shared):
    """Two matrix products, of one weight or of two."""
    random = np.random.default_rng(0)
    names = ["w", "w"] if shared else ["w", "v"]
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", names[0]], ["h"]),
        helper.make_node("MatMul", ["h", names[1]], ["y"]),
    ]
    weights = [numpy_helper.from_array(random.normal(size=(64, 64)).astype(np.float32), name) for name in set(names)]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    declared = InputSpec((1, 8, 8), tuple(map(str, range(64))))
    return OnnxNetwork(model.SerializeToString(), declared, {"source": "test"})


def test_a_shared_weight_is_stored_once(context):
    once, twice = (steps.get("ort-int4")().apply(product(shared), context)[0] for shared in (True, False))
    assert len(once.model) < 0.7 * len(twice.model)


def test_fused_products_round_activations_too_and_samples_stay_apart(context, digits):
    made, record = steps.get("ort-int4")(block=32).apply(product(False), context)
    assert record["running_operators"]["MatMulNBits"] == 2
    assert "MatMulNBits" not in optimised_operators(made, edge("basic"))
    x = torch.from_numpy(digits.evaluation.x[:30])
    plain, fused = (open_predictor(made, edge(level)) for level in ("basic", "all"))
    expected, found = plain.logits(x), fused.logits(x)
    assert 1e-5 < (found - expected).abs().max() < 0.1 * expected.std()
    fused.batch_size = 7
    torch.testing.assert_close(fused.logits(x), found, rtol=1e-5, atol=1e-5)
