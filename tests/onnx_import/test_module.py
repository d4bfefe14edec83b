"""The module: one input, tensors by name, replacements, constants made once, branches and loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.onnx_import import import_onnx

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def value(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, held=None, inputs=("x",), outputs=("y",), opset=18, kinds=None):
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in (held or {}).items()]
    given = [value(name, (kinds or {}).get(name, FLOAT)) for name in inputs]
    graph = helper.make_graph(nodes, "g", given, [value(name) for name in outputs], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


node = helper.make_node
X = torch.tensor([[1.0, -2.0], [3.0, 0.5]])
WEIGHT = np.float32([[2, 0], [0, 3]])


def scaled():
    """Y = relu(x W'), where W' = 2 W is made of constants alone."""
    nodes = [
        node("Relu", ["product"], ["y"]),  # out of order on purpose
        node("MatMul", ["x", "doubled"], ["product"]),
        node("Add", ["w", "w"], ["doubled"]),
    ]
    return import_onnx(model(nodes, {"w": WEIGHT}))


def test_forward_runs_out_of_order_nodes_in_order():
    assert scaled()(X).tolist() == [[4, 0], [12, 3]]


def test_constants_are_made_once_and_keep_their_names():
    module = scaled()
    assert [step.node.operator for step in module.graph.steps] == ["MatMul", "Relu"]
    assert module.values({"x": X}, ["doubled", "product"])["doubled"].tolist() == [[4, 0], [0, 6]]


def test_a_replaced_constant_changes_what_is_made_of_it():
    module = scaled()
    assert module.values({"x": X}, ["y"], {"w": lambda w: -w})["y"].tolist() == [[0, 12], [0, 0]]
    assert module.values({"x": X}, ["y"], {"doubled": lambda w: w * 0})["y"].tolist() == [[0, 0], [0, 0]]
    assert module.values({"x": X, "w": torch.eye(2)}, ["y"])["y"].tolist() == [[2, 0], [6, 1]]
    both = {"w": lambda w: -w, "doubled": lambda w: w + 1}
    assert module.values({"x": X}, ["doubled"], both)["doubled"].tolist() == [[-3, 1], [1, -5]]
    assert module(X).tolist() == [[4, 0], [12, 3]]


def test_a_replaced_value_is_what_the_rest_sees():
    module = scaled()
    found = module.values({"x": X}, ["product", "y"], {"product": lambda p: p - 1})
    assert found["product"].tolist() == [[3, -13], [11, 2]]
    assert found["y"].tolist() == [[3, 0], [11, 2]]


def test_only_what_is_needed_runs():
    nodes = [node("Relu", ["x"], ["a"]), node("Reshape", ["a", "impossible"], ["y"])]
    module = import_onnx(model(nodes, {"impossible": np.int64([5])}))
    assert module.values({"x": X}, ["a"])["a"].tolist() == X.relu().tolist()
    with pytest.raises(
        UserError, match=r"node 'y' \(Reshape, opset 18\) cannot run on inputs of shapes \(2, 2\), \(1,\)"
    ):
        module(X)


def test_the_module_follows_its_buffers():
    module = scaled().double()
    assert module(X.double()).dtype == torch.float64
    assert len(list(module.buffers())) == 2


def test_names_that_are_not_there():
    with pytest.raises(UserError, match="the graph has no tensor 'nowhere'"):
        scaled().values({"x": X}, ["nowhere"])
    with pytest.raises(UserError, match="the graph has no tensor 'nowhere'"):
        scaled().values({"x": X}, ["y"], {"nowhere": lambda v: v})
    with pytest.raises(UserError, match="the input 'x' is not given"):
        scaled().values({}, ["y"])


def test_two_inputs():
    module = import_onnx(model([node("Sub", ["x", "z"], ["y"])], inputs=("x", "z")))
    assert module.values({"x": X, "z": X}, ["y"])["y"].tolist() == [[0, 0], [0, 0]]
    with pytest.raises(UserError, match="the graph has 2 inputs: 'x', 'z'"):
        module(X)


def test_integer_input():
    uint8 = TensorProto.UINT8
    nodes = [node("Cast", ["x"], ["f"], to=FLOAT), node("Mul", ["f", "half"], ["y"])]
    module = import_onnx(model(nodes, {"half": np.float32(0.5)}, kinds={"x": uint8}))
    assert module(torch.tensor([200], dtype=torch.uint8)).tolist() == [100]
    with pytest.raises(UserError, match=r"the input 'x' takes torch.uint8, it was given torch.float32"):
        module(X)
    with pytest.raises(UserError, match=r"the input 'x' takes torch.float32, it was given torch.int64"):
        scaled()(torch.tensor([[1, 2]]))


def branches(condition, extra=(), **options):
    then = helper.make_graph([node("Neg", ["x"], ["inner"])], "then", [], [value("inner")])
    times = numpy_helper.from_array(np.float32(3), "times")
    other = helper.make_graph([node("Mul", ["x", "times"], ["inner"])], "else", [], [value("inner")], [times])
    choice = node("If", [condition], ["y"], name="choice", then_branch=then, else_branch=other)
    return import_onnx(model([*extra, choice], **options))


@pytest.mark.parametrize("condition", [True, False])
def test_a_known_branch_is_taken_at_import(condition):
    module = branches("known", held={"known": np.array(condition)})
    assert "If" not in [step.node.operator for step in module.graph.steps]
    assert module(X).tolist() == (-X if condition else 3 * X).tolist()
    assert module.values({"x": X}, ["inner"])["inner"].tolist() == module(X).tolist()


def test_a_branch_may_depend_on_shapes():
    extra = [node("Size", ["x"], ["size"]), node("Greater", ["size", "limit"], ["many"])]
    module = branches("many", extra, held={"limit": np.int64(3)})
    assert module(X).tolist() == (-X).tolist()
    assert module(X[:1]).tolist() == (3 * X[:1]).tolist()
    assert module.double()(X[:1].double()).dtype == torch.float64


def test_a_branch_may_not_depend_on_values():
    extra = [node("ReduceMax", ["x"], ["largest"], keepdims=0), node("Greater", ["largest", "limit"], ["many"])]
    with pytest.raises(UserError, match=r"node 'choice' \(If, opset 18\): what it runs depends on the values"):
        branches("many", extra, held={"limit": np.float32(3)})


def powers(trips, inputs=("x",), kinds=None, condition="", ends="", **held):
    """Y = x * 2 ** rounds, and the intermediate values stacked."""
    body = [
        node("Identity", ["goes_on"], ["still"]),
        node("Add", ["carried", "carried"], ["twice"]),
        node("Identity", ["twice"], ["seen"]),
    ]
    if ends == "value":
        body[0] = node("Cast", ["carried"], ["still"], to=BOOL)
    inner = [value("i", INT64), value("goes_on", BOOL), value("carried")]
    graph = helper.make_graph(body, "body", inner, [value("still", BOOL), value("twice"), value("seen")])
    loop = node("Loop", [trips, condition, "x"], ["y", "stack"], name="loop", body=graph)
    return import_onnx(model([loop], held, inputs, ("y", "stack"), kinds=kinds))


def test_a_loop_of_known_rounds():
    found = powers("rounds", rounds=np.int64(3)).values({"x": X}, ["y", "stack"])
    assert found["y"].tolist() == (8 * X).tolist()
    assert found["stack"].tolist() == torch.stack([2 * X, 4 * X, 8 * X]).tolist()


def test_a_loop_is_differentiated():
    x = X.clone().requires_grad_()
    module = powers("rounds", rounds=np.int64(3))
    assert torch.autograd.grad(module(x).sum(), x)[0].tolist() == [[8, 8], [8, 8]]


def test_a_loop_whose_rounds_are_not_known():
    with pytest.raises(UserError, match=r"node 'loop' \(Loop, opset 18\): what it runs depends on the values"):
        powers("rounds", ("x", "rounds"), {"rounds": INT64})
    with pytest.raises(UserError, match="depends on the values"):
        powers("rounds", ends="value", rounds=np.int64(3))


def test_an_endless_loop():
    with pytest.raises(UserError, match="more than 10000 rounds"):
        powers("", condition="go", go=np.array(True))(torch.zeros(1))
