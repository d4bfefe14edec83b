"""An 8-bit network that is another function on other processors is never passed in silence."""

import numpy as np
import onnx

from tests.engine.test_parity import network

TESTS = """
import pytest

pytestmark = pytest.mark.crbench(reference="reference.onnx", variant="int8.onnx", data="x.npz", bounds=(0, 1))

def test_exact(crbench_pair):
    assert crbench_pair(integer_sums="exact").cell("fidelity.accuracy").details["variant"]["integer_sums"]["layers"]

def test_saturating(crbench_pair):
    cell = crbench_pair(integer_sums="saturating").cell("fidelity.accuracy")
    assert cell.details["variant"]["integer_sums"]["kind"] == "saturating"

def test_wrong(crbench_pair):
    crbench_pair(integer_sums="precise").cell("fidelity.accuracy")
"""
TARGET = 'integer_sums = "exact"\n'
NOTE = "int8.onnx on onnxruntime: it is another function on x86 without VNNI ("


def eight_bits(folder):
    """Weights large enough to saturate, with the input and classes of the other files."""
    weight = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    onnx.save(network(weight, True), folder / "int8.onnx")


def test_a_pair_says_it_in_the_closing_lines_unless_saturating_sums_were_asked_for(fresh):
    eight_bits(fresh.folder)
    fresh.test(TESTS)
    shown = " ".join(fresh.pytest("test_mine.py", "-k", "exact").split())
    assert NOTE in shown
    assert 'measure it with integer_sums = "saturating" too' in shown
    assert NOTE not in " ".join(fresh.pytest("test_mine.py", "-k", "saturating").split())
    assert "integer_sums='precise'; known: exact, native, saturating" in fresh.pytest(
        "test_mine.py", "-k", "wrong", expect=1
    )


def test_a_suite_says_it_unless_a_target_measures_it(fresh):
    eight_bits(fresh.folder)
    fresh.suite(('onnx = "close.onnx"', 'onnx = "int8.onnx"'))
    shown = " ".join(fresh.pytest("suites/mine.toml", "-k", "close and predictions").split())
    assert "close on edge: it is another function on x86 without VNNI (" in shown
    assert shown.count("another function") == 1
    both = TARGET + '\n[[target]]\nname = "avx2"\nruntime = "onnxruntime"\ninteger_sums = "saturating"\n'
    fresh.suite(('onnx = "close.onnx"', 'onnx = "int8.onnx"'), (TARGET, both))
    assert "another function" not in fresh.pytest("suites/mine.toml", "-k", "close and predictions")
