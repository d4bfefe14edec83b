"""The fixture ``crbench_pair`` on vectors."""

import numpy as np
import onnx

TESTS = """
import numpy as np

def test_every_class_is_another(crbench_pair):
    x = np.random.default_rng(1).random((50, 3), dtype=np.float32)
    pair = crbench_pair(reference="reference.onnx", variant="turned.onnx", data={"x": x})
    assert pair.change("fidelity.predictions", "flip_rate").estimate == 1
"""


def network(weight):
    """A matrix product (n, features) -> (n, classes)."""
    helper = onnx.helper
    ports = [helper.make_tensor_value_info(name, 1, ["n", size]) for name, size in zip("xz", weight.shape, strict=True)]
    held = onnx.numpy_helper.from_array(weight, "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["z"])], "net", ports[:1], ports[1:], [held])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def test_a_pair_of_vectors(fresh):
    weight = np.float32([[1, 0], [1, 0], [1, 0]])  # the first class wins wherever the sum is positive
    for name, held in (("reference", weight), ("turned", -weight)):
        onnx.save(network(held), fresh.folder / f"{name}.onnx")
    fresh.test(TESTS)
    assert "1 passed" in fresh.pytest("test_mine.py")
