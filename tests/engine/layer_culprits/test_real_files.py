"""why-diverged on files as people have them: fixed batches, float16, several outputs, scores of shape (n, C, 1, 1)."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.data.digits import Digits
from bench.engine.layer_culprits import why_diverged
from bench.errors import UserError

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(64, 10)).astype(np.float32)
OTHER = WEIGHT + 0.1 * RANDOM.normal(size=WEIGHT.shape).astype(np.float32)


def model(weight, batch="n", kind=TensorProto.FLOAT, several=False, deep=False):
    dtype = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    nodes += [helper.make_node("Unsqueeze", ["y", "axes"], ["deep"])] if deep else []
    outputs = [("flat", [batch, 64])] * several + [("deep", [batch, 10, 1, 1]) if deep else ("y", [batch, 10])]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, [batch, 1, 8, 8])],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs],
        [numpy_helper.from_array(weight.astype(dtype), "w"), numpy_helper.from_array(np.array([2, 3]), "axes")],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])


KINDS = {
    "batch 1": {"batch": 1},
    "float16": {"kind": TensorProto.FLOAT16},
    "several outputs": {"several": True},
    "classes 1 1": {"deep": True},
    "size -1": {"batch": -1},
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_layer_is_named_and_the_figure_is_by_hand(tmp_path, kind):
    digits = Digits().load(60, 16).evaluation
    np.savez(tmp_path / "data.npz", x=digits.x, y=digits.y)
    onnx.save(model(WEIGHT), tmp_path / "reference.onnx")
    onnx.save(model(OTHER, **kind), tmp_path / "variant.onnx")
    found = why_diverged(*(str(tmp_path / f"{name}.onnx") for name in ("reference", "variant")), tmp_path / "data.npz")
    p, q = (
        np.exp(z - np.logaddexp.reduce(z, 1)[:, None]) for z in (digits.x.reshape(-1, 64) @ w for w in (WEIGHT, OTHER))
    )
    m = (p + q) / 2
    js = (((p * np.log(p / m)).sum(1) + (q * np.log(q / m)).sum(1)) / 2).mean()
    rtol = 0.02 if "kind" in kind else 1e-3
    np.testing.assert_allclose(found.deployed.js.estimate, js, rtol=rtol)
    np.testing.assert_allclose(found.divergence.js.estimate, js, rtol=rtol)
    guilty = next(row for row in found.layers if row.name == found.ranking[0])
    assert guilty.kind == "matrix" or "MatMul" in guilty.operators.reference
    assert found.fidelity.variant.flips == 0


def test_a_larger_fixed_batch_is_refused_in_words(tmp_path):
    digits = Digits().load(60, 16).evaluation
    np.savez(tmp_path / "data.npz", x=digits.x, y=digits.y)
    onnx.save(model(WEIGHT, batch=4), tmp_path / "net.onnx")
    with pytest.raises(
        UserError, match="reference: the file fixes a batch of 4; export it with a batch of 1, or an open"
    ):
        why_diverged(str(tmp_path / "net.onnx"), str(tmp_path / "net.onnx"), tmp_path / "data.npz")
