"""Both kinds of sums of 8-bit products, operator by operator: against sums by hand, and against this machine's own.

Each case with one session; with ``CRBENCH_ALL_SUMS=1`` at every level, as both kinds of file, on one and two threads.
"""

import os
from itertools import product as every

import numpy as np
import pytest
import torch
from onnx import helper

from bench.onnx_import import import_onnx
from bench.onnx_import.saturation import CHUNK, Counted, candidates, lost, of_matrix
from bench.runtimes.integer_sums import native_sums
from tests.integer_sums import cases
from tests.integer_sums.by_hand import KINDS, convolved, multiplied, patches, requantised, summed
from tests.integer_sums.cases import CONVOLUTIONS, LEVELS, PRODUCTS, Geometry, convolution, model_of, product, ran

ALL = bool(os.environ.get("CRBENCH_ALL_SUMS"))
SESSIONS = list(every(LEVELS, ("onnx", "ort"), (1, 2)))

SIZES = (7, 130, 1001, 4096)
SHAPES = {
    "of 7": Geometry(7, 6),
    "of 130, stride 2": Geometry(130, 5, strides=(2, 2)),
    "of 1001": Geometry(91, 4, (11, 1), size=(12, 3)),
    "of 4096": Geometry(1024, 3, (2, 2), size=(3, 4)),
    "padded": Geometry(3, 8, (3, 3), pads=(1, 1, 1, 1)),
    "padded on one side": Geometry(4, 5, (3, 3), pads=(0, 2, 1, 0), strides=(2, 1)),
    "dilated": Geometry(16, 8, (3, 3), dilations=(2, 2), pads=(2, 2, 2, 2)),
    "oblong": Geometry(33, 9, (3, 2), pads=(1, 1, 1, 1)),
    "groups": Geometry(12, 8, (3, 3), group=4, pads=(1, 1, 1, 1)),
    "two groups, stride 2": Geometry(6, 6, (3, 3), group=2, pads=(2, 2, 2, 2), strides=(2, 2)),
    "depthwise": Geometry(8, 8, (3, 3), group=8, pads=(1, 1, 1, 1)),
    "depthwise, multiplier 2": Geometry(8, 16, (3, 3), group=8, pads=(1, 1, 1, 1)),
    "one channel to one": Geometry(1, 1, (3, 3), pads=(1, 1, 1, 1)),
    "one channel to four": Geometry(1, 4, (5, 5), pads=(2, 2, 2, 2)),
    "a line": Geometry(5, 4, (1, 3), pads=(0, 1, 0, 1), size=(1, 11), axes=1),
    "a line, depthwise": Geometry(4, 4, (1, 3), group=4, pads=(0, 1, 0, 1), size=(1, 11), axes=1),
}


def drawn(seed, activations, a_shape, weights, b_shape):
    """Codes that often leave 16 bits in pairs: activations in the upper half, weights of any size."""
    random = np.random.default_rng(seed)
    low, high = (100, 255) if activations == "uint8" else (-128, 127)
    a = random.integers(low, high, a_shape, activations, endpoint=True)
    limits = np.iinfo(weights)
    return a, random.integers(limits.min, limits.max, b_shape, weights, endpoint=True)


def matrix(operator, size, batch, b_zero):
    for seed in range(100):
        case = product(operator, *drawn(seed, "uint8", (batch, size), "int8", (size, 9)), a_zero=97, b_zero=b_zero)
        if differ(case):
            return case
    raise AssertionError("no case tells the kinds apart")


def kernel(operator, shape, batch, w_zero):
    geometry = SHAPES[shape]
    types = ("int8", "uint8") if operator == "ConvInteger" else ("uint8", "int8")
    for seed in range(100):
        x, w = drawn(seed, types[0], (batch, *geometry.image), types[1], geometry.weights)
        case = convolution(
            operator, x, w, x_zero=-7 if operator == "ConvInteger" else 97, w_zero=w_zero, geometry=geometry
        )
        if differ(case) or own_kernel(operator, geometry):
            return case
    raise AssertionError("no case tells the kinds apart")


def differ(case):
    return not np.array_equal(case.expected["exact"], case.expected["saturating"])


def own_kernel(operator, geometry):
    """One channel in and one out a group: ONNX Runtime sums that apart, exactly."""
    return operator != "ConvInteger" and geometry.channels == geometry.outputs == geometry.group


def hold(case, number):
    """The twin of both kinds to sums by hand, and the twin of this machine's kind to its sessions."""
    for kind in KINDS:
        found = import_onnx(case.model, "hard", kind).values({"x": torch.from_numpy(case.x)}, ["y"])["y"].numpy()
        np.testing.assert_array_equal(found, case.expected[kind], kind, strict=True)
        if kind == native_sums():
            for level, form, threads in SESSIONS if ALL else SESSIONS[number % len(SESSIONS) :][:1]:
                shown = ran(case.model, {"x": case.x}, level, threads, form)
                np.testing.assert_array_equal(shown, found, f"{level}, {form}, {threads} threads", strict=True)


@pytest.mark.parametrize("zero", [0, 5])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("operator", PRODUCTS)
def test_matrix_products(operator, size, batch, zero):
    case = matrix(operator, size, batch, zero)
    assert differ(case)
    hold(case, PRODUCTS.index(operator) * 5 + SIZES.index(size) * 3 + batch + zero)


@pytest.mark.parametrize("zero", [0, 5])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("operator", CONVOLUTIONS)
def test_convolutions(operator, shape, batch, zero):
    case = kernel(operator, shape, batch, zero)
    assert differ(case) != own_kernel(operator, SHAPES[shape])
    hold(case, CONVOLUTIONS.index(operator) * 5 + list(SHAPES).index(shape) * 3 + batch + zero)


def values(model, feeds, kind="saturating", name="y", gradient="hard"):
    module = import_onnx(model, gradient, kind)
    return module.values({key: torch.from_numpy(array) for key, array in feeds.items()}, [name])[name].numpy()


INTEGERS = {"y": (np.int32, None)}


@pytest.mark.parametrize("a_shape", [(7,), (3, 7), (2, 3, 7)])
@pytest.mark.parametrize("b_shape", [(7,), (7, 4), (2, 7, 4)])
def test_products_of_any_rank(a_shape, b_shape):
    """Weights that are constant, given as an input, and made by another node."""
    a, b = drawn(1, "uint8", a_shape, "int8", b_shape)
    rows, columns = np.atleast_2d(a), b[:, None] if b.ndim == 1 else b
    batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    lefts = np.broadcast_to(rows, (*batch, *rows.shape[-2:])).reshape(-1, *rows.shape[-2:])
    rights = np.broadcast_to(columns, (*batch, *columns.shape[-2:])).reshape(-1, *columns.shape[-2:])
    expected = np.stack([summed("saturating", *pair) for pair in zip(lefts, rights, strict=True)])
    expected = expected.reshape(np.matmul(a.astype(int), b.astype(int)).shape)
    node = helper.make_node("MatMulInteger", ["x", "b"], ["y"])
    clip = helper.make_node("Clip", ["b", "low"], ["clipped"])
    behind = helper.make_node("MatMulInteger", ["x", "clipped"], ["y"])
    given, weight = {"x": (np.uint8, a_shape)}, {"b": (np.int8, b_shape)}
    for model, feeds in (
        (model_of([node], given, {"b": b}, INTEGERS), {"x": a}),
        (model_of([node], given | weight, {}, INTEGERS), {"x": a, "b": b}),
        (model_of([clip, behind], given | weight, {"low": np.int8(-128)}, INTEGERS), {"x": a, "b": b}),
    ):
        found = values(model, feeds)
        np.testing.assert_array_equal(found, expected, strict=False)
        assert found.shape == expected.shape
        np.testing.assert_array_equal(values(model, feeds, native_sums()), ran(model, feeds))


def test_a_turned_left_factor():
    a, b = drawn(2, "uint8", (5, 3), "int8", (5, 4))
    constants = {"as": np.float32(1), "az": np.uint8(3), "b": b, "bs": np.float32(1), "bz": np.int8(0)}
    node = helper.make_node("QGemm", ["x", "as", "az", "b", "bs", "bz"], ["y"], domain=cases.MICROSOFT, transA=1)
    model = model_of([node], {"x": (np.uint8, [5, 3])}, constants, {"y": (np.float32, None)})
    np.testing.assert_array_equal(values(model, {"x": a}), multiplied("saturating", a.T, b, 3).astype(np.float32))
    np.testing.assert_array_equal(values(model, {"x": a}, native_sums()), ran(model, {"x": a}))


def test_one_weight_of_several_nodes():
    """Where an activation's pair stands in the image depends on the node's groups, not on the weight alone."""
    x, w = drawn(3, "uint8", (1, 4, 3, 3), "int8", (4, 2, 1, 1))
    one = {"s": np.float32(1), "z": np.uint8(0), "w": w, "wz": np.int8(0), "ys": np.float32(700), "yz": np.uint8(99)}
    inputs = ["s", "z", "w", "s", "wz", "ys", "yz"]
    nodes = [
        helper.make_node("Slice", ["x", "start", "end", "axis"], ["half"]),
        helper.make_node("QLinearConv", ["half", *inputs], ["narrow"]),
        helper.make_node("QLinearConv", ["x", *inputs], ["y"], group=2),
    ]
    numbers = {"start": np.array([0]), "end": np.array([2]), "axis": np.array([1])}
    outputs = {"narrow": (np.uint8, None), "y": (np.uint8, None)}
    model = model_of(nodes, {"x": (np.uint8, [1, 4, 3, 3])}, one | numbers, outputs)
    module = import_onnx(model, "hard", "saturating")
    found = module.values({"x": torch.from_numpy(x)}, ["narrow", "y"])
    for name, group, image in (("narrow", 1, x[:, :2]), ("y", 2, x)):
        sums = {kind: convolved(kind, image, w, group=group) for kind in KINDS}
        assert (sums["exact"] != sums["saturating"]).any()
        expected = requantised(sums["saturating"], np.float32(1) / np.float32(700), np.uint8(99))
        np.testing.assert_array_equal(found[name].numpy(), expected)


def straight(weights, x, sums):
    """Values and gradients of the columns of weights for one row x of whole numbers, quantised straight through."""
    columns = np.array(weights, np.int8).T
    constants = {"one": np.float32(1), "zero": np.uint8(0), "b": columns, "bz": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "zero"], ["q"]),
        helper.make_node("MatMulIntegerToFloat", ["q", "b", "one", "one", "zero", "bz"], ["y"], domain=cases.MICROSOFT),
    ]
    model = model_of(nodes, {"x": (np.float32, ["n", len(columns)])}, constants, {"y": (np.float32, None)})
    given = torch.tensor([x], requires_grad=True)
    made = import_onnx(model, "straight_through", sums)(given)[0]
    return made.tolist(), [torch.autograd.grad(y, given, retain_graph=True)[0][0].tolist() for y in made]


def test_a_clipped_pair_has_no_gradient_and_all_others_their_weights():
    """By hand: 200 · 127 + 200 · 127 is 50,800; 253 · 127 + 106 · 6 is 32,767 and not clipped."""
    weights = [[127, 127, 3, -2], [-127, -128, 5, 5], [1, 2, 100, 100], [127, 127, 127, 127]]
    x = [200.0, 200.0, 50.0, 60.0]
    assert straight(weights, x, "saturating") == (
        [32767 + 30, -32768 + 550, 600 + 11000, 32767 + 13970],
        [[0, 0, 3, -2], [0, 0, 5, 5], [1, 2, 100, 100], [0, 0, 127, 127]],
    )
    assert straight(weights, x, "exact") == (
        [50800 + 30, -51000 + 550, 600 + 11000, 50800 + 13970],
        [[float(weight) for weight in row] for row in weights],
    )
    assert straight([[127, 6]], [253.0, 106.0], "saturating") == ([32767.0], [[127.0, 6.0]])
    assert straight([[127, 6]], [254.0, 106.0], "saturating") == ([32767.0], [[0.0, 0.0]])
    assert straight([[127, 127, 9]], [200.0, 200.0, 30.0], "saturating") == ([32767.0 + 270], [[0.0, 0.0, 9.0]])


@pytest.mark.parametrize("last", [0, 1])
def test_a_clipped_pair_has_no_gradient_in_a_convolution(last):
    """Two channels are a pair at each pixel: the first pixel's is clipped, the second's is not."""
    constants = {
        "one": np.float32(1), "zero": np.uint8(0), "w": np.array([127, 120], np.int8).reshape(1, 2, 1, 1),
        "wz": np.int8(0), "ys": np.float32(256),
    }  # fmt: skip
    inputs = ["q", "one", "zero", "w", "one", "wz", "ys", "zero"]
    options = {"domain": cases.MICROSOFT, "channels_last": 1} if last else {}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "zero"], ["q"]),
        helper.make_node("QLinearConv", inputs, ["p"], **options),
        helper.make_node("DequantizeLinear", ["p", "ys", "zero"], ["y"]),
    ]
    shape = [1, 1, 2, 2] if last else [1, 2, 1, 2]
    model = model_of(nodes, {"x": (np.float32, shape)}, constants, {"y": (np.float32, None)})
    x = np.float32([[200, 20], [200, 10]])  # channels, pixels
    x = x.T.reshape(shape) if last else x.reshape(shape)
    for sums, first in (("saturating", [0, 0]), ("exact", [127, 120])):
        given = torch.from_numpy(x.copy()).requires_grad_()
        made = import_onnx(model, "straight_through", sums)(given)
        assert made.detach().ravel().tolist() == [256 * (128 if sums == "saturating" else 193), 256 * 15]
        gradient = torch.autograd.grad(made.sum(), given)[0].numpy()
        pixels = gradient.reshape(2, 2) if last else gradient.reshape(2, 2).T
        assert pixels.tolist() == [first, [127, 120]]


def counts(a, b):
    """How many pair sums there are, and how many leave 16 bits: one after the other."""
    made = clipped = 0
    for row in a.tolist():
        for column in b.T.tolist():
            for k in range(0, len(row), 2):
                pair = sum(x * w for x, w in zip(row[k : k + 2], column[k : k + 2], strict=True))
                made, clipped = made + 1, clipped + (not -32768 <= pair <= 32767)
    return made, clipped


def test_pair_sums_are_counted_by_node_while_asked_for():
    a, b = drawn(4, "uint8", (3, 7), "int8", (7, 5))
    nodes = [
        helper.make_node("MatMulInteger", ["x", "b"], ["y"], name="saturates"),
        helper.make_node("MatMulInteger", ["x", "c"], ["z"]),
        helper.make_node("MatMulInteger", ["x", "u"], ["v"], name="exact everywhere"),
    ]
    constants = {"b": b, "c": b // 2, "u": b.view(np.uint8)}
    outputs = dict.fromkeys("yzv", (np.int32, None))
    model = model_of(nodes, {"x": (np.uint8, [None, 7])}, constants, outputs)
    module, x = import_onnx(model, "hard", "saturating"), torch.from_numpy(a)
    module.values({"x": x}, ["y", "z", "v"])  # not asked for
    with module.counting() as counted:
        module.values({"x": x}, ["y"])
        module.values({"x": x[:1]}, ["y", "z", "v"])
    module.values({"x": x}, ["y"])  # no longer
    made, clipped = (sum(pair) for pair in zip(counts(a, b), counts(a[:1], b), strict=True))
    assert 0 < clipped < made
    assert {name: (found.sums, found.clipped) for name, found in counted.items()} == {
        "saturates": (made, clipped),
        "z": (20, 0),  # weights below 64
    }
    exact = import_onnx(model, "hard", "exact")
    with exact.counting() as counted:
        exact.values({"x": x}, ["y", "z", "v"])
    assert counted == {}


@pytest.mark.parametrize("operator", ["QLinearConv", "QLinearConv channels last", "ConvInteger"])
def test_pair_sums_of_a_convolution_are_counted(operator):
    """Padding counts too: it holds the zero point's code."""
    geometry = Geometry(4, 6, (3, 3), group=2, pads=(1, 1, 1, 1), strides=(2, 2), size=(5, 4))
    types = ("int8", "uint8") if operator == "ConvInteger" else ("uint8", "int8")
    x, w = drawn(5, types[0], (2, *geometry.image), types[1], geometry.weights)
    zero = -100 if operator == "ConvInteger" else 200
    case = convolution(operator, x, w, x_zero=zero, geometry=geometry)
    module = import_onnx(case.model, "hard", "saturating")
    with module.counting() as counted:
        module.values({"x": torch.from_numpy(case.x)}, ["y"])
    seen = patches(x, (3, 3), zero, **geometry.plain())
    made = clipped = 0
    for group in (0, 1):
        rows, block = seen[..., 2 * group : 2 * group + 2, :, :], w[3 * group : 3 * group + 3].astype(int)
        if operator != "ConvInteger":
            rows, block = np.moveaxis(rows, 3, -1), np.moveaxis(block, 1, -1)
        found = counts(rows.reshape(-1, 18), block.reshape(3, 18).T)
        made, clipped = made + found[0], clipped + found[1]
    assert 0 < clipped < made == 2 * 3 * 2 * 6 * 9
    assert (counted["it"].sums, counted["it"].clipped) == (made, clipped)


def test_many_pairs_are_computed_in_parts(monkeypatch):
    """The same sums, gradients and counts however many pair sums are held at once."""
    a, b = drawn(6, "uint8", (4, 30), "int8", (30, 8))
    matrix = torch.from_numpy(b.astype(np.float32))
    found = candidates(torch.from_numpy(b), matrix, torch.arange(30).unsqueeze(1).expand(-1, 8), (0, 255))
    assert len(found.outputs) > 20
    shown = []
    for chunk in (CHUNK, 12, 1):
        monkeypatch.setattr("bench.onnx_import.saturation.CHUNK", chunk)
        rows, counted = torch.from_numpy(a.astype(np.float32)).requires_grad_(), Counted()
        total = lost(of_matrix(rows), found, 8, counted)
        gradient = torch.autograd.grad(total.sum(), rows)[0]
        shown.append((total.tolist(), gradient.tolist(), counted))
    assert shown[0] == shown[1] == shown[2]
    assert counted.clipped > 20
    assert shown[0][0] == (summed("saturating", a, b) - summed("exact", a, b)).tolist()
