"""Keys of outside networks follow their content."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bench.suite.nodes import onnx_sha256


def _save(path, weight, **where):
    ports = [helper.make_tensor_value_info(name, 1, ["n", 3]) for name in "xz"]
    node = helper.make_node("MatMul", ["x", "w"], ["z"])
    graph = helper.make_graph([node], "net", ports[:1], ports[1:], [numpy_helper.from_array(weight, "w")])
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


def test_a_broken_file_counts_by_its_bytes(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"not a network")
    first = onnx_sha256(tmp_path / "net.onnx")
    (tmp_path / "net.onnx").write_bytes(b"nor this one!")
    assert onnx_sha256(tmp_path / "net.onnx") != first


def test_noise_of_a_given_size_is_a_yardstick_without_data(tmp_path):
    from bench.suite.load import load_suite
    from bench.suite.nodes import Splits, yardstick_nodes

    text = 'name = "s"\n[data]\nloader = "digits"\nevaluation = 50\n[reference]\nmodel = "mlp"\n[yardstick]\n'
    text += 'weight_noise_sigma = 0.02\ncount = 3\n[[variant]]\nname = "v"\nsteps = [{ use = "bn-fold" }]\n'
    (tmp_path / "s.toml").write_text(text + '[[metric]]\nuse = "fidelity.predictions"\n')
    nodes = yardstick_nodes(load_suite(tmp_path / "s.toml"), Splits("train", "calibration", {}))
    assert [(node.step.name, node.step.sigma) for node in nodes] == [("weight-noise", 0.02)] * 3
    assert len({node.key for node in nodes}) == 3
