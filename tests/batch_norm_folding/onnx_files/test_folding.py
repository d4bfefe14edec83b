"""Operators of ONNX files, one small file each, before and after folding in float64."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.batch_norm_folding.exactness import run_in_double
from bench.batch_norm_folding.onnx_files.folding import fold_onnx

OWN = np.random.default_rng(0)
WIDE = ("batch", 4, 6, 6)
VALUES = {
    "w": OWN.normal(size=(4, 4, 3, 3)),
    "wd": OWN.normal(size=(4, 1, 3, 3)),
    "b": OWN.normal(size=4),
    "matrix": OWN.normal(size=(4, 5)),
    "big": OWN.normal(size=(144, 5)),
    "gamma": OWN.normal(size=4) + 3,
    "beta": OWN.normal(size=4),
    "mean": OWN.normal(size=4),
    "var": OWN.uniform(0.5, 2, size=4),
    "each": OWN.normal(size=(4, 1, 1)),
    "five": OWN.normal(size=5),
    "shape": np.array([-1, 144]),
    "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    "places": OWN.normal(size=(1, 4, 6, 6)),
}
NORM = ("BatchNormalization", "{} gamma beta mean var", {"epsilon": 0.1})


def model(*nodes, features=5):
    """Nodes as (operator, inputs, attributes); each reads ``{}``, what the one before it made."""
    made, value = [], "x"
    for index, (kind, inputs, *more) in enumerate(nodes):
        output = f"v{index}" if index < len(nodes) - 1 else "y"
        made.append(
            helper.make_node(kind, inputs.format(value).split(), [output], f"{kind}{index}", **(more or [{}])[0])
        )
        value = output
    read = {name for node in made for name in node.input}
    stored = [numpy_helper.from_array(VALUES[name], name) for name in VALUES if name in read]
    graph = helper.make_graph(
        made, "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, WIDE)],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["batch", *[None] * (1 if features else 3)])],
        stored,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


POOL = [("GlobalAveragePool", "{}"), ("Flatten", "{}")]
FOLDS = {
    "Conv": ([("Conv", "{} w b", {"pads": [1] * 4}), NORM], "backward"),
    "Conv without bias": ([("Conv", "{} w"), NORM], "backward"),
    "depthwise": ([("Conv", "{} wd", {"group": 4}), NORM], "backward"),
    "ConvTranspose": ([("ConvTranspose", "{} w"), NORM], "backward"),
    "through a constant": ([("Conv", "{} w"), ("Add", "{} each"), NORM], "backward"),
    "through a pool": (
        [("Conv", "{} w b"), ("AveragePool", "{}", {"kernel_shape": [3, 3], "pads": [1] * 4}), NORM],
        "backward",
    ),
    "scale layer": ([("Conv", "{} w"), NORM, ("Mul", "{} each"), ("Add", "each {}")], "backward"),
    "before a Conv": ([("Relu", "{}"), NORM, ("Conv", "{} w b")], "forward"),
    "Gemm": ([("Relu", "{}"), NORM, *POOL, ("Gemm", "{} matrix five", {"alpha": 0.5, "beta": 2.0})], "forward"),
    "MatMul": ([("Relu", "{}"), NORM, *POOL, ("MatMul", "{} matrix"), ("Add", "{} five")], "forward"),
    "Reshape": ([("Relu", "{}"), NORM, ("Reshape", "{} shape"), ("Gemm", "{} big")], "forward"),
    "ReduceMean": (
        [("Relu", "{}"), NORM, ("ReduceMean", "{}", {"axes": [2, 3], "keepdims": 0}), ("Gemm", "{} matrix")],
        "forward",
    ),
    "mirrored": ([("Relu", "{}"), NORM, ("Pad", "{} pads", {"mode": "reflect"}), ("Conv", "{} w")], "forward"),
}


@pytest.mark.parametrize(("nodes", "direction"), FOLDS.values(), ids=FOLDS)
def test_folds(nodes, direction):
    tail = [] if nodes[-1][0] in ("Gemm", "MatMul") or nodes[-1][1] == "{} five" else [("Relu", "{}")]
    given = model(*nodes, *tail, features=0 if tail else 5)
    made, plan = fold_onnx(given)
    onnx.checker.check_model(made, full_check=True)
    assert [fold.direction for fold in plan.folded] == [direction]
    assert not {"BatchNormalization", "Mul"} & {node.op_type for node in made.graph.node}
    x = np.random.default_rng(1).normal(size=(2, *WIDE[1:]))
    wanted = run_in_double(given, x)
    assert np.abs(run_in_double(made, x) - wanted).max() < 1e-12 * np.abs(wanted).max()
    read = {name for node in made.graph.node for name in node.input}
    assert {tensor.name for tensor in made.graph.initializer} <= read, "nothing unused is left behind"


def test_a_batch_norm_at_the_end_keeps_the_outputs_name():
    given = model(("Conv", "{} w"), NORM, features=0)
    made, plan = fold_onnx(given)
    assert len(plan.folded) == 1
    assert made.graph.output[0].name == "y"
    x = np.random.default_rng(1).normal(size=(2, *WIDE[1:]))
    np.testing.assert_allclose(run_in_double(made, x), run_in_double(given, x), rtol=1e-10, atol=1e-10)


STAYS = {
    "MaxPool": ([("Conv", "{} w"), ("MaxPool", "{}", {"kernel_shape": [2, 2]}), NORM], "MaxPool1 (MaxPool) makes"),
    "zeros": ([("Relu", "{}"), NORM, ("Conv", "{} w", {"pads": [1] * 4})], "the zeros that pad Conv2 (Conv)"),
    "SAME": ([("Relu", "{}"), NORM, ("Conv", "{} w", {"auto_pad": "SAME_UPPER"})], "the zeros that pad Conv2 (Conv)"),
    "explicit": ([("Relu", "{}"), NORM, ("Pad", "{} pads"), ("Conv", "{} w")], "the zeros that pad Pad2 (Pad)"),
    "counted": (
        [
            ("Conv", "{} w"),
            ("AveragePool", "{}", {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}),
            NORM,
        ],
        "the zeros that pad AveragePool1 (AveragePool)",
    ),
    "a constant for each place": ([("Add", "{} places"), NORM], "Add0 (Add) makes"),
    "product": ([("Conv", "{} w"), ("Mul", "{} each"), NORM], "Mul1 (Mul) makes"),
}


@pytest.mark.parametrize(("nodes", "reason"), STAYS.values(), ids=STAYS)
def test_stays(nodes, reason):
    given = model(*nodes, ("Relu", "{}"), features=0)
    made, plan = fold_onnx(given)
    assert plan.folded == ()
    assert reason in plan.kept[0].reason
    assert made.SerializeToString(deterministic=True) == given.SerializeToString(deterministic=True)


def test_what_depends_on_the_batch_is_refused_by_name():
    given = model(("Conv", "{} w"), (*NORM[:2], {"training_mode": 1}), ("Relu", "{}"), features=0)
    _, plan = fold_onnx(given)
    assert [(kept.batch_norm, kept.reason) for kept in plan.kept] == [("BatchNormalization1", "it is in training mode")]


@pytest.mark.parametrize("opset", [7, 9, 13, 14, 17])
def test_statistics_are_the_stored_ones_in_every_opset(opset):
    """ONNX's own reference takes the batch's statistics below opset 14, as if it trained."""
    made = model(NORM, ("Flatten", "{}"))
    made.opset_import[0].version = opset
    x = OWN.normal(size=(2, 4, 6, 6))
    gamma, beta, mean, var = (VALUES[name].reshape(4, 1, 1) for name in ("gamma", "beta", "mean", "var"))
    expected = (x - mean) / np.sqrt(var + np.float32(0.1)) * gamma + beta
    np.testing.assert_allclose(run_in_double(made, x), expected.reshape(2, -1), rtol=1e-6)
