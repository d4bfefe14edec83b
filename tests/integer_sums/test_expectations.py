"""The kept answers of sessions of both kinds: import and sums by hand give both everywhere, a session its own kind."""

import numpy as np
import onnx
import pytest
import torch

from bench.integer_sums.unsigned_weights import with_exact_sums
from bench.onnx_import import import_onnx
from bench.runtimes.base import Target
from bench.runtimes.integer_sums import native_sums
from bench.runtimes.onnx_session import saved
from tests.integer_sums.by_hand import KINDS
from tests.integer_sums.cases import LEVELS, ran
from tests.integer_sums.expectations import FILE, cases, stored
from tests.integer_sums.networks import fused

CASES, STORED = cases(), stored()
NEVER = {name for name in CASES if name.startswith("QLinearConv") and name.endswith("depthwise")}


def test_the_file_holds_what_its_module_makes():
    """Models, inputs and exact outputs; the saturating ones were a processor's own."""
    assert FILE.stat().st_size < 200_000
    assert list(STORED) == list(CASES)
    for name, case in CASES.items():
        kept = STORED[name]
        assert onnx.load_model_from_string(kept["model"]) == case.model, name
        assert onnx.load_model_from_string(kept["rewritten"]) == onnx.load_model_from_string(
            with_exact_sums(kept["model"])
        ), name
        np.testing.assert_array_equal(kept["x"], case.x, strict=True)
        np.testing.assert_array_equal(kept["exact"], case.expected["exact"], strict=True)


@pytest.mark.parametrize("name", CASES)
def test_sums_by_hand_are_those_of_a_saturating_processor(name):
    kept = STORED[name]
    np.testing.assert_array_equal(CASES[name].expected["saturating"], kept["saturating"], strict=True)
    assert (kept["exact"] != kept["saturating"]).any() == (name not in NEVER)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_the_import_gives_both_kinds_everywhere(name, kind):
    kept = STORED[name]
    graph = saved(kept["model"], Target(name="edge", runtime="onnxruntime", optimisation="extended"), "ONNX")
    for model in (graph, *([kept["model"]] if fused(name, "disabled") or kind == "exact" else [])):
        found = import_onnx(model, "hard", kind).values({"x": torch.from_numpy(kept["x"])}, ["y"])["y"].numpy()
        np.testing.assert_array_equal(found, kept[kind], strict=True)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CASES)
def test_a_session_gives_its_own_kind_and_the_rewritten_file_exact_sums(name, level):
    kept = STORED[name]
    expected = kept[native_sums() if fused(name, level) else "exact"]
    np.testing.assert_array_equal(ran(kept["model"], {"x": kept["x"]}, level), expected, strict=True)
    np.testing.assert_array_equal(ran(kept["rewritten"], {"x": kept["x"]}, level), kept["exact"], strict=True)
