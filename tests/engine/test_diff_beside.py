"""A second variant beside the first: both measured, and which of them is nearer, on every road."""

from __future__ import annotations

import html
import json

import numpy as np
import onnx
import pytest
from safetensors.torch import save_file

import bench
from bench.cli import run_cli
from bench.errors import UserError
from bench.report.ratio_text import times
from bench.results import VariantRatio
from tests.engine.test_diff import _onnx_file, pair  # noqa: F401
from tests.test_run_results import made, moved

NEAR, FAR = "near.onnx", "far.onnx"


@pytest.fixture
def files(pair):  # noqa: F811
    """The reference a, a near and a far ONNX file of it, in the current folder."""
    random = np.random.default_rng(5)
    weight, noise = random.normal(size=(2, 3, 16)).astype(np.float32)
    for name, scale in (("reference.onnx", 0.0), (NEAR, 0.02), (FAR, 0.3)):
        onnx.save(_onnx_file(weight + scale * noise), pair / name)
    np.savez(pair / "many.npz", x=random.random((400, 1, 4, 4), dtype=np.float32))
    return pair


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).uniform(size=(80, 4, 4)).astype(np.float32)


def told(capsys, *arguments):
    assert run_cli(["diff", "reference.onnx", *arguments, "--data", "many.npz"]) == 0
    return capsys.readouterr().out


def test_the_command_tells_both_variants_and_their_ratio(files, capsys):
    found = json.loads(told(capsys, NEAR, "--beside", FAR, "--metric", "fidelity.predictions", "--json"))
    cells = {cell["variant"]: cell["values"]["js"]["estimate"] for cell in found["cells"]}
    assert set(cells) == {NEAR, FAR}
    (ratio,) = [VariantRatio.model_validate(item) for item in found["variant_ratios"]]
    assert (ratio.first, ratio.second, ratio.value, ratio.n) == (FAR, NEAR, "js", 400)
    assert ratio.ratio == pytest.approx((cells[FAR] / cells[NEAR]) ** 0.5)
    assert ratio.told_apart
    again = json.loads(told(capsys, FAR, "--beside", NEAR, "--metric", "fidelity.predictions", "--json"))
    assert again["variant_ratios"] == found["variant_ratios"]  # whichever is named first
    text = " ".join(told(capsys, NEAR, "--beside", FAR, "--metric", "fidelity.predictions").split())
    assert text.startswith(f"{NEAR} and {FAR} against the reference, on onnxruntime, 400 samples")
    figures = " ".join(times(ratio.ratio, ratio.ci, sure=True))
    assert f"Jensen-Shannon divergence: {FAR} moved {figures} times as far as {NEAR}" in text


def test_without_it_nothing_changes(files, capsys):
    alone = json.loads(told(capsys, NEAR, "--metric", "fidelity.predictions", "--json"))
    assert alone["variant_ratios"] == []
    both = json.loads(told(capsys, NEAR, "--beside", FAR, "--metric", "fidelity.predictions", "--json"))
    timeless = [{**cell, "seconds": 0} for cell in (alone["cells"][0], both["cells"][0])]
    assert timeless[0] == timeless[1]
    assert "Which variant is nearer" not in told(capsys, NEAR, "--metric", "fidelity.predictions")


def test_the_same_variant_twice_is_not_told_apart(files, capsys):
    (files / "copy").mkdir()
    (files / "copy" / NEAR).write_bytes((files / NEAR).read_bytes())
    shown = told(capsys, NEAR, "--beside", f"copy/{NEAR}", "--metric", "fidelity.predictions")
    sentence = f"{NEAR} (beside) and {NEAR} cannot be told apart: 1.00 [1.00, 1.00]"
    assert sentence in " ".join(shown.split())


def test_checkpoints_of_one_factory_have_names_of_their_own(files, capsys):
    from safetensors.torch import load_file

    weights = load_file(files / "a.safetensors")
    save_file({name: tensor * 0.9 for name, tensor in weights.items()}, files / "c.safetensors")
    arguments = [f"diff_nets:linear@{name}.safetensors" for name in "abc"]
    command = ["diff", *arguments[:2], "--beside", arguments[2], "--data", "x.npz", "--json"]
    assert run_cli([*command, "--metric", "fidelity.predictions"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [cell["variant"] for cell in found["cells"]] == arguments[1:]
    assert [(item["first"], item["second"]) for item in found["variant_ratios"]] == [tuple(arguments[1:])]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--beside", "gone.onnx"], "--beside: no file gone.onnx"),
        (["--beside", "diff_nets:wide"], "--beside: 4 classes, the reference has 3"),
        (["--beside-input", "scale=2"], "--beside-input: there is no second variant; give --beside"),
        (["--beside", FAR, "--beside-input", "scal=2"], "--beside-input: scal: unknown key"),
    ],
)
def test_mistakes_are_answered_with_the_option(files, capsys, arguments, said):
    assert run_cli(["diff", "reference.onnx", NEAR, *arguments, "--data", "many.npz"]) == 2
    assert said in capsys.readouterr().err


def test_its_input_is_its_own(files, capsys):
    """Weights halved and the input doubled are the near file again."""
    model = onnx.load(files / NEAR)
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0]) / 2
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "w"))
    onnx.save(model, files / "half.onnx")
    arguments = [
        NEAR,
        "--beside",
        "half.onnx",
        "--beside-input",
        "scale=2",
        "--metric",
        "fidelity.predictions",
        "--json",
    ]
    (ratio,) = json.loads(told(capsys, *arguments))["variant_ratios"]
    assert ratio["ratio"] == pytest.approx(1, rel=1e-4)
    assert ratio["told_apart"] is False


def test_in_python_with_keys_frame_page_and_look_up(x):
    reference = made(0)
    near, far = (bench.network(moved(reference, scale), key=name) for name, scale in (("near", 0.05), ("far", 0.4)))
    r = bench.diff(reference, near, x, beside=far, metrics=["fidelity.predictions", bench.Calibration()])
    (ratio,) = [item for item in r.variant_ratios if item.value == "js"]
    assert (ratio.first, ratio.second) == ("far", "near")
    frame = r.ratios()
    row = frame[frame.value == "js"].to_dict("records")[0]
    assert (row["ratio"], row["low"], row["high"], row["told_apart"]) == (ratio.ratio, *ratio.ci, True)
    assert set(r.frame().variant) == {"near", "far"}
    assert r.ratio("far/*/fidelity.predictions", "near/*/fidelity.predictions").estimate == ratio.ratio
    assert r["near/*/fidelity.predictions"]["js"].estimate < r["far/*/fidelity.predictions"]["js"].estimate
    page = html.unescape(html.unescape(r._repr_html_()))
    assert "far moved 8.15 [7.97, 8.34] times as far as near" in page
    assert "far moved 8.15 [7.97, 8.34] times as far as near" in " ".join(repr(r).split())


def top(log_probabilities):
    return np.exp(log_probabilities.max(axis=1))


def apart(first, second):
    return np.abs(first - second)


@bench.parameters
class Certainty(bench.Metric):
    """How sure the networks are."""

    family = "uncertainty"
    headline = "top_change"
    probes = (bench.Logits(),)
    derived = (bench.Derived("top", top, of="log_probabilities"),)
    values = (bench.Change("top_change", apart, of="top", power=1),)


def test_a_metric_of_ones_own_with_a_headline(x):
    reference = made(0)
    r = bench.diff(reference, moved(reference, 0.05), x, beside=moved(reference, 0.4), metrics=[Certainty()])
    (ratio,) = r.variant_ratios
    changes = {cell.variant: cell.values["top_change"].estimate for cell in r.cells}
    assert (ratio.first, ratio.second) == ("Sequential (beside)", "Sequential")
    assert ratio.ratio == pytest.approx(changes[ratio.first] / changes[ratio.second])
    metric = r.cells[0].metric
    assert r.ratio(f"{ratio.first}/*/{metric}", f"{ratio.second}/torch/{metric}").estimate == ratio.ratio
    assert "top change: Sequential (beside) moved" in " ".join(repr(r).split())


def test_names_that_parts_of_cells_could_not_hold_are_not_taken(x):
    reference = made(0)
    both = (bench.network(moved(reference, scale), key=name) for name, scale in (("a/b", 0.05), ("c/d", 0.4)))
    r = bench.diff(reference, next(both), x, beside=next(both), metrics=["fidelity.predictions"])
    assert [cell.variant for cell in r.cells] == ["Sequential", "Sequential (beside)"]
    with pytest.raises(UserError, match=r"inputs\.beside: there is no second variant; give beside"):
        bench.diff(reference, reference, x, inputs=bench.Inputs(beside="scale=2"))
