"""ONNX files that ask for too much, or do not hold what they declare: one line, before the work."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.networks.network import InputSpec
from bench.onnx_files.bounds import bounded
from bench.onnx_files.running import run_session
from bench.outside_networks.loading import load_outside

DECLARED = InputSpec(shape=(1, 2, 2), classes=())
OPSETS = [helper.make_opsetid("", 17)]
X = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 2, 2])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
FLAT = helper.make_node("Flatten", ["x"], ["flat"])


def ints(name, *values, shape=None):
    return numpy_helper.from_array(np.array(values, np.int64).reshape(shape if shape is not None else -1), name)


def model(nodes, constants=(), functions=(), extra=()):
    graph = helper.make_graph([FLAT, *nodes], "g", [X], [Y], list(constants))
    opsets = [*OPSETS, *extra]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))


def add_of(shape_nodes):
    """The flat input plus the sum of what the nodes make: nothing may be left out."""
    total = helper.make_node("ReduceSum", ["made"], ["sum"], keepdims=0)
    return [*shape_nodes, total, helper.make_node("Add", ["flat", "sum"], ["y"])]


def loop(condition="going", rounds="", nested=None, step=None):
    def flag(name):
        return helper.make_tensor_value_info(name, TensorProto.BOOL, [])

    def value(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)

    inputs = [helper.make_tensor_value_info("i", TensorProto.INT64, []), flag("c"), value("v")]
    nodes = [nested or helper.make_node("Identity", ["v"], ["v2"])]
    nodes += step or [helper.make_node("Identity", ["c"], ["c2"])]
    body = helper.make_graph(nodes, "b", inputs, [flag("c2"), value("v2")])
    return helper.make_node("Loop", [rounds, condition, "flat"], ["y"], name="again", body=body)


TRUE = numpy_helper.from_array(np.array(True), "going")


def load(tmp_path, made):
    path = tmp_path / "net.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return load_outside(DECLARED, onnx=path)


def refused(tmp_path, made, *said):
    started = time.perf_counter()
    with pytest.raises(UserError) as error:
        load(tmp_path, made)
    assert time.perf_counter() - started < 10
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 700
    for word in said:
        assert word in text, text


def nested(depth):
    """Branches inside branches."""
    out = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    node = helper.make_node("Identity", ["flat"], ["z"])
    for level in range(depth):
        graph = helper.make_graph([node], f"b{level}", [], [out])
        node = helper.make_node(
            "If", ["going"], ["z"], then_branch=graph, else_branch=graph if level == 0 else empty(out)
        )
    node.output[0] = "y"
    return model([node], [TRUE])


def empty(out):
    return helper.make_graph([helper.make_node("Identity", ["flat"], ["z"])], "e", [], [out])


def laughs(levels):
    """Functions that each call the next ten times: 10 ** levels nodes."""
    opsets = [*OPSETS, helper.make_opsetid("own", 1)]
    functions = []
    for level in range(levels):
        inner = ("own", f"f{level + 1}") if level + 1 < levels else ("", "Identity")
        nodes = [
            helper.make_node(inner[1], ["a" if k == 0 else f"t{k - 1}"], ["b" if k == 9 else f"t{k}"], domain=inner[0])
            for k in range(10)
        ]
        functions.append(helper.make_function("own", f"f{level}", ["a"], ["b"], nodes, opsets))
    return model([helper.make_node("f0", ["flat"], ["y"], domain="own")], functions=functions, extra=opsets[1:])


def itself():
    opsets = [*OPSETS, helper.make_opsetid("own", 1)]
    nodes = [helper.make_node("f", ["a"], ["b"], domain="own")]
    own = helper.make_function("own", "f", ["a"], ["b"], nodes, opsets)
    return model([helper.make_node("f", ["flat"], ["y"], domain="own")], functions=[own], extra=opsets[1:])


def sparse():
    made = model([helper.make_node("Add", ["flat", "s"], ["y"])])
    tensor = made.graph.sparse_initializer.add()
    tensor.dims.extend([10**6, 10**6])
    tensor.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "s"))
    tensor.indices.CopyFrom(ints("", 3))
    return made


FILL = helper.make_node("ConstantOfShape", ["s"], ["made"])
ELEMENTS = "more than 134217728; CRBENCH_MAX_ONNX_ELEMENTS raises it"
CONSTANT = {
    "ConstantOfShape": lambda: model(add_of([FILL]), [ints("s", 10**5, 10**5)]),
    "Expand": lambda: model(add_of([helper.make_node("Expand", ["flat", "s"], ["made"])]), [ints("s", 10**9, 1, 1)]),
    "Range": lambda: model(
        add_of([helper.make_node("Range", ["a", "b", "c"], ["r"]), helper.make_node("Cast", ["r"], ["made"], to=1)]),
        [ints(n, v, shape=()) for n, v in (("a", 0), ("b", 10**12), ("c", 1))],
    ),
    "Tile": lambda: model(add_of([helper.make_node("Tile", ["flat", "s"], ["made"])]), [ints("s", 1, 10**9)]),
    "a computed shape": lambda: model(
        add_of([helper.make_node("Mul", ["s", "s"], ["t"]), helper.make_node("ConstantOfShape", ["t"], ["made"])]),
        [ints("s", 10**6)],
    ),
    "a sparse initialiser": sparse,
}  # fmt: skip


@pytest.mark.parametrize("made", CONSTANT.values(), ids=CONSTANT)
def test_a_value_of_too_many_elements_is_refused_before_it_is_made(tmp_path, made):
    refused(tmp_path, made(), ELEMENTS)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float32])
def test_a_range_that_only_a_run_can_tell_is_stopped_in_the_probe(tmp_path, dtype):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("ReduceMax", ["flat"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["k"], to=kind),
        helper.make_node("Add", ["k", "s"], ["t"]),
        helper.make_node("Range", ["k", "t", "one"], ["r"]),
        helper.make_node("Cast", ["r"], ["made"], to=TensorProto.FLOAT),
    ]
    one = numpy_helper.from_array(np.array(1, dtype), "one")

    def counting(most):
        return model(add_of(nodes), [numpy_helper.from_array(np.array(most, dtype), "s"), one])

    refused(tmp_path, counting(10**9), ELEMENTS.partition("; ")[2])
    load(tmp_path, counting(1000))


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand"])
def test_a_size_that_only_a_run_can_tell_is_stopped_in_the_probe(tmp_path, operator):
    nodes = [
        helper.make_node("ReduceMax", ["flat"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["k"], to=TensorProto.INT64),
        helper.make_node("Add", ["k", "s"], ["t"]),
        helper.make_node(operator, ["t"] if operator == "ConstantOfShape" else ["one", "t"], ["made"]),
    ]
    one = numpy_helper.from_array(np.ones(1, np.float32), "one")
    refused(tmp_path, model(add_of(nodes), [ints("s", 10**5, 10**5), one]), ELEMENTS.partition("; ")[2])
    assert load(tmp_path, model(add_of(nodes), [ints("s", 10, 10), one])).input.classes == ("0", "1", "2", "3")


def test_a_vector_has_a_limit_of_its_own(tmp_path):
    """What comes after, such as counting operations, takes 140 bytes of memory for each of its numbers."""
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["z"]), helper.make_node("Cast", ["z"], ["made"], to=1)]
    said = "'z' has 5000000 elements along one axis, more than 4194304; CRBENCH_MAX_ONNX_VECTOR raises it"
    refused(tmp_path, model(add_of(nodes), [ints("s", 5_000_000)]), said)
    load(tmp_path, model(add_of(nodes), [ints("s", 5_000, 1_000)]))


def test_a_limit_can_be_raised(tmp_path, monkeypatch):
    made = model(add_of([helper.make_node("ConstantOfShape", ["s"], ["made"])]), [ints("s", 1000)])
    monkeypatch.setenv("CRBENCH_MAX_ONNX_ELEMENTS", "100")
    refused(tmp_path, made, "'made' has 1000 elements, more than 100")
    monkeypatch.setenv("CRBENCH_MAX_ONNX_ELEMENTS", "1000")
    load(tmp_path, made)


ROUNDS = "10000 rounds; CRBENCH_MAX_LOOP_ROUNDS raises it"


def test_a_loop_that_never_ends_is_stopped_in_the_probe(tmp_path):
    refused(
        tmp_path,
        model([loop()], [TRUE]),
        "a loop in it takes more than 10000 rounds",
        "CRBENCH_MAX_LOOP_ROUNDS raises it",
    )


def test_a_loop_inside_a_loop_and_inside_a_function(tmp_path):
    inner = loop()
    inner.input[2], inner.output[0] = "v", "v2"
    refused(tmp_path, model([loop(nested=inner)], [TRUE]), "takes more than 10000 rounds")
    opsets = [*OPSETS, helper.make_opsetid("own", 1)]
    own = loop()
    own.input[1], own.input[2], own.output[0] = "go", "a", "b"
    function = helper.make_function("own", "f", ["a", "go"], ["b"], [own], opsets)
    call = helper.make_node("f", ["flat", "going"], ["y"], domain="own")
    refused(tmp_path, model([call], [TRUE], [function], opsets[1:]), "takes more than 10000 rounds")


def test_a_loop_of_too_many_rounds_by_a_constant_is_not_run(tmp_path):
    made = model([loop("", "rounds")], [ints("rounds", 10**12, shape=())])
    refused(tmp_path, made, "1000000000000 rounds, more than 10000; CRBENCH_MAX_LOOP_ROUNDS raises it")


def test_bounds_change_no_value():
    """Loops that end, sizes that fit: the bounded file answers bit for bit what the file answers."""
    import onnxruntime

    step = [
        helper.make_node("Constant", [], ["six"], value=ints("", 6, shape=())),
        helper.make_node("Less", ["i", "six"], ["c2"]),
    ]
    grow = helper.make_node("Add", ["v", "v"], ["v2"])
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["zeros"]),
        helper.make_node("Expand", ["zeros", "none"], ["made"]),
        loop(nested=grow, step=step),
    ]
    nodes[-1].output[0] = "looped"
    nodes.append(helper.make_node("Add", ["looped", "made"], ["y"]))
    made = model(
        nodes, [TRUE, ints("s", 4), numpy_helper.from_array(np.zeros(0, np.int64), "none")]
    ).SerializeToString()
    x = np.random.default_rng(0).normal(size=(3, 1, 2, 2)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    answers = []
    for content in (made, bounded(made)):
        onnx.checker.check_model(onnx.load_model_from_string(content))
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {"x": x})[0])
    assert bounded(made) != made
    np.testing.assert_array_equal(*answers)
    np.testing.assert_allclose(answers[0], x.reshape(3, 4) * 2**7)


def session_of(made):
    import onnxruntime

    return onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])


def test_a_run_of_a_loop_has_a_time(monkeypatch):
    monkeypatch.setenv("CRBENCH_MAX_LOOP_SECONDS", "1")
    started, before = time.perf_counter(), threading.active_count()
    with pytest.raises(UserError, match="one run of its loop takes more than 1 seconds; CRBENCH_MAX_LOOP_SECONDS"):
        run_session(session_of(model([loop()], [TRUE])), {"x": np.zeros((2, 1, 2, 2), np.float32)})
    assert time.perf_counter() - started < 8
    assert threading.active_count() == before


def test_an_interrupt_ends_a_loop(tmp_path):
    onnx.save(model([loop()], [TRUE]), tmp_path / "endless.onnx")
    code = """
import sys, numpy, onnxruntime
from bench.onnx_files.running import run_session
session = onnxruntime.InferenceSession("endless.onnx", providers=["CPUExecutionProvider"])
print("begun", flush=True)
try:
    run_session(session, {"x": numpy.zeros((2, 1, 2, 2), numpy.float32)})
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout.readline() == "begun\n"
            time.sleep(0.5)
            os.kill(run.pid, signal.SIGINT)
            assert run.communicate(timeout=60)[0] == "stopped\n"
        finally:
            run.kill()


def test_functions_that_call_functions_are_counted_before_they_are_put_in_place(tmp_path):
    refused(tmp_path, laughs(9), "nodes, more than 200000; CRBENCH_MAX_ONNX_NODES raises it")
    load(tmp_path, laughs(3))


def test_a_function_that_leads_to_itself(tmp_path):
    refused(tmp_path, itself(), "function own.f leads to itself")


def test_depth_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("CRBENCH_MAX_ONNX_DEPTH", "10")
    refused(tmp_path, nested(12), "more than 10; CRBENCH_MAX_ONNX_DEPTH raises it")
    load(tmp_path, nested(5))


def weighted():
    return model(
        [helper.make_node("MatMul", ["flat", "w"], ["y"])],
        [numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")],
    )


def damaged(change):
    made = weighted()
    change(made.graph.initializer[0])
    return made


def _external(location, length=None):
    def change(tensor):
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("length", length)):
            if value is not None:
                entry = tensor.external_data.add()
                entry.key, entry.value = key, value

    return change


def _raw(content):
    return lambda tensor: setattr(tensor, "raw_data", content)


TENSORS = {
    "short raw data": (_raw(b"\0" * 60), "'w' of sizes [4, 4] does not hold them"),
    "long raw data": (_raw(b"\0" * 68), "'w' of sizes [4, 4] does not hold them"),
    "odd raw data": (_raw(b"\0" * 63), "'w' of sizes [4, 4] does not hold them"),
    "no raw data": (_raw(b""), "'w' of sizes [4, 4] does not hold them"),
    "huge sizes": (lambda tensor: tensor.dims.__setitem__(0, 2**40), "does not hold them"),
    "sizes that overflow": (lambda tensor: tensor.dims.__setitem__(slice(0, 2), [2**62, 2**62]), "does not hold them"),
    "negative sizes": (lambda tensor: tensor.dims.__setitem__(0, -4), "'w' has sizes [-4, 4]"),
    "unknown type": (lambda tensor: setattr(tensor, "data_type", 99), "does not hold them"),
    "NUL location": (_external("a\0b"), "names no data file: 'a\\x00b'"),
    "long location": (_external("a" * 5000), "and 4920 characters more"),
    "long path": (_external("a/" * 2500), "and 4920 characters more"),
    "no location": (_external(""), "'w' "),
    "outside": (_external("../" * 2000 + "etc/passwd"), "and "),
    "huge length": (_external("net.onnx", "9" * 5000), "says its data has length"),
    "strange length": (_external("net.onnx", "-1"), "says its data has length"),
}


@pytest.mark.parametrize(("change", "said"), TENSORS.values(), ids=TENSORS)
def test_a_tensor_that_does_not_hold_what_it_declares(tmp_path, change, said):
    refused(tmp_path, damaged(change), said)


@pytest.mark.parametrize("name", [b"flat", b"w", b"MatMul"])
def test_a_name_that_is_no_text(tmp_path, name):
    content = weighted().SerializeToString()
    assert name in content
    refused(tmp_path, content.replace(name, b"\xff" * len(name)), "no UTF-8 text")


SUITE = """
name = "s"
[data]
loader = "npz"
path = "d.npz"
evaluation = 12
calibration = 0
[reference]
onnx = "net.onnx"
[[variant]]
name = "same"
onnx = "net.onnx"
[[metric]]
use = "fidelity.predictions"
"""
PLACES = {name: TENSORS[name][0] for name in ("NUL location", "long location", "long path", "huge length")}
PLACES["no text"] = _external("LOCATION")


@pytest.mark.parametrize("change", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_location_that_no_file_has_in_a_suite(tmp_path, monkeypatch, capsys, command, change):
    from bench.cli import run_cli

    monkeypatch.chdir(tmp_path)
    content = damaged(change).SerializeToString().replace(b"LOCATION", b"\xff" * 8)
    (tmp_path / "net.onnx").write_bytes(content)
    (tmp_path / "s.toml").write_text(SUITE)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.random((12, 1, 2, 2)).astype(np.float32), y=np.arange(12) % 4)
    assert run_cli([command, "s.toml"]) in (2, 3)
    shown = capsys.readouterr()
    said = [line for line in (shown.err + shown.out).splitlines() if "'w'" in line or "UTF-8" in line]
    assert "Traceback" not in shown.err
    assert said
    assert max(map(len, said)) < 1500
