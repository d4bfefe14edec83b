"""How this machine sums 8-bit products, asked of whole sessions and node by node."""

import numpy as np
import pytest
from onnx import helper

from bench.integer_sums.unsigned_weights import with_exact_sums
from bench.runtimes import integer_sums
from bench.runtimes.base import Target
from bench.runtimes.integer_sums import CPU, NodeSums, native_sums, resolved_sums, sums_of_nodes
from bench.runtimes.onnx_session import LEVELS, saved
from tests.integer_sums.cases import (
    CONVOLUTIONS,
    MICROSOFT,
    PRODUCTS,
    Geometry,
    convolution,
    model_of,
    product,
    ran,
)

RANDOM = np.random.default_rng(7)
ROWS = RANDOM.integers(0, 255, (2, 31), np.uint8, endpoint=True)
MATRIX = RANDOM.integers(-128, 127, (31, 5), np.int8, endpoint=True)


def asked(model):
    """What is told of each node, of the graph as it stands."""
    return sums_of_nodes(model.SerializeToString())


def it(model):
    (found,) = asked(model)
    assert (found.name, found.operator) == ("it", model.graph.node[-1].op_type)
    return found.sums, found.can_saturate


def test_the_machine_is_what_its_sessions_are():
    """A product of every operator that can saturate: all of them do, or none."""
    answers = set()
    for operator in PRODUCTS:
        case = product(operator, ROWS, MATRIX)
        shown = ran(case.model, {"x": case.x})
        answers |= {kind for kind, expected in case.expected.items() if np.array_equal(shown, expected)}
    assert answers == {native_sums()}
    assert native_sums() == native_sums(CPU) in ("exact", "saturating")


@pytest.mark.parametrize("provider", ["AzureExecutionProvider", "NoSuchExecutionProvider"])
def test_a_provider_that_does_not_multiply_tells_nothing(provider):
    assert native_sums(provider) is None


def test_a_session_that_fell_back_tells_nothing_of_its_provider(monkeypatch):
    """Outside of tests ONNX Runtime only warns where a provider is missing, and takes the processor."""
    asked = []

    def fallen_back(model, provider):
        asked.append(provider)
        return honest(model, CPU)

    honest = integer_sums._session
    monkeypatch.setattr(integer_sums, "_session", fallen_back)
    assert native_sums("MissingExecutionProvider") is None
    assert asked == ["MissingExecutionProvider"]


def test_a_target_sums_as_it_asks_for():
    def target(kind, provider=CPU):
        return Target(name="edge", runtime="onnxruntime", provider=provider, integer_sums=kind)

    assert resolved_sums(target("exact")) == "exact"
    assert resolved_sums(target("saturating")) == "saturating"
    assert resolved_sums(target("native")) == native_sums()
    assert resolved_sums(target("native", "NoSuchExecutionProvider")) is None
    assert resolved_sums(target("exact", "NoSuchExecutionProvider")) == "exact"


@pytest.mark.parametrize("zero", [0, 5, 127, -128])
@pytest.mark.parametrize("operator", PRODUCTS)
def test_every_matrix_product_is_asked(operator, zero):
    """With weights of both signs, of one, and of a pair that hardly leaves 16 bits."""
    hardly = np.int8([[64, 1], [65, 1]])
    for weights in (MATRIX, np.full((2, 3), 127, np.int8), np.full((3, 2), -128, np.int8), hardly, -hardly):
        rows = np.full((1, len(weights)), 255, np.uint8)
        model = product(operator, rows, weights, a_zero=3, b_zero=zero).model
        assert it(model) == (native_sums(), True)
        moved = sums_of_nodes(with_exact_sums(model.SerializeToString()))
        able = int((weights.astype(int) + 128)[:2].sum(0).max()) >= 129
        assert moved == [NodeSums("it", operator.split()[0], "exact", False)] * able


GEOMETRIES = {
    "padded": (Geometry(3, 4, (3, 3), pads=(1, 1, 1, 1), strides=(2, 2)), True),
    "dilated": (Geometry(3, 4, (3, 2), dilations=(2, 3)), True),
    "groups": (Geometry(6, 4, (3, 3), group=2), True),
    "a line": (Geometry(5, 4, (1, 3), size=(1, 9), axes=1), True),
    "multiplier 2": (Geometry(3, 6, (3, 3), group=3), True),
    "one channel": (Geometry(1, 4, (5, 5)), True),
    "depthwise": (Geometry(4, 4, (3, 3), group=4), False),
}


@pytest.mark.parametrize("zero", [0, 100])
@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("operator", CONVOLUTIONS)
def test_every_convolution_is_asked(operator, name, zero):
    geometry, suspect = GEOMETRIES[name]
    signed = operator == "ConvInteger"
    x = np.zeros((1, *geometry.image), "int8" if signed else "uint8")
    w = RANDOM.integers(-128, 127, geometry.weights, np.int8, endpoint=True)
    w.reshape(len(w), -1)[:, :2] = 127 - 255 * signed  # 255 as uint8
    model = convolution(operator, x, w.view("uint8" if signed else "int8"), w_zero=zero, geometry=geometry).model
    suspect |= signed
    assert it(model) == (native_sums() if suspect else "exact", suspect)
    # int8 beside int8 can leave 16 bits by one alone, where two weights are -128
    assert {
        (found.sums, found.can_saturate) for found in sums_of_nodes(with_exact_sums(model.SerializeToString()))
    } <= {("exact", False)}


@pytest.mark.parametrize("zeros", [None, np.int8(5), np.int8([5, 0, -3, 127, -128])], ids=["none", "one", "each"])
def test_weights_that_are_inputs_are_asked_with_others_of_their_type(zeros):
    x, b = {"x": (np.uint8, [None, 31])}, {"b": (np.int8, [31, 5])}
    held = {"one": np.float32(1), "zero": np.uint8(0)}
    named = [] if zeros is None else ["bz"]
    held |= dict.fromkeys(named, zeros)
    integer = helper.make_node("MatMulInteger", ["x", "b", "zero", *named], ["y"], name="it")
    real = helper.make_node(
        "MatMulIntegerToFloat", ["x", "b", "one", "one", "zero", *named], ["y"], name="it", domain=MICROSOFT
    )
    assert it(model_of([integer], x | b, held, {"y": (np.int32, None)})) == (native_sums(), True)
    assert it(model_of([real], x | b, held, {"y": (np.float32, None)})) == (native_sums(), True)
    if named:
        inputs = ["x", "one", "zero", "b", "one", "bz", "one", "zero"]
        whole = helper.make_node("QLinearMatMul", inputs, ["y"], name="it")
        gemm = helper.make_node(
            "QGemm", [*inputs[:6], "", *inputs[6:]], ["y"], name="it", domain=MICROSOFT, transB=1, alpha=0.5
        )
        assert it(model_of([whole], x | b, held, {"y": (np.uint8, None)})) == (native_sums(), True)
        turned = {"b": (np.int8, [5, 31])}
        assert it(model_of([gemm], x | turned, held, {"y": (np.uint8, None)})) == (native_sums(), True)


@pytest.mark.parametrize("shape", [(6,), (3, 6, 4)])
def test_weights_of_any_rank_are_asked(shape):
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"], name="it")
    weights = np.full(shape, 127, np.int8)  # every pair can saturate: random ones sometimes cannot
    model = model_of([node], {"x": (np.uint8, [2, 6])}, {"w": weights}, {"y": (np.int32, None)})
    assert it(model) == (native_sums(), True)


def test_products_whose_two_kinds_are_one_are_not_listed():
    """Weights of 7 bits, and int8 activations, whose pairs leave 16 bits by -128 alone."""
    small = RANDOM.integers(-64, 64, (31, 5), np.int8, endpoint=True)
    signed = ROWS.view(np.int8)
    for operator in PRODUCTS:
        assert asked(product(operator, ROWS, small).model) == []
    for operator in SIGNED:
        assert asked(product(operator, signed, np.full((31, 5), 127, np.int8)).model) == []


SIGNED = ("MatMulInteger", "QLinearMatMul", "QGemm", "QGemm turned")
"""Products that take int8 activations."""


@pytest.mark.parametrize("operator", [*SIGNED, *CONVOLUTIONS[:2]])
def test_signed_activations_are_exact_where_one_weight_could_tell(operator):
    if operator in SIGNED:
        model = product(operator, ROWS.view(np.int8), np.full((31, 5), -128, np.int8)).model
    else:
        geometry = Geometry(4, 2)
        x, w = np.zeros((1, *geometry.image), np.int8), np.full(geometry.weights, -128, np.int8)
        model = convolution(operator, x, w, geometry=geometry).model
    assert it(model) == ("exact", False)


def test_what_cannot_be_asked_is_not_told():
    """A convolution whose weights are an input, attention, and a recurrent layer."""
    w = {"w": (np.int8, [4, 3, 3, 3])}
    held = {"one": np.float32(1), "zero": np.uint8(0), "wz": np.int8(0)}
    inputs = ["x", "one", "zero", "w", "one", "wz", "one", "zero"]
    node = helper.make_node("QLinearConv", inputs, ["y"], name="it")
    model = model_of([node], {"x": (np.uint8, [1, 3, 5, 5])} | w, held, {"y": (np.uint8, None)})
    assert it(model) == (None, True)
    held = {
        "w": np.full((8, 24), 127, np.int8), "b": np.zeros(24, np.float32), "one": np.float32(1), "xz": np.uint8(0),
        "wz": np.int8(0), "m": np.full(1, 3, np.int32),
    }  # fmt: skip
    inputs = ["x", "w", "b", "one", "one", "m", "xz", "wz"]
    node = helper.make_node("QAttention", inputs, ["y"], name="it", domain=MICROSOFT, num_heads=2)
    assert it(model_of([node], {"x": (np.uint8, [1, 3, 8])}, held, {"y": (np.float32, None)})) == (None, True)
    held = {name: np.full((1, 4, 16), 127, np.int8) for name in "wr"} | {
        "s": np.ones(1, np.float32), "z": np.zeros(1, np.int8),
    }  # fmt: skip
    inputs = ["x", "w", "r", "", "", "", "", "", "s", "z", "s", "z"]
    node = helper.make_node("DynamicQuantizeLSTM", inputs, ["y"], name="it", domain=MICROSOFT, hidden_size=4)
    assert it(model_of([node], {"x": (np.float32, [3, 1, 4])}, held, {"y": (np.float32, None)})) == (None, True)


def test_a_kernel_that_answers_otherwise_is_not_told(monkeypatch):
    """Neither of both kinds: a session that gives something else."""

    class Strange:
        def __init__(self, session):
            self.session = session

        def run(self, names, feeds):
            return [self.session.run(names, feeds)[0] + 1]

    honest = integer_sums._session
    monkeypatch.setattr(integer_sums, "_session", lambda model, provider: Strange(honest(model, provider)))
    assert it(product("MatMulInteger", ROWS, MATRIX).model) == (None, True)


@pytest.mark.parametrize("level", LEVELS)
def test_nodes_are_asked_as_the_optimised_graph_has_them(level):
    """Some in a layout that the file did not have."""
    geometry = Geometry(16, 16, (3, 3), pads=(1, 1, 1, 1))
    x = RANDOM.integers(0, 255, (1, *geometry.image), np.uint8)
    w = RANDOM.integers(-128, 127, geometry.weights, np.int8, endpoint=True)
    model = convolution("QLinearConv", x, w, geometry=geometry).model.SerializeToString()
    for given, expected in ((model, (native_sums(), True)), (with_exact_sums(model), ("exact", False))):
        target = Target(name="edge", runtime="onnxruntime", optimisation=level)
        (found,) = sums_of_nodes(saved(given, target, "ONNX"))
        assert (found.sums, found.can_saturate) == expected
