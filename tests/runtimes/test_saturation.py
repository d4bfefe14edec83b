"""What of a network's sums can saturate, and what does on samples: small networks by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from bench.errors import NotDifferentiable
from bench.networks.network import InputSpec, OnnxNetwork
from bench.runtimes import saturation
from bench.runtimes.base import Target
from bench.runtimes.integer_sums import native_sums
from bench.runtimes.onnx_predictor import OnnxPredictor, SimulatedPredictor
from bench.runtimes.onnx_session import LEVELS
from bench.runtimes.opening import open_predictor
from bench.runtimes.saturation import SAMPLES, layers_that_can_saturate, sums_of
from tests.integer_sums.by_hand import patches
from tests.integer_sums.cases import model_of
from tests.integer_sums.networks import (
    BOUNDS,
    IMAGES,
    KERNEL,
    MATRIX,
    NETWORKS,
    SHAPE,
    X_ZERO,
    fused,
    hidden,
)

EDGE = Target(name="edge", runtime="onnxruntime")
OLD = replace(EDGE, integer_sums="saturating")
CASES = {name: made() for name, made in NETWORKS.items()}
DECLARED = InputSpec(SHAPE, ("a", "b", "c"), BOUNDS)


def network_of(model, declared=DECLARED):
    return OnnxNetwork(model.SerializeToString(), declared, quantised=True)


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    monkeypatch.setattr(saturation, "_layers", {})


def able(weights):
    """The share of the pairs of a matrix (k, outputs) of which some activations leave 16 bits, by the rule."""
    found = []
    for column in weights.T.tolist():
        for k in range(0, len(column), 2):
            pair = column[k : k + 2]
            above, below = (sum(edge(each, 0) for each in pair) for edge in (max, min))
            found.append(above >= 129 or below <= -129)
    return sum(found) / len(found)


def left(rows, weights):
    """The share of pair sums that leave 16 bits, one after the other."""
    found = []
    for row in rows.tolist():
        for column in weights.T.tolist():
            for k in range(0, len(row), 2):
                pair = sum(a * w for a, w in zip(row[k : k + 2], column[k : k + 2], strict=True))
                found.append(not -(2**15) <= pair < 2**15)
    return sum(found) / len(found)


LINE = KERNEL.transpose(2, 3, 1, 0).reshape(-1, 4).astype(int)  # the channel fastest
ROWS = patches(IMAGES, (3, 3), X_ZERO, pads=(1, 1, 1, 1)).transpose(0, 1, 2, 4, 5, 3).reshape(-1, 18)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["between quantisers", "of integers"])
def test_shares_of_the_weights_need_no_data(name, level):
    found = layers_that_can_saturate(network_of(CASES[name].model), replace(EDGE, optimisation=level))
    if not fused(name, level):  # on floats nothing saturates
        assert found == []
        return
    by_hand = {"QLinearConv": able(LINE), "QLinearMatMul": able(MATRIX.astype(int))}
    assert {layer["operator"]: layer["can_saturate"] for layer in found} == by_hand
    assert all(0 < share < 1 for share in by_hand.values())
    if name == "of integers":
        assert [layer["name"] for layer in found] == ["convolution", "product"]


@pytest.mark.parametrize("kind", ["native", "exact", "saturating"])
@pytest.mark.parametrize("level", ["disabled", "all"])
def test_shares_of_pair_sums_on_samples(kind, level):
    """Of the saturating network, whatever this one does: the hidden codes are those after its first layer."""
    case = CASES["of integers"]
    target = replace(EDGE, integer_sums=kind, optimisation=level)
    predictor, x = open_predictor(network_of(case.model), target), torch.from_numpy(case.x)
    found = sums_of(predictor, x)
    assert found["kind"] == (native_sums() if kind == "native" else kind)
    assert found["simulated"] == (kind == "saturating" and native_sums() != "saturating")
    assert (found["reason"], found["samples"]) == ("", 3)
    assert found["layers"] == [
        {
            "name": "convolution", "operator": "QLinearConv", "can_saturate": able(LINE),
            "saturated": left(ROWS, LINE),
        },
        {
            "name": "product", "operator": "QLinearMatMul", "can_saturate": able(MATRIX.astype(int)),
            "saturated": left(hidden("saturating").astype(int), MATRIX.astype(int)),
        },
    ]  # fmt: skip
    assert all(0 < layer["saturated"] < layer["can_saturate"] for layer in found["layers"])


def test_a_simulated_network_says_so():
    case = CASES["of integers"]
    predictor = SimulatedPredictor(network_of(case.model), OLD, 1)
    found = sums_of(predictor, torch.from_numpy(case.x))
    assert (found["kind"], found["simulated"]) == ("saturating", True)
    assert [layer["name"] for layer in found["layers"]] == ["convolution", "product"]


def test_dynamically_quantised_products_are_counted():
    case = CASES["dynamic"]
    predictor, x = open_predictor(network_of(case.model), EDGE), torch.from_numpy(case.x)
    (layer,) = sums_of(predictor, x)["layers"]
    codes = (case.x.reshape(3, -1) * 16 + X_ZERO).astype(int)
    weights = next(each for each in case.model.graph.initializer if each.name == "m")
    matrix = np.frombuffer(weights.raw_data, np.int8).reshape(50, 3).astype(int)
    assert layer["name"] == "product"
    assert (layer["can_saturate"], layer["saturated"]) == (able(matrix), left(codes, matrix))
    assert layer["saturated"] > 0


def test_only_some_samples_are_used():
    case = CASES["of integers"]
    predictor, x = open_predictor(network_of(case.model), EDGE), torch.from_numpy(case.x)
    many = torch.cat([x[:1]] * SAMPLES + [x[1:]] * 3)
    assert sums_of(predictor, many)["layers"] == sums_of(predictor, x[:1])["layers"]
    assert sums_of(predictor, many)["samples"] == SAMPLES == 64


def line(weights, made=False, dynamic=False):
    """Four pixels through one product.

    ``made``: with weights that the network makes of its own; ``dynamic``: quantised by the range of what is given.
    """
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("DynamicQuantizeLinear", ["f"], ["q", "scale", "zero"])
        if dynamic
        else helper.make_node("QuantizeLinear", ["f", "one", "zero"], ["q"]),
        *([helper.make_node("Cast", ["r"], ["w"], to=TensorProto.INT8)] if made else []),
        helper.make_node("MatMulInteger", ["q", "w", "zero"], ["p"], name="product"),
        helper.make_node("Cast", ["p"], ["y"], to=TensorProto.FLOAT),
    ]
    array = np.asarray(weights)
    held = {} if dynamic else {"one": np.float32(1), "zero": np.uint8(0)}
    held["r" if made else "w"] = array.astype(np.float32 if made else np.int8)
    classes = array.shape[1]
    inputs, outputs = {"x": (np.float32, ["n", 1, 2, 2])}, {"y": (np.float32, ["n", classes])}
    declared = InputSpec((1, 2, 2), tuple("abcdef"[:classes]), (0.0, 255.0))
    return network_of(model_of(nodes, inputs, held, outputs), declared)


def test_shares_on_paper():
    """Two outputs of two pairs: 127 + 127 and 65 + 64 reach 129, 64 + 64 and 1 + 1 do not.

    Of two images 255 · 254 and 255 · 129 leave 16 bits in the first alone, 200 · 254 in the second too.
    """
    network = line([[127, 64], [127, 64], [1, 65], [1, 64]])
    assert layers_that_can_saturate(network, EDGE) == [
        {"name": "product", "operator": "MatMulInteger", "can_saturate": 2 / 4}
    ]
    x = torch.tensor([[255.0] * 4, [200.0] * 4]).reshape(2, 1, 2, 2)
    predictor = open_predictor(network, EDGE)
    assert sums_of(predictor, x)["layers"][0]["saturated"] == 3 / 8
    assert sums_of(predictor, x * 0)["layers"][0]["saturated"] == 0
    # what stands in one answer does not change the next
    sums_of(predictor, x)["layers"][0]["can_saturate"] = "changed"
    assert sums_of(predictor, x)["layers"][0]["can_saturate"] == 1 / 2


def test_a_dynamic_range_is_that_of_each_image():
    """A pale image by itself has codes as large as a bright one's; beside it, it would not have them."""
    predictor = open_predictor(line([[127], [127], [1], [1]], dynamic=True), EDGE)
    pale, bright = torch.full((1, 1, 2, 2), 100.0), torch.full((1, 1, 2, 2), 255.0)
    (layer,) = sums_of(predictor, torch.cat([pale, bright]))["layers"]
    assert layer["saturated"] == 2 / 4


def test_each_level_has_its_own_layers():
    network = network_of(CASES["between quantisers"].model)
    found = [len(layers_that_can_saturate(network, replace(EDGE, optimisation=level))) for level in LEVELS]
    assert found == [0, 0, 2, 2]


def test_small_weights_have_no_layer_and_nothing_is_counted(monkeypatch):
    monkeypatch.setattr(saturation, "_counted", lambda *given: pytest.fail("nothing to count"))
    predictor = open_predictor(line([[64, -64]] * 4), EDGE)
    found = sums_of(predictor, torch.zeros(2, 1, 2, 2))
    assert (found["layers"], found["samples"], found["kind"]) == ([], 0, native_sums())


def test_weights_that_are_not_constant_are_not_known():
    """They are counted on samples all the same."""
    network, target = line([[127], [127], [1], [1]], made=True), replace(EDGE, optimisation="disabled")
    assert layers_that_can_saturate(network, target) == [
        {"name": "product", "operator": "MatMulInteger", "can_saturate": None}
    ]
    (layer,) = sums_of(OnnxPredictor(network, target, 1), torch.full((1, 1, 2, 2), 255.0))["layers"]
    assert (layer["can_saturate"], layer["saturated"]) == (None, 1 / 2)


def test_a_graph_that_cannot_be_imported_has_no_shares_on_samples(monkeypatch):
    def refuse(*given, **options):
        raise NotDifferentiable("the graph cannot be imported: node 'odd'\n(Odd, opset 1)")

    monkeypatch.setattr("bench.onnx_import.twin.Twin", refuse)
    predictor = open_predictor(line([[127]] * 4), EDGE)
    found = sums_of(predictor, torch.zeros(2, 1, 2, 2))
    assert found["reason"] == "the graph cannot be imported: node 'odd' (Odd, opset 1)"
    assert found["samples"] == 0
    assert found["layers"] == [{"name": "product", "operator": "MatMulInteger", "can_saturate": 1.0, "saturated": None}]


def test_the_target_changes_no_share_but_by_its_optimisation():
    """Provider and sums are no part of what the weights are."""
    network = network_of(CASES["of integers"].model)
    found = [
        layers_that_can_saturate(network, replace(EDGE, **options))
        for options in ({}, {"integer_sums": "exact"}, {"integer_sums": "saturating"}, {"provider": "NoSuchProvider"})
    ]
    assert all(each == found[0] for each in found)
