"""The ONNX project's backend tests: what passed before passes still, and the published count is the true one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bench.onnx_import.conformance import out_of_scope, run_case, summary

ROOT = Path(__file__).parents[2]
RECORDED = json.loads((Path(__file__).parent / "conformance.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found():
    return summary()


def test_no_case_of_listed_operators_fails(found):
    assert found["failed"] == {}


def test_what_passed_before_passes_still(found):
    """A case may be missing from another version of the package, but not be left out by a rule."""
    known = {outcome for names in (found["passed"], found["failed"], found["left_out"]) for outcome in names}
    assert sorted(set(RECORDED["passed"]) & known - set(found["passed"])) == []
    if onnx.__version__ == RECORDED["onnx"]:
        renew = "renew it: python -m bench.onnx_import.conformance > tests/onnx_import/conformance.json"
        assert found == RECORDED, renew


@pytest.mark.parametrize("page", ["README.md", "docs/onnx-operators.md"])
def test_pages_state_the_recorded_count(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    stated = re.findall(r"([\d,]+) of the ONNX project's ([\d,]+) backend tests", " ".join(text.split()))
    counts = RECORDED["counts"]
    assert counts["passed"] == counts["in_scope"] == len(RECORDED["passed"])
    assert stated or page == "README.md"
    for passed, everything in stated:
        assert (int(passed.replace(",", "")), int(everything.replace(",", ""))) == (counts["passed"], counts["all"])


def one_node(operator, kind=TensorProto.FLOAT, **attributes):
    values = [helper.make_tensor_value_info(name, kind, [2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], **attributes)], "g", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def test_rules_leave_out_by_reason():
    assert out_of_scope(one_node("Relu")) == ""
    assert out_of_scope(one_node("StringNormalizer")) == "operator StringNormalizer is not listed"
    assert out_of_scope(one_node("Identity", TensorProto.STRING)) == "element type STRING"
    assert out_of_scope(one_node("Cast", to=TensorProto.FLOAT8E5M2)) == "element type FLOAT8E5M2"


class Case:
    """What the package's cases look like, with an answer of our own."""

    def __init__(self, model, answer):
        self.model, self.rtol, self.atol = model, 1e-3, 1e-7
        self.data_sets = [([np.float32([-1, 2])], [answer])]


def test_a_wrong_answer_fails():
    assert run_case("right", Case(one_node("Relu"), np.float32([0, 2]))).status == "passed"
    assert run_case("value", Case(one_node("Relu"), np.float32([0, 2.01]))).status == "failed"
    assert run_case("shape", Case(one_node("Relu"), np.float32([[0, 2]]))).status == "failed"
    assert run_case("type", Case(one_node("Relu"), np.float64([0, 2]))).status == "failed"
