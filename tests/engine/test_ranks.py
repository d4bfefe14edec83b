"""The rank intervals that a run holds: as computed from answers by hand, who is left out, and what is stored."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.engine import ranks
from bench.engine.inline import Measured
from bench.engine.rank_evidence import (
    Contributions,
    Standing,
    evidence_of,
    method_of,
    ranked_values,
    resamples_for,
)
from bench.functional.predictions import correct
from bench.metrics.base import metrics
from bench.metrics.values import Change, Statistic
from bench.report.leaderboard.ranks import Rank, RankKey, ranks_of
from bench.results import Cell, RankResult, Results, ValueResult
from bench.run_results import RunResults
from bench.stats.harm import harm, harm_of_proportions
from bench.stats.paired_order import counts_less, draws_less, means_less
from bench.stats.rank_intervals import beyond_arithmetic, rank_intervals
from bench.stats.resampling import Resamples
from bench.study import Study
from bench.suite.suite import MetricUse
from tests.engine.test_variant_ratios import VARIANTS, X, measured, moved, reference, suite_of

Y = np.arange(len(X)) % 5
NAMES = ("far", "again", "near", "middle", "itself")


class Broken(nn.Module):
    """Answers what is no number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full((len(x), 5), torch.nan) + 0 * x.flatten(1)[:, :5]


@pytest.fixture(scope="module")
def run() -> RunResults:
    return measured(VARIANTS, "memory://ranks")


def found(results: Results, metric: str, value: str, replicate: int | None = 0) -> RankResult:
    (item,) = [r for r in results.ranks if (r.metric, r.value, r.replicate) == (metric, value, replicate)]
    return item


def intervals(item: RankResult) -> list[tuple[int, int]]:
    return [(entry.low, entry.high) for entry in item.entries]


def log_probabilities(net: nn.Module) -> np.ndarray:
    with torch.no_grad():
        return torch.log_softmax(net(torch.from_numpy(X)), 1).double().numpy()


def test_every_headline_change_and_every_harm_with_an_interval(run: RunResults) -> None:
    held = {(item.metric, item.value, item.kind) for item in run.ranks}
    assert held == {
        ("fidelity.predictions", "js", "change"), ("fidelity.accuracy", "accuracy", "quality"),
        ("uncertainty.calibration", "confidence_change", "change"), ("uncertainty.calibration", "nll", "quality"),
        ("uncertainty.calibration", "brier", "quality"), ("uncertainty.calibration", "ce2_debiased", "quality"),
    }  # fmt: skip  # ece has no interval
    for item in run.ranks:
        assert [(entry.variant, entry.target) for entry in item.entries] == [(name, "torch") for name in NAMES]
        assert (item.of, item.n, item.left_out, item.target, item.reason) == (5, len(X), [], None, "")


def test_a_change_is_ranked_by_its_kept_distances(run: RunResults) -> None:
    cells = [run[f"{name}/*/fidelity.predictions"].cell for name in NAMES]
    table = np.stack([run.samples.cells[cell.id.path].values["js"].variant["x"] for cell in cells])
    floors = np.array([cell.values["js"].numerical_floor or 0.0 for cell in cells])
    less = means_less(table) & beyond_arithmetic(table.mean(axis=1), floors, 2)
    item = found(run, "fidelity.predictions", "js")
    assert intervals(item) == [tuple(pair) for pair in rank_intervals(less)]
    assert dict(zip(NAMES, intervals(item), strict=True)) == {
        "itself": (1, 1), "near": (2, 2), "again": (3, 4), "middle": (3, 4), "far": (5, 5),
    }  # fmt: skip  # again and middle are one network
    index = np.random.default_rng(1).integers(len(X), size=(4000, len(X)))  # a bootstrap of its own agrees
    for first, second in np.argwhere(less):
        assert np.quantile((table[first] - table[second])[index].mean(axis=1), 0.975) < 0


def test_harms_are_ranked_by_the_answers_themselves(run: RunResults) -> None:
    own, *others = (log_probabilities(net) for net in (reference(), *(VARIANTS[name] for name in NAMES)))
    right = np.stack([correct(item, Y) for item in others])
    accuracy = found(run, "fidelity.accuracy", "accuracy")
    assert accuracy.method == "counts"
    assert intervals(accuracy) == [tuple(pair) for pair in rank_intervals(counts_less(1.0 - right))]
    rows = np.arange(len(X))
    nll = np.stack([own[rows, Y] - item[rows, Y] for item in others])
    item = found(run, "uncertainty.calibration", "nll")
    assert item.method == "means"
    assert intervals(item) == [tuple(pair) for pair in rank_intervals(means_less(nll))]
    assert len(set(intervals(item))) > 1, "nothing is told apart"


def test_two_variants_differ_by_the_harm_of_one_beside_the_other(run: RunResults) -> None:
    others = {name: log_probabilities(VARIANTS[name]) for name in NAMES}
    right = {name: correct(item, Y).astype(float) for name, item in others.items()}
    accuracy = found(run, "fidelity.accuracy", "accuracy").differences
    assert [(d.first, d.second) for d in accuracy] == [(NAMES[j], NAMES[i]) for j in range(5) for i in range(j)]
    for told in accuracy:
        wanted = harm_of_proportions(right[told.second], right[told.first], better="higher")
        assert (told.difference, told.ci) == (pytest.approx(wanted.estimate), pytest.approx(wanted.interval[:2]))
    resamples, rows = Resamples(len(X)), np.arange(len(X))
    nll = {name: -item[rows, Y] for name, item in others.items()}
    differences = found(run, "uncertainty.calibration", "nll").differences
    assert len(differences) == 10
    for told in differences:
        first, second = nll[told.first], nll[told.second]
        draws = [resamples.means(item) for item in (second, first)]
        wanted = harm(second.mean(), first.mean(), *draws, better="lower", samples=len(X))
        assert told.difference == pytest.approx(wanted.estimate, abs=1e-6)
        assert told.ci == pytest.approx(wanted.interval[:2], abs=1e-6)
    assert any(told.ci[0] > 0 or told.ci[1] < 0 for told in differences)
    assert not found(run, "uncertainty.calibration", "brier").differences  # no family shows it first


def test_a_statistic_is_ranked_by_the_first_of_the_shared_resamples(run: RunResults) -> None:
    (value,) = [v for v in metrics.get("uncertainty.calibration").values if v.name == "ce2_debiased"]
    assert isinstance(value, Statistic)
    arrays = []
    for net in (reference(), *(VARIANTS[name] for name in NAMES)):
        answer = log_probabilities(net)
        of = {"confidence": np.exp(answer.max(axis=1)), "correct": correct(answer, Y)}
        arrays.append({name: of["correct" if "correct" in name else "confidence"] for name in value.of})
    draws = [value.draws(item, Resamples(len(X), 2000)) for item in arrays]
    points = [value.point(item) for item in arrays]
    less = draws_less(np.array(points[1:]) - points[0], np.stack(draws[1:]) - draws[0], len(X))
    item = found(run, "uncertainty.calibration", "ce2_debiased")
    assert item.method == "draws"
    floors = [run[f"{name}/*/uncertainty.calibration"]["ce2_debiased"].numerical_floor or 0.0 for name in NAMES]
    less &= beyond_arithmetic(np.array(points[1:]) - points[0], np.array(floors))
    assert intervals(item) == [tuple(pair) for pair in rank_intervals(less)]


def test_arithmetic_alone_tells_nothing_apart() -> None:
    class Rounded(nn.Module):
        """The reference by way of a sum that rounds otherwise."""

        def __init__(self) -> None:
            super().__init__()
            self.net = reference()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x) + 1000.0 - 1000.0

    results = measured({"rounded": Rounded(), "itself": reference(), "far": moved(0.4)}, "memory://ranks-floor")
    assert intervals(found(results, "uncertainty.calibration", "confidence_change"))[2] == (3, 3)
    for item in results.ranks:
        cells = [results[f"{name}/*/{item.metric}"][item.value] for name in ("rounded", "itself")]
        apart = abs((cells[0].estimate or 0.0) - (cells[1].estimate or 0.0))
        if apart <= 2 * (cells[0].numerical_floor or 0.0):
            assert intervals(item)[0] == intervals(item)[1], item


@pytest.mark.parametrize(("floor", "told"), [(0.0, True), (0.002, True), (0.03, False)])
def test_what_arithmetic_can_move_is_not_told_apart(floor: float, told: bool) -> None:
    """Roots .1 and .2 apart by .1: by less than twice the floor's root, .17, though every sample says so."""
    random = np.random.default_rng(0)
    table = np.array([[0.01], [0.04]]) * random.uniform(0.9, 1.1, size=(2, 80))
    value = Change("js", None, of="x", power=2)
    results = [ValueResult(kind="change", n=80, estimate=float(row.mean()), ci=(0, 1)) for row in table]
    results[1].numerical_floor = floor
    cells = [
        Cell(variant=name, target="torch", metric="m", family="own", status="ok", values={"js": result})
        for name, result in zip("ab", results, strict=True)
    ]
    less = ranks._surely_less(value, cells, [Contributions(row) for row in table])
    assert less.tolist() == [[False, told], [False, False]]


def test_the_order_of_variants_does_not_matter(run: RunResults) -> None:
    turned = measured(dict(reversed(VARIANTS.items())), "memory://ranks-turned")
    for item in turned.ranks:
        assert intervals(item)[::-1] == intervals(found(run, item.metric, item.value))


def test_added_variants_are_ranked_as_if_all_were_new(run: RunResults) -> None:
    store = "memory://ranks-added"
    first = measured({name: VARIANTS[name] for name in ("far", "near")}, store)
    assert {item.of for item in first.ranks} == {2}
    grown = measured(VARIANTS, store)
    assert grown["far/*/uncertainty.calibration"].cell.cached
    assert grown.ranks == run.ranks


def test_harms_of_stored_cells_are_drawn_as_when_they_were_derived() -> None:
    suite, dataset = suite_of({name: VARIANTS[name] for name in ("far", "near")})
    uses = [MetricUse(metrics.get(f"uncertainty.{name}")()) for name in ("calibration_errors", "selective")]
    study = Study(replace(suite, metrics=tuple(uses)), "memory://ranks-drawn", dataset=dataset)
    study.run()
    directions = set()
    for planned in study.plan.cells:
        measured_cell = study.engine.derive(planned)
        standing = Standing(study.engine, planned, Measured(measured_cell.cell))
        for value in ranked_values(planned):
            if method_of(value) == "draws" and measured_cell.cell.values[value.name].ci is not None:
                (made,) = evidence_of(value, [standing])
                assert made is not None
                kept = measured_cell.derived[value.name].draws
                assert kept is not None
                before = kept()[: resamples_for(value)]  # but for their mean, which the order does not look at
                np.testing.assert_allclose(made.numbers - made.numbers.mean(), before - before.mean(), atol=1e-14)
                assert not isinstance(value, Change)
                directions.add(value.better)
    assert directions == {"lower", "higher"}


def test_they_are_stored_and_derived_again_under_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    store, variants = "memory://ranks-stored", {name: VARIANTS[name] for name in ("near", "itself")}
    first = measured(variants, store)

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("derived again")

    with monkeypatch.context() as patch:
        patch.setattr("bench.engine.ranks.evidence_of", refuse)
        assert measured(variants, store).ranks == first.ranks
        with pytest.raises(AssertionError, match="derived again"):
            measured({"near": VARIANTS["near"], "other": VARIANTS["itself"]}, store)


def test_who_failed_is_listed_with_the_reason_and_one_alone_is_not_ranked() -> None:
    results = measured({"far": VARIANTS["far"], "broken": Broken()}, "memory://ranks-broken")
    for item in results.ranks:
        assert [(entry.variant, entry.low, entry.high) for entry in item.entries] == [("far", 1, 1)]
        (left,) = item.left_out
        assert left.variant == "broken"
        assert left.reason == f"error: {results[f'broken/*/{item.metric}'].cell.reason}"
        key = RankKey(item.metric, "{}" if not item.params else json.dumps(item.params), item.value, 0)
        rows = ranks_of(results)[key]
        assert rows["far", "torch"] == Rank(1, 1, 1)
        assert rows["broken", "torch"] == Rank(None, None, 1, None, left.reason)
    assert measured({"far": VARIANTS["far"]}, "memory://ranks-alone").ranks == []


def test_lost_answers_are_said_and_not_stored(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    suite, dataset = suite_of({name: VARIANTS[name] for name in ("far", "near")})
    suite = replace(suite, metrics=suite.metrics[:1])
    whole = Study(suite, store, dataset=dataset).run()
    shutil.rmtree(tmp_path / "store" / "observations")
    for file in (tmp_path / "store" / "families").rglob("*.json"):
        if "ranks" in json.loads(file.read_text())["parts"]:
            file.unlink()
    (item,) = Study(suite, store, dataset=dataset, rerun="never").run().ranks
    assert (item.of, item.entries, item.reason) == (0, [], ranks.NONE)
    assert {left.reason for left in item.left_out} == {ranks.LOST}
    more, _ = suite_of({name: VARIANTS[name] for name in ("far", "near")})  # another metric asks the same again
    later = Study(more, store, dataset=dataset).run()
    assert later["far/*/fidelity.predictions"].cell.cached
    assert found(later, "fidelity.predictions", "js") == whole.ranks[0]


def test_all_targets_stand_together(measured: Any) -> None:
    results = Results.model_validate_json((measured.folder / "reports" / "tiny" / "results.json").read_text())
    places = [(variant.name, variant.target) for variant in results.variants]
    assert len(places) == 3
    assert len({target for _, target in places}) == 2
    for item in results.ranks:
        out = [(left.variant, left.target) for left in item.left_out]
        assert [(entry.variant, entry.target) for entry in item.entries] == [row for row in places if row not in out]
        assert item.of + len(out) == 3
        assert item.target is None
    js = found(results, "fidelity.predictions", "js")
    assert dict(zip(places, intervals(js), strict=True))["int8", "edge"] == (1, 1)


def test_where_other_samples_count_each_target_is_ranked_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    value = Change("sure_flips", None, of="x", power=1, where="reference.sure", largest=1.0)
    random = np.random.default_rng(0)
    tables = {"torch": random.normal(size=(2, 90)) + np.array([[0.0], [5.0]]), "edge": random.normal(size=(2, 80))}
    standings, known = [], []
    for target, table in tables.items():
        for name, row in zip("ab", table, strict=True):
            result = ValueResult(kind="change", n=row.size, estimate=float(row.mean()), ci=(0.0, 1.0))
            cell = Cell(variant=name, target=target, metric="m", family="own", status="ok", values={value.name: result})
            standings.append(SimpleNamespace(measured=SimpleNamespace(cell=cell)))
            known.append(Contributions(row, target.encode()))
    monkeypatch.setattr(ranks, "evidence_of", lambda *arguments: known)
    first, second = ranks._of_value(value, standings, [""] * 4, 100)  # type: ignore[arg-type]
    assert (first.target, first.n, intervals(first)) == ("torch", 90, [(1, 1), (2, 2)])
    assert (second.target, second.n, intervals(second)) == ("edge", 80, [(1, 2), (1, 2)])


def test_replicates_are_ranked_by_themselves(tiny: Any) -> None:
    replicated = tiny.text.replace('name = "tiny"', 'name = "tiny"\nreplicates = 2')
    noisier = '[[variant]]\nname = "noisier"\nsteps = [{ use = "weight-noise", sigma = 0.6 }]\n\n'
    start, end = replicated.index('[[variant]]\nname = "int8"'), replicated.index("[[metric]]")
    text = replicated[:start] + noisier + replicated[end : replicated.index('[[metric]]\nuse = "fidelity.acc')]
    text = text.replace('[[target]]\nname = "edge"\nruntime = "onnxruntime"\ninteger_sums = "exact"\n', "")
    (tiny.folder / "tiny.toml").write_text(text)
    by_replicate = {item.replicate: item for item in bench.run("tiny.toml").ranks}
    assert set(by_replicate) == {0, 1, None}
    assert [entry.variant for entry in by_replicate[0].entries] == ["noise", "noisier"]
    whole = by_replicate[None]
    assert (whole.of, whole.entries, whole.left_out, whole.reason) == (0, [], [], ranks.OVER_REPLICATES)


def test_results_of_before_there_were_ranks_are_read(run: RunResults) -> None:
    content = run.model_dump(mode="json", by_alias=True)
    del content["ranks"]
    assert ranks_of(Results.model_validate(content)) == {}
