"""Metrics whose probes are asked on other samples than the evaluation split, end to end."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.base import Samples
from bench.engine.arrays import Memo, NetworkArrays
from bench.engine.in_memory import answers
from bench.engine.observed import Observed
from bench.errors import NotApplicable
from bench.metrics.base import metrics
from bench.metrics.values import ids_on, labels_on
from bench.probes.calibration_logits import CalibrationLogits
from bench.probes.logits import Logits
from bench.stats.streams import generator
from bench.store.samples import read_samples
from bench.store.store import Store

METRICS = """
[[metric]]
use = "uncertainty.conformal"
samples = 50

[[metric]]
use = "uncertainty.threshold"
gate = [{ value = "coverage", max_harm = 0.9 }, { value = "decision_change", max_change = 0.9 }]
"""


def suite(text, calibration=64, loader='loader = "digits"'):
    """The tiny suite with the metrics of this file alone."""
    head = text[: text.index("[[metric]]")].replace("calibration = 64", f"calibration = {calibration}")
    return head.replace('loader = "digits"', loader) + METRICS


def cells(tiny):
    found = tiny.results()["cells"]
    return {(cell["variant"], cell["target"], cell["metric"]): cell for cell in found}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of one run."""
    from tests.conftest import TINY, _handle

    folder = tmp_path_factory.mktemp("other")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        handle = _handle(folder)
        (folder / "tiny.toml").write_text(suite(TINY))
        assert handle.run("run", "tiny.toml", "--quiet") == 0
    return handle


def test_every_value_is_measured_over_the_evaluation_samples(done) -> None:
    found = cells(done)
    assert len(found) == 6
    for (_, _, metric), cell in found.items():
        assert cell["status"] == "ok", cell["reason"]
        assert {value["n"] for value in cell["values"].values()} == {50 if metric.endswith("conformal") else 150}
        for value in cell["values"].values():
            assert value["estimate"] is not None
        assert cell["details"]["reference"]["calibration_samples"] == 64
    names = set(found["noise", "torch", "uncertainty.conformal"]["values"])
    kinds = ("set_change", "coverage", "set_size", "coverage_kept", "set_size_kept")
    assert names == {f"{score}_{kind}" for score in ("lac", "aps") for kind in kinds}


def test_another_network_is_judged_by_the_reference_threshold(done) -> None:
    cell = cells(done)["noise", "torch", "uncertainty.threshold"]
    told = cell["details"]
    assert told["reference"]["kept_threshold"] == told["variant"]["kept_threshold"]
    assert told["reference"]["own_threshold"] == told["reference"]["kept_threshold"]
    assert told["variant"]["own_threshold"] != told["variant"]["kept_threshold"]
    assert told["reference"]["calibration_coverage"] >= 0.8
    conformal = cells(done)["noise", "torch", "uncertainty.conformal"]["values"]
    for name in ("coverage", "set_size"):  # of the reference both thresholds are one
        assert conformal[f"lac_{name}"]["reference"] == conformal[f"lac_{name}_kept"]["reference"]


def test_calibration_samples_are_asked_once_for_both_metrics(done) -> None:
    store = Store(str(done.folder / ".crbench"))
    asked = [record for record in store.records("observations") if record.parts["probe"] == "calibration-logits"]
    assert {record.content["rows"] for record in asked} == {64}
    rows = [record.content["rows"] for record in store.records("observations") if record.parts["probe"] == "logits"]
    assert set(rows) == {150}
    assert len(asked) == len(rows)  # each network and target, and the reference's re-run


def test_what_is_gated_is_kept_sample_by_sample(done) -> None:
    """By the reference's threshold, so the reference's answer on calibration samples is behind it."""
    kept = read_samples(done.folder / "reports" / "tiny" / "arrays.npz")
    for (_, _, metric), cell in cells(done).items():
        if metric == "uncertainty.threshold":
            own = next(item for item in kept.cells.values() if item.key == cell["key"])
            assert {"coverage", "decision_change"} <= set(own.values)
            assert own.values["coverage"].variant["x"].mean() == cell["values"]["coverage"]["variant"]


def test_a_second_run_measures_nothing_and_gates_stand(done, monkeypatch) -> None:
    monkeypatch.chdir(done.folder)
    before = done.results()
    assert done.run("run", "tiny.toml", "--quiet", "--gate") == 0
    after = done.results()
    assert all(cell["cached"] for cell in after["cells"])
    for old, new in zip(before["cells"], after["cells"], strict=True):
        assert old["values"] == new["values"]


@pytest.mark.parametrize(
    ("calibration", "conformal", "threshold"),
    [
        (0, "needs calibration samples; the data has none", "needs calibration samples; the data has none"),
        (8, "8 calibration samples: too few for sets that miss a share of 0.1, at least 9 are needed", ""),
    ],
)
def test_too_few_calibration_samples_are_skipped_in_words(tiny, calibration, conformal, threshold) -> None:
    text = suite(tiny.text, calibration)
    int8 = text.index('[[variant]]\nname = "int8"')
    (tiny.folder / "tiny.toml").write_text(text[:int8] + text[text.index("[[metric]]") :])
    wanted = 3 if threshold else 0  # a gated cell is incomplete
    assert tiny.run("run", "tiny.toml", "--quiet", "--only", "noise/torch/*") == wanted
    found = cells(tiny)
    for metric, reason in (("conformal", conformal), ("threshold", threshold)):
        cell = found["noise", "torch", f"uncertainty.{metric}"]
        assert cell["status"] == ("skipped" if reason else "ok")
        assert cell["reason"].endswith(reason)


def test_without_labels_what_needs_none_is_measured(predictors, digits) -> None:
    bare = {name: Samples(part.ids, part.x, None) for name, part in digits.sets.items()}
    reference, network = predictors["reference"], predictors["ptq4"]
    shown = answers(metrics.get("uncertainty.threshold")(), network, bare["evaluation"], reference, sets=bare)
    assert 0 < shown["accepted"].mean() < 1
    with pytest.raises(NotApplicable, match="needs labels; the data has none"):
        shown["accepted_errors"]
    conformal = metrics.get("uncertainty.conformal")()
    labelled = {**bare, "calibration": digits.calibration}
    shown = answers(conformal, network, bare["evaluation"], reference, sets=labelled)
    assert shown["lac_size_kept"].mean() > 0
    assert "lac_covered" not in shown
    shown = answers(conformal, network, digits.evaluation, reference, sets=bare)
    assert shown.refusal("lac_covered") == "needs labels; the calibration samples have none"
    assert shown.refusal("lac_covered_kept") == "reference: needs labels; the calibration samples have none"


def test_names_of_other_samples_read_their_labels_and_ids(digits) -> None:
    metric = metrics.get("uncertainty.conformal")()
    log_p = {"log_probabilities": np.zeros((len(digits.evaluation), 10))}
    answer = [(Logits(), Observed("key", log_p, 0.0))]
    shown = NetworkArrays(metric, answer, digits.evaluation, Memo(), sets=digits.sets)
    np.testing.assert_array_equal(shown[labels_on("calibration")], digits.calibration.y)
    assert shown[ids_on("calibration")].tolist() == list(digits.calibration.ids)
    assert shown.key(labels_on("calibration")) != shown.key("labels")
    assert "nowhere.labels" not in shown
    with pytest.raises(NotApplicable, match="needs nowhere samples; the data has none"):
        shown["nowhere.labels"]


def test_the_kept_threshold_is_the_references_on_its_own_calibration_samples(predictors, digits) -> None:
    """By hand: the 103rd largest of 128 confidences is the least that a share of .8 reaches."""
    metric, reference = metrics.get("uncertainty.threshold")(), predictors["reference"]
    shown = answers(metric, predictors["retrained"], digits.evaluation, reference, sets=digits.sets)
    log_p = CalibrationLogits().ask(reference, digits.calibration, None).arrays["calibration_log_probabilities"]
    confidence = log_p.max(axis=1)
    kept = np.sort(confidence)[::-1][int(np.ceil(0.8 * len(confidence))) - 1]
    own = shown["log_probabilities"].max(axis=1)
    np.testing.assert_array_equal(shown["accepted"], own >= kept)


def test_a_deployed_threshold_covers_what_it_promises_of_the_reference(predictors, digits) -> None:
    """Over halves of all samples that no network was trained on: k / (n + 1) on average."""
    whole = Samples(
        digits.evaluation.ids + digits.calibration.ids,
        np.concatenate([digits.evaluation.x, digits.calibration.x]),
        np.concatenate([digits.evaluation.y, digits.calibration.y]),
    )
    metric, random, found = metrics.get("uncertainty.conformal")(), generator("test", "halves"), []
    for _ in range(12):
        order = random.permutation(len(whole))
        half = {"calibration": whole.take(order[:59]), "evaluation": whole.take(order[59:])}
        shown = answers(metric, predictors["reference"], half["evaluation"], sets=half)
        found.append([shown[f"{score}_covered"].mean() for score in ("lac", "aps")])
    spread = np.sqrt(0.9 * 0.1 / 61 / 12)  # of Beta(54, 6), twelve times
    assert abs(np.mean(found, axis=0) - 54 / 60).max() < 4 * spread
