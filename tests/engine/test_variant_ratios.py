"""The ratios that a run holds: which variants stand beside which, stored, and the same as by hand."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.engine.diff import pair_suite
from bench.engine.variant_ratios import OVER_REPLICATES, neighbours
from bench.run_results import RunResults
from bench.stats.ratio import paired_ratio
from bench.stats.resampling import Resamples
from bench.study import Study
from bench.suite.given_network import as_network
from bench.suite.given_pair import given_pair
from bench.suite.suite import Suite, Variant

X = np.random.default_rng(0).uniform(size=(120, 4, 4)).astype(np.float32)
METRICS = ["fidelity.predictions", "fidelity.accuracy", "uncertainty.calibration"]


def reference() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 5)).eval()


def moved(scale: float, seed: int = 7) -> nn.Module:
    net = copy.deepcopy(reference())
    with torch.no_grad():
        net[1].weight += scale * torch.randn(net[1].weight.shape, generator=torch.Generator().manual_seed(seed))
    return net


def suite_of(variants: Mapping[str, nn.Module]) -> tuple[Suite, Any]:
    y = np.arange(len(X)) % 5
    suite, dataset = pair_suite(
        given_pair(bench.network(reference(), key="reference"), moved(0.1), X, y, metrics=METRICS)
    )
    made = [Variant(name, outside=as_network(bench.network(net, key="code"), "here")) for name, net in variants.items()]
    return replace(suite, variants=tuple(made)), dataset


def measured(variants: Mapping[str, nn.Module], store: str) -> RunResults:
    suite, dataset = suite_of(variants)
    return Study(suite, store, dataset=dataset).run()


VARIANTS = {
    "far": moved(0.4), "again": moved(0.2), "near": moved(0.05), "middle": moved(0.2), "itself": reference(),
}  # fmt: skip


@pytest.fixture(scope="module")
def run() -> RunResults:
    return measured(VARIANTS, "memory://variant-ratios")


def test_each_stands_beside_the_next_nearer_and_the_nearest(run: RunResults) -> None:
    found = [item for item in run.variant_ratios if item.metric == "fidelity.predictions"]
    assert {item.value for item in found} == {"js"}
    beside = [(item.first, item.second, item.next_nearer, item.nearest) for item in found]
    assert beside == [
        ("near", "itself", True, True), ("again", "near", True, False), ("again", "itself", False, True),
        ("middle", "again", True, False), ("middle", "near", False, False), ("middle", "itself", False, True),
        ("far", "middle", True, False), ("far", "again", False, False), ("far", "near", False, False),
        ("far", "itself", False, True),
    ]  # fmt: skip
    metrics = [item.metric for item in run.variant_ratios]
    assert {metric: metrics.count(metric) for metric in metrics} == {
        "fidelity.predictions": 10, "uncertainty.calibration": 10,
    }  # fmt: skip  # both stand for a family: every two; accuracy has no headline change
    assert {item.value for item in run.variant_ratios} == {"js", "confidence_change"}


def test_the_figures_are_those_of_the_kept_distances(run: RunResults) -> None:
    (found,) = [item for item in run.variant_ratios if (item.first, item.second, item.value) == ("far", "middle", "js")]
    cells = [run[f"{name}/*/fidelity.predictions"].cell for name in ("far", "middle")]
    first, second = (run.samples.cells[cell.id.path].values["js"].variant["x"] for cell in cells)
    floor = max(cell.values["js"].numerical_floor or 0.0 for cell in cells)
    wanted = paired_ratio(first, second, Resamples(len(X)), power=2, floor=floor)
    assert (found.ratio, found.ci, found.n) == (wanted.estimate, tuple(wanted.interval[:2]), len(X))
    assert found.ratio == run.ratio("far/*/fidelity.predictions", "middle/*/fidelity.predictions").estimate
    index = np.random.default_rng(1).integers(len(X), size=(20_000, len(X)))
    low, high = np.quantile(np.sqrt(first[index].mean(axis=1) / second[index].mean(axis=1)), [0.025, 0.975])
    assert found.ci == pytest.approx((low, high), abs=0.1 * (high - low))  # by a bootstrap of its own
    assert found.told_apart is True


def test_equal_variants_and_the_reference_itself(run: RunResults) -> None:
    js = {(item.first, item.second): item for item in run.variant_ratios if item.value == "js"}
    equal = js["middle", "again"]
    assert (equal.ratio, equal.ci, equal.told_apart) == (1, (1, 1), False)
    beside = js["near", "itself"]  # which is the reference, but for arithmetic
    assert (beside.ratio, beside.resolution, beside.told_apart) == (None, None, True)
    assert beside.ci is not None
    assert beside.ci[0] is not None
    assert beside.ci[0] > 1000
    assert beside.ci[1] is None
    assert beside.reason.startswith("itself does not differ from the reference")
    assert beside.reason.endswith("a lower limit only")


def test_they_are_stored_and_derived_again_under_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    store = "memory://variant-ratios-stored"
    variants = {name: VARIANTS[name] for name in ("near", "itself")}
    first = measured(variants, store)

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("derived again")

    with monkeypatch.context() as patch:
        patch.setattr("bench.engine.variant_ratios.ratio_figures", refuse)
        assert measured(variants, store).variant_ratios == first.variant_ratios
        with pytest.raises(AssertionError, match="derived again"):
            measured({"near": VARIANTS["near"], "other": VARIANTS["itself"]}, store)
    renamed = measured({"near": VARIANTS["near"], "other": VARIANTS["itself"]}, store)
    assert renamed.variant_ratios[0].reason.startswith("other does not differ")


def test_a_part_of_a_suite_compares_what_it_holds() -> None:
    suite, dataset = suite_of({name: VARIANTS[name] for name in ("far", "near", "middle")})
    part = Study(suite, "memory://variant-ratios-part", dataset=dataset).run("*ar/*/fidelity*")
    assert [(item.first, item.second) for item in part.variant_ratios] == [("far", "near")]


def test_without_distances_there_is_the_reason(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    variants = {name: VARIANTS[name] for name in ("far", "near")}
    suite, dataset = suite_of(variants)
    suite = replace(suite, metrics=suite.metrics[:1])
    whole = Study(suite, store, dataset=dataset).run()
    assert whole.variant_ratios[0].told_apart is True
    shutil.rmtree(tmp_path / "store" / "observations")
    for file in (tmp_path / "store" / "families").rglob("*.json"):
        if "ratios" in json.loads(file.read_text())["parts"]:
            file.unlink()
    study = Study(suite, store, dataset=dataset, rerun="never")
    (found,) = study.run().variant_ratios
    assert (found.ratio, found.told_apart) == (None, None)
    assert found.reason == "the distances of far were not kept"
    more, _ = suite_of(variants)  # another metric asks the same again
    later = Study(more, store, dataset=dataset).run()
    assert later["far/*/fidelity.predictions"].cell.cached
    assert later.variant_ratios[0] == whole.variant_ratios[0]  # that it was lost was not stored


def test_replicates_stand_beside_replicates_of_the_same_number(tiny: Any) -> None:
    replicated = tiny.text.replace('name = "tiny"', 'name = "tiny"\nreplicates = 2')
    noisier = '[[variant]]\nname = "noisier"\nsteps = [{ use = "weight-noise", sigma = 0.6 }]\n\n'
    start, end = replicated.index('[[variant]]\nname = "int8"'), replicated.index("[[metric]]")
    text = replicated[:start] + noisier + replicated[end : replicated.index('[[metric]]\nuse = "fidelity.acc')]
    text = text.replace('[[target]]\nname = "edge"\nruntime = "onnxruntime"\ninteger_sums = "exact"\n', "")
    (tiny.folder / "tiny.toml").write_text(text)
    results = bench.run("tiny.toml")
    by_replicate = {item.replicate: item for item in results.variant_ratios}
    assert set(by_replicate) == {0, 1, None}
    for number in (0, 1):
        found = by_replicate[number]
        assert (found.first, found.second) == ("noisier", "noise")
        cells = [f"{name}/torch/fidelity.predictions" for name in ("noisier", "noise")]
        known = {(c.variant, c.replicate): c.values["js"].estimate for c in results.cells}
        assert found.ratio == pytest.approx((known["noisier", number] / known["noise", number]) ** 0.5), cells
    assert (by_replicate[None].ratio, by_replicate[None].reason) == (None, OVER_REPLICATES)


def test_neighbours_of_one_and_of_equals() -> None:
    assert neighbours([]) == neighbours([0.1]) == []
    assert [(pair.first, pair.second) for pair in neighbours([0.1, 0.1])] == [(1, 0)]
    pairs = neighbours([float(i) for i in range(9)])
    assert len(pairs) == 2 * 8 - 1  # not all 36
    assert {pair.first for pair in pairs if pair.nearest} == set(range(1, 9))
