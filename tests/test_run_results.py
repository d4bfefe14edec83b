"""What ``bench.diff`` and ``bench.run`` return: figures by name, a tidy frame, a picture, a judgement."""

import copy
import html
import json
import math
import sys

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.cli import run_cli
from bench.errors import MissingExtra, UserError
from bench.frames import COLUMNS, value_rows
from bench.results import Results

mpl.use("agg")


def made(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 5)).eval()


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).uniform(size=(80, 4, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def pair(x):
    attacks = [bench.PGD(epsilon=0.1, steps=2), "adversarial.pgd[epsilon=0.2,steps=2]"]
    metrics = ["fidelity.predictions", "fidelity.accuracy", *attacks]
    y = np.arange(80) % 5
    return bench.diff(made(0), made(1), x, y, metrics=metrics, yardsticks=[made(s) for s in (2, 3, 4, 5)])


@pytest.fixture(scope="module")
def unlabelled(x):
    return bench.diff(made(0), made(1), x, metrics=["fidelity.predictions", "fidelity.accuracy"])


def test_a_figure_by_name(pair):
    js = pair["fidelity.predictions"]["js"]
    cell = pair.cells[0]
    assert js is cell.values["js"]
    assert js.gap > 0
    assert list(pair["fidelity.predictions"]) == list(cell.values)
    assert len(pair["fidelity.predictions"]) == len(cell.values)
    for key in ("Sequential/torch/fidelity.predictions", ("Sequential", "fidelity.predictions"), "fidelity.pred*"):
        assert pair[key].cell is cell
    attack = pair["adversarial.pgd[epsilon=0.2]"]
    assert attack.cell.params["epsilon"] == 0.2
    assert "robust_error (quality): " in repr(attack)
    assert f"gap {js.gap:.4g} [{js.gap_ci[0]:.4g}, {js.gap_ci[1]:.4g}]" in repr(pair["fidelity.predictions"])


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("fidelity.prediction", "fidelity.prediction: no such cell; did you mean 'fidelity.predictions'?"),
        (
            "adversarial.pgd",
            r"adversarial.pgd: 2 cells; say which: Sequential/torch/adversarial.pgd\[epsilon=0.1,",
        ),
        (("other", "fidelity.accuracy"), "other/fidelity.accuracy: no such cell"),
    ],
)
def test_a_name_of_no_cell_or_of_several(pair, key, said):
    with pytest.raises(KeyError, match=said) as caught:
        pair[key]
    assert isinstance(caught.value, UserError)


def test_a_name_of_no_value(pair, unlabelled):
    with pytest.raises(KeyError, match="no value 'jss'; did you mean 'js'"):
        pair["fidelity.predictions"]["jss"]
    with pytest.raises(KeyError, match="skipped: needs labels; the data has none"):
        unlabelled["fidelity.accuracy"]["accuracy"]
    assert "skipped: needs labels" in repr(unlabelled["fidelity.accuracy"])


def test_the_frame_holds_every_value(pair, unlabelled):
    frame = pair.frame()
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == sum(len(cell.values) for cell in pair.cells)
    (row,) = frame[(frame.metric == "fidelity.predictions") & (frame.value == "js")].to_dict("records")
    js = pair["fidelity.predictions"]["js"]
    assert (row["estimate"], row["low"], row["high"]) == (js.estimate, *js.ci)
    assert (row["gap"], row["gap_low"], row["gap_high"]) == (js.gap, *js.gap_ci)
    assert (row["kind"], row["unit"], row["n"], row["variant"], row["status"]) == (
        "change",
        "nats",
        80,
        "Sequential",
        "ok",
    )
    (row,) = frame[frame.value == "accuracy"].to_dict("records")
    accuracy = pair["fidelity.accuracy"]["accuracy"]
    assert (row["reference"], row["variant_figure"]) == (accuracy.reference, accuracy.variant)
    assert math.isnan(row["gap"])
    assert set(frame.params) == {"", "epsilon=0.1,restarts=1,steps=2", "epsilon=0.2,restarts=1,steps=2"}
    assert all(frame[name].dtype == "float64" for name in ("estimate", "gap_low", "p_value"))
    frame = unlabelled.frame()
    (row,) = frame[frame.metric == "fidelity.accuracy"].to_dict("records")
    assert (row["status"], row["reason"]) == ("skipped", "needs labels; the data has none")
    assert math.isnan(row["estimate"])


def test_without_pandas_or_matplotlib_the_extra_is_named(pair, monkeypatch):
    for package in ("pandas", "matplotlib"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"package 'pandas' is not installed; pip install .*\[notebook\]"):
        pair.frame()
    with pytest.raises(MissingExtra, match=r"package 'matplotlib' is not installed; pip install .*\[notebook\]"):
        pair.plot()


@pytest.mark.parametrize("what", ["gap", "change", "harm"])
def test_a_picture_holds_each_figure_and_its_interval(pair, what):
    from matplotlib import pyplot

    axes = pair.plot(what)
    shown = [value for cell in pair.cells for value in cell.values.values()]
    none = (None, None)
    if what == "gap":
        assert axes.get_xlabel() == "gap (0: same function, 1: as different as a given yardstick)"
        wanted = [(value.gap, *(value.gap_ci or none)) for value in shown if (value.gap, value.gap_ci) != none]
    else:
        kind = {"change": "change", "harm": "quality"}[what]
        wanted = [(v.estimate, *(v.ci or none)) for v in shown if v.estimate is not None and v.kind == kind]
    lines = [tuple(line.get_xdata()) for line in axes.get_lines()]
    assert [line[0] for line in lines if len(line) == 1] == [figure for figure, *_ in wanted if figure is not None]
    intervals = [(low or 0.0, high) for _, low, high in wanted if high is not None]
    assert [line for line in lines if len(line) == 2][: len(intervals)] == intervals
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == len(wanted)
    assert labels[0].startswith("fidelity.")
    again, own = pyplot.subplots()
    assert pair.plot(what, ax=own) is own
    pyplot.close(again)
    pyplot.close(axes.figure)


def test_a_picture_of_nothing_is_refused(unlabelled, pair):
    with pytest.raises(UserError, match="no value has a gap; a gap needs yardsticks"):
        unlabelled.plot()
    with pytest.raises(UserError, match="no value has a harm"):
        unlabelled.plot("harm")
    with pytest.raises(UserError, match="unknown figure 'gaps'; did you mean 'gap'"):
        pair.plot("gaps")


def test_it_shows_itself(pair):
    shown = repr(pair)
    assert shown.startswith("Sequential against the reference, on torch, 80 samples of arrays")
    assert str(pair) == shown
    page = pair._repr_html_()
    assert page.startswith("<iframe srcdoc=")
    inner = html.unescape(page.split('"')[1])
    assert inner.startswith("<!")
    assert "Jensen-Shannon divergence" in inner
    assert page.count('"') % 2 == 0


def test_it_is_results_still(pair):
    assert isinstance(pair, Results)
    assert Results.model_validate_json(pair.model_dump_json(by_alias=True)).cells == pair.cells


def test_a_suite_is_run_gated_and_saved(measured, capsys):
    assert run_cli(["baseline", "accept", "reports/tiny", "-o", "b.json"]) == 0
    run = bench.run("tiny.toml")
    assert all(cell.cached for cell in run.cells)
    assert {row["variant"] for row in value_rows(run.cells)} == {"noise", "int8"}
    assert run["noise/torch/fidelity.predictions"]["js"].gap > 0
    assert run["noise", "torch", "fidelity.accuracy"].cell.replicate == 0
    assert "what got worse" in repr(run)
    labels = [label.get_text() for label in run.plot("harm").get_yticklabels()]
    assert "int8 edge fidelity.accuracy accuracy (proportion)" in labels
    assert run.gate().exit_code == 0
    judged = run.gate(baseline="b.json")
    assert (judged.exit_code, {item.verdict for item in judged.judgements}) == (0, {"same"})
    gates = run.frame().set_index(["variant", "target", "value"]).gate
    assert set(gates.xs("accuracy", level="value")) == {"passed"}
    saved = run.save("again")
    assert json.loads((measured.folder / "again" / "results.json").read_text())["arrays_sha256"] == saved.arrays_sha256
    assert run_cli(["gate", "again", "--baseline", "b.json"]) == 0
    assert (measured.folder / "again" / "index.html").is_file()
    part = bench.run("tiny.toml", only="noise*", rerun="never")
    assert {cell.variant for cell in part.cells} == {"noise"}
    assert part.gate(baseline="b.json").exit_code != 0  # what is left out is not passed


def test_two_variants_are_compared_without_yardsticks(x):
    """On a network that is nearer, the ratio is below 1; the interval is that of the paired statistic by hand."""
    from bench.stats.ratio import paired_ratio
    from bench.stats.resampling import Resamples

    reference = made(0)
    near, far = (bench.network(moved(reference, scale), key=f"moved {scale}") for scale in (0.05, 0.4))
    results = two_variants(reference, near, far, x)
    found = results.ratio("near/torch/fidelity.predictions", "far/torch/fidelity.predictions")
    kept = [results.samples.cells[results[name].cell.id.path].values["js"] for name in ("near/*", "far/*")]
    wanted = paired_ratio(*(item.variant["x"] for item in kept), Resamples(80), power=2, floor=found_floor(results))
    assert found == wanted
    assert 0 < found.interval.low < found.estimate < found.interval.high < 1
    turned = results.ratio("far/*", "near/*")
    assert turned.estimate == pytest.approx(1 / found.estimate)
    assert results["near/*"]["js"].gap is None  # there are no yardsticks
    with pytest.raises(UserError, match="no distances of 'logit_relative_error' were kept"):
        results.ratio("near/*", "far/*", "logit_relative_error")


def found_floor(results):
    return max(results[name]["js"].numerical_floor for name in ("near/*", "far/*"))


def moved(reference, scale):
    net = copy.deepcopy(reference)
    with torch.no_grad():
        net[1].weight += scale * torch.randn(net[1].weight.shape, generator=torch.Generator().manual_seed(7))
    return net


def two_variants(reference, near, far, x):
    from dataclasses import replace

    from bench.engine.diff import pair_suite
    from bench.study import Study
    from bench.suite.given_network import as_network
    from bench.suite.given_pair import given_pair
    from bench.suite.suite import Variant

    suite, dataset = pair_suite(given_pair(reference, near, x, metrics=["fidelity.predictions"]))
    variants = tuple(Variant(name, outside=as_network(net, "here")) for name, net in {"near": near, "far": far}.items())
    return Study(replace(suite, variants=variants), "memory://two-variants", dataset=dataset).run()
