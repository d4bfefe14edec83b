"""The fixture ``crbench_pair`` on modules, functions and arrays: no file is needed, and nothing stale is used."""

TESTS = """
import numpy as np
import pytest
import torch
from torch import nn

X = np.random.default_rng(1).random((50, 3), dtype=np.float32)

def linear(weight):
    net = nn.Linear(3, 2, bias=False)
    net.weight.data = torch.tensor(weight)
    return net

@pytest.fixture
def nets():
    return linear([[1.0, 1, 1], [0, 0, 0]]), linear([[0.0, 0, 0], [1, 1, 1]])

def test_modules(crbench_pair, nets):
    pair = crbench_pair(reference=nets[0], variant=nets[1], data=X)
    assert pair.change("fidelity.predictions", "flip_rate").estimate == 1
    nets[1].weight.data = nets[0].weight.data.clone()
    assert pair.change("fidelity.predictions", "flip_rate").estimate == 0

def test_labels_and_yardsticks(crbench_pair, nets):
    marks = [linear([[k, 1.0, 1], [1, 1, 1]]) for k in (1.5, 2.0, 2.5, 3.0)]
    pair = crbench_pair(reference=nets[0], variant=nets[1], data=(X, np.zeros(50, int)), yardsticks=marks)
    assert pair.harm("fidelity.accuracy", "accuracy").estimate == 1
    assert pair.gap("fidelity.predictions", "js").low > 1

def test_functions(crbench_pair, nets):
    calls = []
    def turned(x):
        calls.append(len(x))
        return np.stack([np.zeros(len(x)), x.sum(1)], 1)
    pair = crbench_pair(reference=nets[0], variant=turned, data={"x": X})
    pair.assert_change_below("fidelity.predictions", "js", 0.7)
    made = len(calls)
    assert pair.change("fidelity.predictions", "flip_rate").estimate == 1
    assert 50 not in calls[made:]  # loaded anew, measured once

def test_bytes(crbench_pair, nets):
    from pathlib import Path
    blob = (Path(__file__).parent / "reference.onnx").read_bytes()
    images = np.random.default_rng(1).random((50, 1, 4, 4), dtype=np.float32)
    pair = crbench_pair(reference=blob, variant="far.onnx", data=images)
    assert pair.change("fidelity.predictions", "flip_rate").estimate > 0

def test_fails_on_no_network(crbench_pair, nets):
    crbench_pair(reference=nets[0], variant=3, data=X).cell("fidelity.predictions")

def test_fails_on_strange_arrays(crbench_pair, nets):
    crbench_pair(reference=nets[0], variant=nets[1], data={"z": X}).cell("fidelity.predictions")
"""


def test_a_pair_in_memory(fresh):
    fresh.test(TESTS)
    shown = fresh.pytest("test_mine.py", "--junitxml=j.xml", expect=1)
    assert "2 failed, 4 passed" in shown
    found = fresh.cases()
    assert "VARIANT: an object of type int is no network" in found["test_fails_on_no_network"][1]
    assert "data holds z; give the arrays x and, with labels, y" in found["test_fails_on_strange_arrays"][1]
    assert "measured anew" not in shown
