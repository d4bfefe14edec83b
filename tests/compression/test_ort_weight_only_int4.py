import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bench.compression.base import steps
from bench.networks.network import InputSpec, OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.onnx_operators import optimised_operators
from bench.runtimes.opening import open_predictor

OPTIONS = [{}, {"symmetric": False}, {"block": 16}, {"block": 16, "symmetric": False}]


def edge(optimisation):
    return Target(name="edge", runtime="onnxruntime", optimisation=optimisation)


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
