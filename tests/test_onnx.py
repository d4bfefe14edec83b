"""``bench.onnx``: any ONNX file as a torch module with input gradients, verified against ONNX Runtime."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import bench
from bench.errors import UserError
from bench.runtimes.integer_sums import native_sums

WEIGHT = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
CODES = np.random.default_rng(1).integers(-63, 64, (6, 4)).astype(np.int8)  # 7 bits: no sum of a pair saturates
value, node = helper.make_tensor_value_info, helper.make_node


def made(nodes, constants, kind=TensorProto.FLOAT, batch="n", outputs=("y",), ir=10):
    graph = helper.make_graph(
        nodes,
        "net",
        [value("x", kind, [batch, 6])],
        [value(name, TensorProto.FLOAT, ["m", "k"]) for name in outputs],
        [numpy_helper.from_array(np.asarray(tensor), name) for name, tensor in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=ir)


def linear(**more):
    return made([node("MatMul", ["x", "w"], ["y"])], {"w": WEIGHT}, **more)


def quantised(codes=CODES):
    """A matrix product of codes between a quantiser and a dequantiser."""
    constants = {
        "s": np.float32(0.02), "z": np.uint8(128), "w": codes, "ws": np.float32(0.01), "wz": np.int8(0),
        "ys": np.float32(0.05), "yz": np.uint8(128),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearMatMul", ["q", "s", "z", "w", "ws", "wz", "ys", "yz"], ["p"]),
        node("DequantizeLinear", ["p", "ys", "yz"], ["y"]),
    ]
    return made(nodes, constants)


@pytest.fixture
def x():
    return torch.from_numpy(np.random.default_rng(2).uniform(-1, 1, (70, 6)).astype(np.float32))


@pytest.mark.parametrize("given", ["path", "text", "bytes", "proto"])
def test_a_file_its_path_bytes_and_model_are_one_network(given, tmp_path, x):
    (tmp_path / "net.onnx").write_bytes(linear().SerializeToString())
    source = {
        "path": tmp_path / "net.onnx",
        "text": str(tmp_path / "net.onnx"),
        "bytes": linear().SerializeToString(),
        "proto": linear(),
    }[given]
    net = bench.onnx.load(source)
    np.testing.assert_allclose(net(x).numpy(), x.numpy() @ WEIGHT, rtol=1e-5, atol=1e-6)
    x.requires_grad_()
    net(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.tile(WEIGHT.sum(1), (len(x), 1)), rtol=1e-5)
    assert not list(net.parameters())


def test_a_quantised_file_has_gradients_and_is_verified(x):
    net = bench.onnx.load(quantised())
    found = bench.onnx.verify(net, x)
    assert found.trusted
    assert (found.unit, found.samples) == ("output step", 70)
    assert found.largest <= 1
    x.requires_grad_()
    net(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.tile(0.01 * CODES.sum(1, dtype=np.float32), (70, 1)), rtol=1e-4)
    x.grad = None
    hard = bench.onnx.load(quantised(), gradient="hard")
    hard(x).sum().backward()
    assert not x.grad.any()
    with torch.no_grad():
        assert torch.equal(hard(x), net(x))


def test_sums_that_this_processor_makes_otherwise_are_found():
    codes, x = np.full((6, 4), 127, np.int8), torch.full((8, 6), 2.5)
    other = {"exact": "saturating", "saturating": "exact"}
    own = native_sums()
    assert bench.onnx.verify(bench.onnx.load(quantised(codes), sums=own), x).largest == 0
    with pytest.raises(UserError, match=f'sums 8-bit products otherwise.*sums="{own}"'):
        bench.onnx.verify(bench.onnx.load(quantised(codes), sums=other[own]), x)


def test_verify_raises_where_the_import_is_another_function(x):
    net = bench.onnx.load(linear())
    assert bench.onnx.verify(net, x.numpy()).unit == "logit spread"
    with torch.no_grad():
        next(iter(net.buffers())).mul_(1.3)
    with pytest.raises(UserError, match=r"differs from ONNX Runtime's session on 70 samples.*trust no gradient"):
        bench.onnx.verify(net, x)


def test_one_number_a_sample_is_measured_in_its_spread_over_samples(x):
    nodes = [node("MatMul", ["x", "w"], ["y"])]
    net = bench.onnx.load(made(nodes, {"w": WEIGHT[:, :1]}))
    assert bench.onnx.verify(net, x).largest < 1e-5
    with torch.no_grad():
        next(iter(net.buffers())).mul_(1.3)
    with pytest.raises(UserError, match="differs from"):
        bench.onnx.verify(net, x)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_other_floating_types_take_float32(kind, x):
    weight = WEIGHT.astype(helper.tensor_dtype_to_np_dtype(kind))
    nodes = [
        node("MatMul", ["x", "w"], ["m"]),
        node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]
    net = bench.onnx.load(made(nodes, {"w": weight}, kind=kind))
    assert bench.onnx.verify(net, x).trusted
    x.requires_grad_()
    net(x).sum().backward()
    np.testing.assert_allclose(x.grad[0].numpy(), WEIGHT.sum(1), atol=1e-2)


def test_pixels_in_whole_numbers_are_rounded_straight_through():
    nodes = [
        node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        node("MatMul", ["f", "w"], ["y"]),
    ]
    net = bench.onnx.load(made(nodes, {"w": WEIGHT}, kind=TensorProto.UINT8))
    x = torch.tensor([[0.4, 1.6, 254.7, 300.0, -5.0, 100.0]], requires_grad=True)
    whole = np.float32([[0, 2, 255, 255, 0, 100]])
    np.testing.assert_allclose(net(x).detach().numpy(), whole @ WEIGHT, rtol=1e-5)
    assert bench.onnx.verify(net, torch.cat([x, 255 - x])).trusted
    net(x).sum().backward()
    np.testing.assert_allclose(x.grad[0, :3].numpy(), WEIGHT[:3].sum(1), rtol=1e-5)
    assert x.grad[0, 3] == x.grad[0, 4] == 0  # beyond what a pixel can be


def test_a_fixed_batch_is_filled_up(x):
    net = bench.onnx.load(linear(batch=16))
    assert bench.onnx.verify(net, x).samples == 70


def test_ranges_of_dynamic_quantisation_are_those_of_one_sample(x):
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "w", "z"], ["i"]),
        node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "s"], ["y"]),
    ]
    assert bench.onnx.verify(bench.onnx.load(made(nodes, {"w": CODES})), x).trusted


def test_one_output_is_chosen_by_name(x):
    nodes = [node("MatMul", ["x", "w"], ["y"]), node("Neg", ["y"], ["z"])]
    two = made(nodes, {"w": WEIGHT}, outputs=("y", "z"))
    net = bench.onnx.load(two, output="z")
    np.testing.assert_allclose(net(x).numpy(), -x.numpy() @ WEIGHT, rtol=1e-5, atol=1e-6)
    assert bench.onnx.verify(net, x).trusted
    with pytest.raises(UserError, match=r"no output 'zz'; did you mean 'z'\?|no output 'zz'; known: y, z"):
        bench.onnx.load(two, output="zz")


def test_the_newest_version_that_onnx_writes_is_read(x):
    assert bench.onnx.verify(bench.onnx.load(linear(ir=14)), x).trusted


def test_a_graph_that_onnx_runtime_optimised_is_imported(x):
    net = bench.onnx.load(quantised(), optimisation="all")
    assert bench.onnx.verify(net, x).trusted


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"nothing", "a model of 7 bytes does not parse as ONNX"),
        ("none.onnx", "no file 'none.onnx'"),
        (42, "an object of type int is no network; give a torch module, an ONNX file"),
        (len, "an object of type builtin_function_or_method is no ONNX file; give a path, the file's bytes"),
        (
            made([node("NonZero", ["x"], ["y"]), node("Det", ["x"], ["z"])], {}),
            "Det.*cannot be imp",
        ),
    ],
)
def test_what_is_no_network_is_said(source, said):
    with pytest.raises(UserError, match=said):
        bench.onnx.load(source)


def test_bytes_have_no_folder_for_their_data(tmp_path, x):
    onnx.save_model(linear(), tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    assert bench.onnx.verify(bench.onnx.load(tmp_path / "net.onnx"), x).trusted
    with pytest.raises(UserError, match="'w' keeps its data in another file, and the model has no folder"):
        bench.onnx.load((tmp_path / "net.onnx").read_bytes())


def test_what_verify_cannot_compare_is_said(x):
    with pytest.raises(UserError, match="net: it is a Linear"):
        bench.onnx.verify(torch.nn.Linear(6, 4), x)
    net = bench.onnx.load(linear())
    with pytest.raises(UserError, match=r"ONNX Runtime cannot run \(70, 5\)|cannot run on inputs"):
        bench.onnx.verify(net, x[:, :5])
    with pytest.raises(UserError, match=r"x: shape \(0, 6\)"):
        bench.onnx.verify(net, x[:0])
    nodes = [node("Transpose", ["x"], ["y"], perm=[1, 0])]
    with pytest.raises(UserError, match="the first axis must be the samples'"):
        bench.onnx.verify(bench.onnx.load(made(nodes, {})), x)


def test_the_name_does_not_hide_the_package():
    assert bench.onnx.__name__ == "bench.onnx"
    assert onnx.__name__ == "onnx"
    assert hasattr(onnx, "ModelProto")
