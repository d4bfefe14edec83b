"""The fixture ``crbench_pair`` in a user's own tests."""

from pathlib import Path

from bench.pytest_plugin.pair import _located

TESTS = """
import numpy as np
import pytest

pytestmark = pytest.mark.crbench(reference="reference.onnx", variant="close.onnx", data="x.npz", bounds=(0, 1))
SEEDS = [f"seed{k}.onnx" for k in range(4)]

def test_harm(crbench_pair):
    estimate, low, high = crbench_pair.harm("fidelity.accuracy", "accuracy")
    assert -0.05 < low <= estimate <= high < 0.05
    crbench_pair.assert_harm_below("fidelity.accuracy", "accuracy", 0.05)
    crbench_pair.assert_value_at_least("fidelity.accuracy", "accuracy", 0.3)
    crbench_pair.assert_value_at_most("uncertainty.calibration", "nll", 5.0)

def test_change(crbench_pair):
    crbench_pair.assert_change_below("fidelity.predictions", "flip_rate", 0.1)
    assert crbench_pair.change("fidelity.predictions", "js").estimate < 0.01

@pytest.mark.crbench(yardsticks=SEEDS)
def test_gap(crbench_pair):
    crbench_pair.assert_gap_below("fidelity.predictions", "js", 0.5)
    far = crbench_pair(variant="far.onnx")
    assert far.gap("fidelity.predictions", "js").low > 1

def test_arrays(crbench_pair):
    x = np.random.default_rng(1).random((50, 1, 4, 4), dtype=np.float32)
    cell = crbench_pair(data={"x": x}).cell("fidelity.predictions")
    assert cell.n == 50

def test_inputs(crbench_pair):
    twice = crbench_pair(variant="reference.onnx", variant_input={"scale": 2})
    assert twice.change("fidelity.predictions", "flip_rate").estimate == 0
    # 2 z against z: a distance of |z| over a mean size of 1.5 |z|
    assert twice.change("fidelity.predictions", "logit_relative_error").estimate == pytest.approx(2 / 3, rel=1e-4)
    both = crbench_pair(variant="reference.onnx", input="scale=2")
    assert both.change("fidelity.predictions", "logit_relative_error").estimate == 0

@pytest.mark.crbench(variant="far.onnx")
def test_fails_with_figures(crbench_pair):
    crbench_pair.assert_harm_below("fidelity.accuracy", "accuracy", 0.01)

def test_fails_without_yardsticks(crbench_pair):
    crbench_pair.assert_gap_below("fidelity.predictions", "js", 0.5)

def test_fails_on_a_wrong_name(crbench_pair):
    crbench_pair.harm("fidelity.acuracy", "accuracy")

def test_fails_on_a_wrong_value(crbench_pair):
    crbench_pair.harm("fidelity.accuracy", "acuracy")

def test_fails_on_a_change(crbench_pair):
    crbench_pair.harm("fidelity.predictions", "js")

def test_fails_on_a_wrong_keyword(crbench_pair):
    crbench_pair(refrence="x.onnx").cell("fidelity.accuracy")

@pytest.mark.crbench(data="unlabelled.npz")
def test_fails_where_nothing_was_looked_at(crbench_pair):
    crbench_pair.assert_harm_below("fidelity.accuracy", "accuracy", 0.05)

@pytest.mark.crbench(data="unlabelled.npz", not_applicable=["fidelity.acc*"])
def test_accepted_skip(crbench_pair):
    crbench_pair.assert_harm_below("fidelity.accuracy", "accuracy", 0.05)

def test_fails_on_no_file(crbench_pair):
    crbench_pair(variant="nowhere.onnx").cell("fidelity.accuracy")
"""

SAYS = {
    "test_fails_with_figures": "tolerance 1 (max_harm, failed)",
    "test_fails_without_yardsticks": "a gap needs yardsticks=[...]",
    "test_fails_on_a_wrong_name": "did you mean 'fidelity.accuracy'?",
    "test_fails_on_a_wrong_value": "did you mean 'accuracy'?",
    "test_fails_where_nothing_was_looked_at": "needs labels; the data has none\n  accept it by name: not_applicable=",
    "test_fails_on_a_change": "is a change: it has no harm",
    "test_fails_on_a_wrong_keyword": "crbench_pair knows no 'refrence'; did you mean 'reference'?",
    "test_fails_on_no_file": "nowhere.onnx",
}


def test_pairs(fresh):
    (fresh.folder / "deeper").mkdir()
    for file in [*fresh.folder.glob("*.onnx"), fresh.folder / "x.npz", fresh.folder / "unlabelled.npz"]:
        file.rename(fresh.folder / "deeper" / file.name)
    fresh.test(TESTS, name="deeper/test_mine.py")  # paths are relative to the test's own folder
    shown = fresh.pytest("deeper", "--junitxml=j.xml", expect=1)
    assert "8 failed, 5 passed, 1 skipped" in shown
    found = fresh.cases()
    for name, text in SAYS.items():
        assert found[name][0] == "failure"
        assert text in found[name][1], name
    assert "Traceback" not in shown
    assert "pair.py" not in shown
    assert fresh.cells() > 0  # kept for the next run


def test_files_of_packages_are_not_looked_for_beside_the_test():
    folder = Path("tests")
    assert _located("package:nets/net.onnx", folder) == "package:nets/net.onnx"
    assert _located("nets:make@package:nets/w.safetensors", folder) == "nets:make@package:nets/w.safetensors"
    assert _located("nets:make@w.safetensors", folder) == "nets:make@tests/w.safetensors"
    assert _located("net.onnx", folder) == "tests/net.onnx"
