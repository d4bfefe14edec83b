"""No interval of a cell, a stage or a recipe leaves the range of its quantity."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.engine.arrays import Memo, NetworkArrays
from bench.engine.derive import Derivation
from bench.engine.evidence import Evidence
from bench.engine.observed import Observed
from bench.engine.replicates import _over_replicates
from bench.engine.stage_values import stage_resamples, stage_value
from bench.metrics.base import metrics
from bench.metrics.values import Change, Mean, Proportion, Statistic
from bench.probes.logits import Logits
from bench.stats.proportions import clopper_pearson
from bench.stats.resampling import Resamples

RANGES = {"flip_rate": 1.0, "js": float(np.log(2)), "logit_relative_error": 2.0}
PREDICTIONS = {value.name: value for value in metrics.get("fidelity.predictions").values}


def _network(logits: NDArray[np.float64]) -> list[NetworkArrays]:
    """A network of these logits (n, 2)."""
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    samples = Samples(tuple(map(str, range(len(log_p)))), np.zeros((len(log_p), 1), np.float32), None)
    observed = Observed(str(log_p.tobytes()), {"log_probabilities": log_p}, 0.0)
    return [NetworkArrays(metrics.get("fidelity.predictions")(), [(Logits(), observed)], samples, Memo())]


def _sure_of(classes: list[int]) -> list[NetworkArrays]:
    """A network of two classes that is all but certain of one."""
    return _network(np.where(np.eye(2)[classes] > 0, 0.0, -9.0))


NETWORKS = [_sure_of(classes) for classes in ([0, 0, 0, 0, 0], [1, 1, 0, 1, 1], [0, 1, 0, 0, 0])]


def _nudged(shown: list[NetworkArrays], seed: int) -> list[NetworkArrays]:
    return _network(shown[0]["log_probabilities"] + np.random.default_rng(seed).normal(scale=0.05, size=(5, 2)))


@pytest.mark.parametrize("name", RANGES)
def test_of_a_cell_and_of_a_stage(name: str) -> None:
    value, largest = PREDICTIONS[name], RANGES[name]
    derivation = Derivation()
    for seed, (reference, before, after) in enumerate([NETWORKS, NETWORKS[::-1], [NETWORKS[i] for i in (1, 0, 2)]]):
        shown = [_nudged(item, 3 * seed + turn) for turn, item in enumerate((reference, before, after))]
        start = Evidence(shown[0], shown[2], (), None, 5)
        low, high = derivation.value(value, start).result.ci or (None, None)
        assert low is not None
        assert high is not None
        assert 0 <= low < high <= largest
        stage = stage_value(derivation, value, start, ("before", shown[1]), shown[2], Resamples(5))
        assert stage.step is not None
        assert stage.added is not None
        for found, least in ((stage.step, 0.0), (stage.added, -largest)):
            assert found.ci is not None
            assert least <= found.ci[0] <= found.ci[1] <= largest  # type: ignore[operator]


@pytest.mark.parametrize("name", ["js_tempered", "flip_rate_worst_class"])
def test_a_stage_without_labels_has_no_step_of_a_value_that_needs_them(name: str) -> None:
    derivation, metric = Derivation(), metrics.get("fidelity.predictions")()
    reference, before, after = NETWORKS
    start = Evidence(reference, after, (), None, 5)
    resamples = stage_resamples(derivation, metric, start, before, after)
    stage = stage_value(derivation, PREDICTIONS[name], start, ("before", before), after, resamples)
    assert (stage.cumulative.estimate, stage.cumulative.reason) == (None, "needs labels; the data has none")
    assert (stage.step, stage.added) == (None, None)


def test_of_a_recipe() -> None:
    """Five trainings, one of which broke: t says [-0.1, 0.4] of a share that is 0.14."""
    derivation = Derivation()
    flips = PREDICTIONS["flip_rate"]
    runs = [_sure_of([0] * 10), *[_sure_of([0] * 10) for _ in range(4)], _sure_of([1] * 7 + [0] * 3)]
    derived = [derivation.value(flips, Evidence(runs[0], run, (), None, 10)) for run in runs[1:]]
    found = _over_replicates(derived)
    assert found.interval == "t"
    assert found.estimate == pytest.approx(0.14)
    assert found.ci is not None
    assert found.ci[0] == 0.0
    assert 0.14 < found.ci[1] <= 1.0  # type: ignore[operator]
    harms = [item._replace(limits=(-0.3, 0.3)) for item in derived]
    assert _over_replicates(harms).ci[1] == 0.3  # type: ignore[index]


def test_every_value_with_a_range_says_so() -> None:
    ranges = {
        f"{name}.{value.name}": value.largest
        for name in metrics.names()
        for value in metrics.get(name).values
        if isinstance(value, Change | Mean | Proportion | Statistic)
    }
    unbounded = {name.rsplit(".", 1)[1] for name, largest in ranges.items() if largest == np.inf}
    assert unbounded == {
        "aps_set_size",
        "aps_set_size_kept",
        "attribution_difference_l1",
        "attribution_difference_l2",
        "calibrated_nll",
        "ce2_debiased",
        "shifted_ce2",
        "shifted_nll",
        "certified_radius",
        "ece",
        "expected_entropy",
        "flip_ratio",
        "infidelity",
        "jacobian_difference",
        "jacobian_difference_worst_5",
        "lac_set_size",
        "lac_set_size_kept",
        "log_distance",
        "log_distance_change",
        "log_distance_change_worst_5",
        "log_jacobian_norm",
        "logit_difference",
        "median_distance",
        "mutual_information",
        "nll",
        "predictive_entropy",
        "resolution",
        "slope_bound",
        "temperature",
    }


def test_of_a_recipe_without_any_flip() -> None:
    """Where the same samples count in each replicate, and where others do."""
    derivation = Derivation()
    same = _sure_of([0] * 10)
    derived = [derivation.value(PREDICTIONS["flip_rate"], Evidence(same, same, (), None, 10))] * 5
    wanted = (0.0, clopper_pearson(0, 10).high)
    assert _over_replicates(derived).ci == pytest.approx(wanted)
    fewer = derived[0]._replace(events=lambda: np.zeros(4))
    limits = [clopper_pearson(0, n).high for n in (10, 10, 10, 10, 4)]
    assert _over_replicates([*derived[:4], fewer]).ci == pytest.approx((0.0, np.mean(limits)))
