"""What is said of networks whose 8-bit sums differ between processors."""

import pytest

from bench.results import Cell
from bench.wording_of_sums import (
    REMEDY,
    caveat,
    kinds_elsewhere,
    layers_of,
    sums_line,
    sums_lines,
    sums_told,
    unmeasured,
)

LAYER = {"name": "conv1", "operator": "QLinearConv", "can_saturate": 0.02, "saturated": 0.001}
WHAT = "(2 % of weight pairs in layer 'conv1' can saturate)"


def told(kind, asked="native", layers=(LAYER,), **more):
    return {"kind": kind, "asked": asked, "simulated": False, "samples": 64, "layers": list(layers), **more}


def cell(variant="v", target="edge", status="ok", **sums):
    details = {"variant": {"integer_sums": told(**sums)}} if sums else {}
    return Cell(variant=variant, target=target, metric="m", family="fidelity", status=status, details=details)


@pytest.mark.parametrize(
    ("given", "elsewhere", "expected"),
    [
        (told("exact"), {}, f'on x86 without VNNI {WHAT}: measure it with integer_sums = "saturating" too'),
        (told("exact", "exact"), {}, f'on x86 without VNNI {WHAT}: measure it with integer_sums = "saturating" too'),
        (told("exact"), {"saturating": ["avx2", "old"]}, f"on x86 without VNNI {WHAT}: see avx2, old"),
        (told("exact"), {"exact": ["other"]}, f'without VNNI {WHAT}: measure it with integer_sums = "saturating" too'),
        (told("saturating"), {}, f'as on x86 with VNNI {WHAT}: measure it with integer_sums = "exact" too'),
        (told(None), {}, f"is not known {WHAT}: measure it with exact and saturating sums"),
    ],
)
def test_a_network_that_is_another_function_elsewhere_is_told(given, elsewhere, expected):
    assert caveat(given, elsewhere).endswith(expected)
    assert unmeasured(given, elsewhere) == (": see " not in expected)


@pytest.mark.parametrize("given", [None, told("exact", layers=()), told("saturating", "saturating"), {"layers": 3}])
def test_nothing_is_told_where_nothing_differs_or_where_it_was_asked_for(given):
    assert caveat(given) == ""
    assert not unmeasured(given)


def test_weights_that_are_no_constants_come_first_and_are_said_to_be_unknown():
    unknown = {"name": "attend", "can_saturate": None}
    assert [layer["name"] for layer in layers_of(told("exact", layers=[LAYER, unknown]))] == ["attend", "conv1"]
    assert "layer 'attend' are no constants" in caveat(told("exact", layers=[LAYER, unknown]))
    assert "and of 1 more layer)" in caveat(told("exact", layers=[LAYER, unknown]))


def test_the_line_of_a_report_names_kind_share_samples_and_remedy():
    line = sums_line(told("saturating", "saturating", simulated=True))
    assert line.startswith(
        "saturating, simulated; 2 % of weight pairs in layer 'conv1' can saturate; on 64 samples 0.1 %"
    )
    assert line.endswith(REMEDY)
    assert "the same function on every processor" in sums_line(told("exact", layers=()))
    unknown = sums_line(told("exact", layers=[{**LAYER, "saturated": None}], reason="QAttention cannot be imported"))
    assert "what does on samples is not known: QAttention cannot be imported" in unknown


def test_each_variant_and_target_has_one_line():
    cells = [cell(kind="exact"), cell(kind="exact"), cell(target="avx2", kind="saturating"), cell("float")]
    assert [name for name, _ in sums_lines(cells)] == ["v (edge)", "v (avx2)"]
    assert sums_told([cell("float"), cell(kind="exact")])["kind"] == "exact"
    assert sums_told([cell("float")]) is None


def test_only_what_was_measured_answers_a_caveat():
    cells = [cell(kind="exact"), cell(target="avx2", kind="saturating"), cell("w", "avx2", kind="saturating")]
    assert kinds_elsewhere(cells, "v", "edge") == {"saturating": ["avx2"]}
    failed = [cell(kind="exact"), cell(target="avx2", kind="saturating", status="error")]
    assert kinds_elsewhere(failed, "v", "edge") == {}
