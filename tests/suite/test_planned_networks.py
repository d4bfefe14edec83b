"""Keys of outside networks follow their content."""

import hashlib

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from bench.errors import UserError
from bench.networks.network import InputSpec
from bench.onnx_files.reading import onnx_sha256, read_onnx
from bench.suite.planned_networks import file_sha256


def _save(path, weight, **where):
    ports = [helper.make_tensor_value_info(name, 1, ["n", 3]) for name in "xz"]
    network = helper.make_node("MatMul", ["x", "w"], ["z"])
    graph = helper.make_graph([network], "net", ports[:1], ports[1:], [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path, **where)


def test_data_in_another_file_counts(tmp_path):
    weight = np.eye(3, dtype=np.float32)
    outside = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    _save(tmp_path / "net.onnx", weight, **outside)
    before, name = (tmp_path / "net.onnx").read_bytes(), onnx_sha256(tmp_path / "net.onnx")
    (tmp_path / "w.bin").write_bytes((weight * 2).tobytes())
    assert (tmp_path / "net.onnx").read_bytes() == before
    assert onnx_sha256(tmp_path / "net.onnx") != name
    (tmp_path / "w.bin").write_bytes(weight.tobytes())
    assert onnx_sha256(tmp_path / "net.onnx") == name


def _outside(location="w.bin", **more):
    tensor = onnx.TensorProto(name="w", dims=[3, 3], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def _graph(networks, initialisers=(), inputs=()):
    ports = [helper.make_tensor_value_info("w_out", 1, [3, 3])]
    return helper.make_graph(networks, "inner", inputs, ports, initialisers)


def _place(place, tensor):
    """A product with a matrix that lies in another file, in one of the places that ONNX has for tensors."""
    constant = helper.make_node("Constant", [], ["w_out"], value=tensor)
    same = helper.make_node("Identity", ["w"], ["w_out"])
    yes = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
    functions, initialisers = [], []
    if place == "initialiser":
        networks, initialisers = [same], [tensor]
    elif place == "constant":
        networks = [constant]
    elif place.startswith("branch"):
        inner = _graph([same], [tensor]) if place == "branch initialiser" else _graph([constant])
        if place == "branch of a branch":
            nested = helper.make_node("If", ["yes"], ["w_out"], then_branch=inner, else_branch=inner)
            inner = _graph([nested])
        networks = [yes, helper.make_node("If", ["yes"], ["w_out"], then_branch=inner, else_branch=inner)]
    else:
        opsets, defaults = [helper.make_opsetid("", 17)], []
        if place == "default of a function":
            constant = helper.make_node("Constant", [], ["w_out"])
            constant.attribute.add(name="value", ref_attr_name="matrix", type=onnx.AttributeProto.TENSOR)
            defaults = [helper.make_attribute("matrix", tensor)]
        functions = [
            helper.make_function("own", "Matrix", [], ["w_out"], [constant], opsets, attribute_protos=defaults)
        ]
        networks = [helper.make_node("Matrix", [], ["w_out"], domain="own")]
    ports = [helper.make_tensor_value_info(name, 1, ["n", 3]) for name in "xz"]
    networks.append(helper.make_node("MatMul", ["x", "w_out"], ["z"]))
    graph = helper.make_graph(networks, "net", ports[:1], ports[1:], initialisers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)


PLACES = (
    "initialiser",
    "constant",
    "branch",
    "branch initialiser",
    "branch of a branch",
    "function",
    "default of a function",
)


@pytest.mark.parametrize("place", PLACES)
def test_data_in_another_file_counts_wherever_its_tensor_stands(tmp_path, place):
    path = tmp_path / "net.onnx"
    path.write_bytes(_place(place, _outside()).SerializeToString())
    matrix = np.eye(3, dtype=np.float32)
    (tmp_path / "w.bin").write_bytes(matrix.tobytes())
    first = onnx_sha256(path)
    assert read_onnx(path, InputSpec(shape=(3,), classes=("a", "b", "c")), "onnx")
    (tmp_path / "w.bin").write_bytes((matrix * 2).tobytes())
    assert onnx_sha256(path) != first
    (tmp_path / "w.bin").write_bytes(matrix.tobytes())
    assert onnx_sha256(path) == first
    (tmp_path / "w.bin").write_bytes(matrix.tobytes() + b"more")  # its length is what the tensor takes
    assert onnx_sha256(path) != first


def test_the_key_of_a_file_that_holds_all_its_data_is_the_hash_of_its_bytes(tmp_path):
    _save(tmp_path / "net.onnx", np.eye(3, dtype=np.float32))
    assert onnx_sha256(tmp_path / "net.onnx") == hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "more", [{"location": "../out.bin"}, {"location": "none.bin"}, {"length": "9" * 5000}, {"length": str(2**31)}]
)
@pytest.mark.parametrize("place", ["constant", "branch", "function"])
def test_data_that_may_not_be_read_is_not_read_for_a_key(tmp_path, monkeypatch, place, more):
    home = tmp_path / "home"
    home.mkdir()
    for file in (home / "w.bin", tmp_path / "out.bin"):
        file.write_bytes(np.eye(3, dtype=np.float32).tobytes())
    content = _place(place, _outside(**more)).SerializeToString()
    (home / "net.onnx").write_bytes(content)
    monkeypatch.setattr("onnx.external_data_helper.load_external_data_for_tensor", lambda *_: pytest.fail("read"))
    assert onnx_sha256(home / "net.onnx") == hashlib.sha256(content).hexdigest()
    with pytest.raises(UserError):
        read_onnx(home / "net.onnx", InputSpec(shape=(3,), classes=("a", "b", "c")), "onnx")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "net.onnx").open("wb") as file:
        file.truncate(2**31)  # a hole: no room is taken
    with pytest.raises(UserError, match=r"has 2\.0 GiB; an ONNX file has at most 2 GiB"):
        onnx_sha256(tmp_path / "net.onnx")


@pytest.mark.parametrize("hash_of", [file_sha256, onnx_sha256])
def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch, hash_of):
    (tmp_path / "net.onnx").write_bytes(b"x")

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)  # whoever tests as root may read all
    with pytest.raises(UserError, match=r"net\.onnx.*cannot be read: Permission denied"):
        hash_of(tmp_path / "net.onnx")


def test_a_broken_file_counts_by_its_bytes(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"not a network")
    first = onnx_sha256(tmp_path / "net.onnx")
    (tmp_path / "net.onnx").write_bytes(b"nor this one!")
    assert onnx_sha256(tmp_path / "net.onnx") != first


def test_noise_of_a_given_size_is_a_yardstick_without_data(tmp_path):
    from bench.suite.load import load_suite
    from bench.suite.planned_networks import Splits, plan_yardsticks

    text = 'name = "s"\n[data]\nloader = "digits"\nevaluation = 50\n[reference]\nmodel = "mlp"\n[yardstick]\n'
    text += 'weight_noise_sigma = 0.02\ncount = 3\n[[variant]]\nname = "v"\nsteps = [{ use = "bn-fold" }]\n'
    (tmp_path / "s.toml").write_text(text + '[[metric]]\nuse = "fidelity.predictions"\n')
    networks = plan_yardsticks(load_suite(tmp_path / "s.toml"), Splits("train", "calibration", {}))
    assert [(network.step.name, network.step.sigma) for network in networks] == [("weight-noise", 0.02)] * 3
    assert len({network.key for network in networks}) == 3
