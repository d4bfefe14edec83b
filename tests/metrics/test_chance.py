"""What measures of attribution say of networks that have lost all they learned: the network is the unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.compression.base import StepContext
from bench.compression.chains import run_step
from bench.compression.weight_shuffle import WeightShuffle
from bench.engine.in_memory import answers
from bench.engine.networks import Networks
from bench.engine.planning import plan_suite
from bench.metrics.attribution.ig import IntegratedGradients
from bench.metrics.attribution.maps import named_chance, similarity_to_other_images
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from bench.store.store import Store
from bench.suite.load import load_suite

SUITE = Path(__file__).parents[2] / "suites" / "digits-gate.toml"
METRIC = IntegratedGradients(steps=8, most_steps=8)
SHUFFLES, IMAGES = 20, 60
UNDONE = ("sign_disagreement", *(f"top_{k}_jaccard_distance" for k in (1, 5, 10)))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Similarities to the reference, (images,) by value and network; and the reference's own maps."""
    planned = plan_suite(load_suite(SUITE))
    plan, data = planned.plan, planned.dataset
    networks = Networks(Store(str(tmp_path_factory.mktemp("store"))), data, lambda message: None)
    samples = data.evaluation.take(slice(0, IMAGES))
    original = networks.get(plan.references[0])
    context = StepContext(data.train, data.calibration, None, 0)
    kinds = {
        "retrained": [networks.get(node) for node in plan.yardsticks],
        "shuffled": [run_step(WeightShuffle(seed=seed), original, context) for seed in range(SHUFFLES)],
    }
    target = Target(name="torch")
    reference = open_predictor(original, target)
    maps = answers(METRIC, reference, samples)["attribution"]
    values = [value for value in METRIC.values if value.summary == "mean"]
    made: dict[str, dict[str, list[np.ndarray]]] = {value.name: {} for value in values}
    for kind, several in kinds.items():
        for network in several:
            own = answers(METRIC, open_predictor(network, target), samples, reference)["attribution"]
            for value in values:
                made[value.name].setdefault(kind, []).append(1 - value.distance(maps, own))
    return made, maps


@pytest.mark.parametrize("value", ["cosine_distance", "spearman_distance"])
def test_signed_measures_are_at_zero_by_chance(found, value) -> None:
    """The t-interval of the mean over networks; one network's interval over images excludes 0 far too often."""
    shuffled = np.array(found[0][value]["shuffled"])
    means = shuffled.mean(axis=1)
    assert abs(means.mean()) < stats.t.ppf(0.975, SHUFFLES - 1) * means.std(ddof=1) / SHUFFLES**0.5
    single = np.abs(means) > 1.96 * shuffled.std(axis=1, ddof=1) / IMAGES**0.5
    assert single.mean() > 0.15


def test_every_shuffled_network_lies_beyond_the_furthest_retrained_one(found) -> None:
    for value, kinds in found[0].items():
        nearest = max(row.mean() for row in kinds["shuffled"])
        assert nearest < min(row.mean() for row in kinds["retrained"]), value


def test_the_floor_of_other_measures_is_not_zero(found) -> None:
    """Of signs one half; of the largest pixels more than unrelated sets share, since all digits stand in the middle."""
    made, maps = found
    signs = 1 - np.mean([row.mean() for row in made["sign_disagreement"]["shuffled"]])
    assert abs(signs - 0.5) < 0.03
    floor = named_chance(similarity_to_other_images(maps))
    assert floor["top_10_jaccard"] > 0.08  # of unrelated sets .05
    assert abs(floor["cosine"]) < 0.2
    assert named_chance(similarity_to_other_images(maps[:1])) == {}
