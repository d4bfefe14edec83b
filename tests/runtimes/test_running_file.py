"""Files that a session holds so that it sums as the target asks, checked node by node."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from bench.compression.base import steps
from bench.compression.chains import run_step
from bench.errors import NotApplicable, UserError
from bench.integer_sums.unsigned_weights import with_exact_sums
from bench.networks.network import InputSpec, OnnxNetwork
from bench.onnx_import.twin import Twin
from bench.runtimes import running_file as checking
from bench.runtimes.base import Target
from bench.runtimes.integer_sums import NodeSums, native_sums
from bench.runtimes.onnx_operators import operators, optimised_operators
from bench.runtimes.onnx_predictor import OnnxPredictor, SimulatedPredictor
from bench.runtimes.onnx_session import LEVELS, graph_of, saved
from bench.runtimes.opening import open_predictor
from bench.runtimes.running_file import running_file, saturates
from tests.integer_sums.cases import model_of
from tests.integer_sums.networks import BOUNDS, NETWORKS, SHAPE, fused

EDGE = Target(name="edge", runtime="onnxruntime")
EXACT = replace(EDGE, integer_sums="exact")
CASES = {name: made() for name, made in NETWORKS.items()}
DECLARED = InputSpec(SHAPE, ("a", "b", "c"), BOUNDS)


def network_of(model, declared=DECLARED):
    return OnnxNetwork(model if isinstance(model, bytes) else model.SerializeToString(), declared, quantised=True)


@pytest.fixture(autouse=True)
def _nothing_checked(monkeypatch):
    monkeypatch.setattr(checking, "_checked", {})


@pytest.mark.parametrize("form", ["onnx", "ort"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CASES)
def test_exact_sums_are_had_at_every_level_and_in_every_format(name, level, form):
    """And those of this machine where nothing is asked; by hand, by the import of the user's own file, bit for bit."""
    case = CASES[name]
    network, x = network_of(case.model), torch.from_numpy(case.x)
    target = replace(EXACT, optimisation=level, format=form)
    predictor = open_predictor(network, target)
    found = predictor.logits(x)[0].numpy()
    np.testing.assert_array_equal(found, case.expected["exact"])
    own = Twin(graph_of(network.model, replace(target, integer_sums="native")), "hard", DECLARED, fixed_batch=None)
    with torch.no_grad():
        rows = torch.cat([own(image[None]) for image in x])  # a dynamic range is that of one image
    np.testing.assert_array_equal(found, rows.numpy())
    predictor.trust(x)
    assert predictor.parity["logit_difference"]["1"] == 0
    assert (predictor.spec.integer_sums, predictor.spec.simulated) == ("exact", False)
    native = open_predictor(network, replace(target, integer_sums="native"))
    kind = native_sums() if fused(name, level) else "exact"
    np.testing.assert_array_equal(native.logits(x)[0].numpy(), case.expected[kind])
    assert (native.spec.integer_sums, native.spec.simulated) == (native_sums(), False)


@pytest.mark.parametrize("form", ["onnx", "ort"])
@pytest.mark.parametrize("name", CASES)
def test_what_is_told_of_a_network_is_the_users_own(name, form):
    """Another file runs only where this machine's sums are not exact by themselves."""
    network = network_of(CASES[name].model)
    before = network.sha256
    native = open_predictor(network, replace(EDGE, format=form))
    exact = open_predictor(network, replace(EXACT, format=form))
    assert exact.network is network
    assert network.sha256 == before
    assert len(exact.file) == len(native.file)  # ONNX Runtime writes the same .ort file in other words each time
    assert (exact.file == native.file == network.model) == (form == "onnx")
    assert exact.running == (network.model if native_sums() == "exact" else with_exact_sums(network.model))
    assert native.running == network.model
    # the same operators run, of the user's weights
    assert operators(exact.graph) == operators(native.graph)
    assert optimised_operators(network, EXACT) == optimised_operators(network, EDGE)


OPTIONS = [{}, {"activation_type": "int8"}, {"format": "qoperator"}, {"format": "qoperator", "symmetric": True}]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_files_of_the_quantiser_get_exact_sums(exported, context, x, options, level):
    """Their scales are no powers of two; on integers the twin of the user's own is equal all the same."""
    network = run_step(steps.get("ort-static-quant")(**options), exported, context)
    predictors = [open_predictor(network, replace(EXACT, optimisation=level, format=form)) for form in ("onnx", "ort")]
    shown = [predictor.logits(x)[0] for predictor in predictors]
    assert torch.equal(*shown)
    own = Twin(graph_of(network.model, replace(EDGE, optimisation=level)), "hard", network.input)
    if "format" in options or level in ("extended", "all"):
        with torch.no_grad():
            assert torch.equal(own(x), shown[0])
    predictors[0].trust(x)
    assert predictors[0].parity["argmax_agreement"] == 1


def test_nothing_is_rewritten_where_nothing_is_asked():
    network = network_of(CASES["of integers"].model)
    for target in (EDGE, replace(EDGE, integer_sums="saturating")):
        assert running_file(network, target) is network.model
    floats = OnnxNetwork(network.model, DECLARED, quantised=False)
    assert running_file(floats, EXACT) is network.model


def test_an_exact_processor_runs_the_users_file(monkeypatch):
    monkeypatch.setattr(checking, "native_sums", lambda provider: "exact")
    monkeypatch.setattr(checking, "sums_of_nodes", lambda graph, provider: [NodeSums("a", "QGemm", "exact", True)])
    network = network_of(CASES["of integers"].model)
    assert running_file(network, EXACT) is network.model
    for told in ("saturating", None):  # what the provider does not tell is asked of the rewritten file
        monkeypatch.setattr(checking, "native_sums", lambda provider, told=told: told)
        assert running_file(network, EXACT) == with_exact_sums(network.model) != network.model


@pytest.mark.parametrize("suspect", [True, False])
@pytest.mark.parametrize(
    ("sums", "said"),
    [
        ("saturating", r"exact 8-bit sums cannot be had on this processor: node 'b' \(QGemm\) has saturating sums"),
        (None, r"exact 8-bit sums cannot be had on this processor: what node 'b' \(QGemm\) does cannot be told"),
    ],
)
def test_a_node_without_exact_sums_is_named(monkeypatch, sums, said, suspect):
    nodes = [NodeSums("a", "QLinearConv", "exact", True), NodeSums("b", "QGemm", sums, suspect)]
    monkeypatch.setattr(checking, "sums_of_nodes", lambda graph, provider: nodes)
    with pytest.raises(NotApplicable, match=said):
        open_predictor(network_of(CASES["of integers"].model), EXACT)


def seen_through(made):
    """A product of x, quantised, with weights that the network makes of x itself, which no rewriting reaches."""
    nodes = [
        helper.make_node("Reshape", ["x", "square"], ["s"]),
        helper.make_node("DynamicQuantizeLinear", ["s"], ["q", "qs", "qz"]),
        *made,
        helper.make_node("MatMulInteger", ["q", "w", "qz"], ["p"], name="attend"),
        helper.make_node("Cast", ["p"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["c", "row"], ["y"]),
    ]
    held = {
        "square": np.array([4, 4]), "row": np.array([1, 16]), "ws": np.float32(2.0**-7), "wz": np.int8(0),
        "gain": np.float32(127),
    }  # fmt: skip
    used = {name for node in nodes for name in node.input}
    held = {name: array for name, array in held.items() if name in used}
    model = model_of(nodes, {"x": (np.float32, [1, 1, 4, 4])}, held, {"y": (np.float32, [1, 16])})
    return network_of(model, InputSpec((1, 4, 4), tuple(map(str, range(16)))))


CAST = [
    helper.make_node("Mul", ["s", "gain"], ["g"]),
    helper.make_node("Cast", ["g"], ["w"], to=TensorProto.INT8),
]


def test_weights_that_are_inputs_are_exact_only_where_the_processor_is():
    network = seen_through(CAST)
    if native_sums() == "exact":
        assert open_predictor(network, EXACT).spec.integer_sums == "exact"
        return
    with pytest.raises(NotApplicable, match=r"on this processor: node 'attend' \(MatMulInteger\) has saturating sums"):
        open_predictor(network, EXACT)
    assert saturates(network, EDGE)


def test_weights_that_are_quantised_on_the_way_are_rewritten_too():
    network = seen_through([helper.make_node("QuantizeLinear", ["s", "ws", "wz"], ["w"])])
    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.9
    x[:, 0, 0, :2] = torch.tensor([0.0, 0.996])
    predictor = open_predictor(network, EXACT)
    codes = torch.from_numpy(np.rint(x.numpy() / (x.numpy().max((1, 2, 3), keepdims=True) / np.float32(255))))
    weights = torch.from_numpy(np.clip(np.rint(x.numpy() * 128), -128, 127))
    assert torch.equal(predictor.logits(x)[0], (codes.double() @ weights.double()).float().flatten(1))


def test_a_target_saturates_where_every_node_does(monkeypatch):
    network = network_of(CASES["of integers"].model)
    assert saturates(network, EDGE) == (native_sums() == "saturating")

    def told(native, *nodes):
        monkeypatch.setattr(checking, "_checked", {})
        monkeypatch.setattr(checking, "native_sums", lambda provider: native)
        monkeypatch.setattr(checking, "sums_of_nodes", lambda graph, provider: list(nodes))
        return saturates(network, replace(EDGE, integer_sums="saturating"))

    able, unable = NodeSums("a", "QGemm", "saturating", True), NodeSums("b", "QLinearConv", "exact", False)
    assert told("saturating", able, unable)  # depthwise kernels and unsigned weights saturate nowhere
    assert told("saturating")
    assert not told("exact", able)
    assert not told(None, able)
    assert not told("saturating", able, NodeSums("c", "QGemm", "exact", True))
    assert not told("saturating", able, NodeSums("c", "QGemm", None, True))
    assert isinstance(open_predictor(network, EDGE), OnnxPredictor)
    told("saturating", NodeSums("c", "QGemm", None, True))
    with monkeypatch.context() as patch:
        patch.setattr("bench.runtimes.onnx_predictor.running_file", lambda network, target: network.model)
        opened = open_predictor(network, replace(EDGE, integer_sums="saturating"))
    assert isinstance(opened, SimulatedPredictor)


def test_a_file_is_checked_once_for_each_target(monkeypatch):
    asked = []

    def told(graph, provider):
        asked.append(operators(graph))
        return []

    monkeypatch.setattr(checking, "sums_of_nodes", told)
    network = network_of(CASES["between quantisers"].model)
    for _ in range(2):
        for level in ("disabled", "extended"):
            running_file(network, replace(EXACT, optimisation=level))
    assert ["QLinearConv" in counts for counts in asked] == [False, True]  # each as its level leaves it
    running_file(network_of(CASES["dynamic"].model), EXACT)
    assert len(asked) == 3


def test_a_file_that_cannot_be_loaded_is_no_question_of_sums():
    for kind in ("exact", "saturating", "native"):
        with pytest.raises(UserError, match="cannot load the file"):
            open_predictor(network_of(b"nothing"), replace(EDGE, integer_sums=kind))


def test_the_graph_that_is_checked_is_the_one_that_runs(monkeypatch):
    """With the target's own optimisation, as ONNX Runtime writes it, also where an .ort file runs."""
    graphs = []
    monkeypatch.setattr(checking, "sums_of_nodes", lambda graph, provider: graphs.append(graph) or [])
    network = network_of(CASES["between quantisers"].model)
    target = replace(EXACT, format="ort")
    running = running_file(network, target)
    assert graphs == [saved(running, EXACT, "ONNX")]
