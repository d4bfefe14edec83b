"""Is a further retrained network where a suite expects one? The network is the unit, and the error is one of networks.

Short: ten networks of a small recipe and what one forward pass tells. ``CRBENCH_NETWORKS=25 pytest -s`` takes that many
of the digits recipe, with all attributions: about an hour.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache

import numpy as np
import pytest
from scipy import stats

from bench.data.digits import Digits
from bench.data.sources.base import sources, with_sources
from bench.engine import in_memory
from bench.errors import NotApplicable
from bench.metrics.base import metrics
from bench.metrics.values import Change, Mean, Proportion, Statistic
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.training import initialise, train
from bench.networks.network import TorchNetwork
from bench.outside_networks.records import source_record
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from tests.metrics.asking import distance, figure

MANY = int(os.environ.get("CRBENCH_NETWORKS", "0"))  # read before the tests' settings are taken away
YARDSTICKS = (4, 8) if MANY else (4,)
SETS = 4000 if MANY else 150
OF_LOGITS = (
    ("fidelity.predictions", {}, 900), ("fidelity.accuracy", {}, 900), ("uncertainty.calibration", {}, 900),
    ("uncertainty.calibration_errors", {}, 900), ("uncertainty.temperature", {}, 900),
    ("uncertainty.selective", {}, 900), ("uncertainty.threshold", {}, 900), ("uncertainty.conformal", {}, 900),
    ("uncertainty.ood", {"against": "noise"}, 900),
)  # fmt: skip
BY_GRADIENT = (
    ("lipschitz.local", {}, 200), ("attribution.ig", {}, 60), ("attribution.saliency", {}, 60),
    ("attribution.expected_gradients", {"most_draws": 50}, 16), ("attribution.grad_cam", {}, 60),
    ("attribution.occlusion", {}, 60), ("attribution.faithfulness", {"shares": 10, "masks": 20}, 16),
    ("adversarial.pgd", {"epsilon": 0.0667}, 100),
)  # fmt: skip


@pytest.fixture(scope="module")
def tables():
    """By value: the figure or change of each network beside each reference, (networks, networks), and its kind."""
    count, epochs, model = (MANY, 6, Convnet()) if MANY else (10, 3, Convnet(widths=(8, 16), strides=(2, 2)))
    data = with_sources(Digits().load(900, 128), {"noise": sources.get("gaussian-noise")(std=0.2)})
    trained = [train(initialise(model, data.input, k), data.train, data.input, Recipe(epochs=epochs), k)
               for k in range(count)]  # fmt: skip
    networks = [TorchNetwork(module, data.input, source_record(model, data.input)) for module in trained]
    opened = [open_predictor(network, Target(name="torch")) for network in networks]
    plain = in_memory.answer
    place = {id(network): k for k, network in enumerate(opened)}

    @cache
    def once(probe, k, n, beside, options):
        return plain(probe, opened[k], asked[n], opened[beside], **dict(options))

    asked = {}

    def kept(probe, predictor, samples, reference, **options):
        """Asked once where the reference plays no part."""
        asked[probe.asked_on, len(samples)] = samples
        beside = place[id(reference)] if probe.needs or probe.pair else place[id(predictor)]
        return once(probe, place[id(predictor)], (probe.asked_on, len(samples)), beside, tuple(options.items()))

    made = {}
    in_memory.answer = kept
    try:
        for name, options, n in (*OF_LOGITS, *BY_GRADIENT) if MANY else OF_LOGITS[:3]:
            metric = metrics.get(name)(**options)
            made |= measured(metric, opened, data.evaluation.take(slice(0, n)), data.sets)
    finally:
        in_memory.answer = plain
    return made


def measured(metric, opened, samples, sets):
    count = len(opened)
    made = {}
    for r in range(count):
        shown = [in_memory.answers(metric, each, samples, opened[r], sets=sets) for each in opened]
        for value in metric.values:
            if not isinstance(value, Change | Mean | Proportion | Statistic) or getattr(value, "where", ""):
                continue
            if isinstance(value, Change) and value.summary == "worst class":
                continue
            row = np.full(count, np.nan)
            for k in range(count):
                with suppress(NotApplicable):
                    row[k] = of(value, shown[r], shown[k])
            made.setdefault(f"{metric.name}.{value.name}", (value, np.full((count, count), np.nan)))[1][r] = row
    return made


def of(value, reference, network):
    if isinstance(value, Change):
        found = np.sort(distance(value, reference, network))
        return found[-max(1, round(0.05 * len(found))) :].mean() if "worst" in value.summary else found.mean()
    return float(figure(value, network)[0])


def inside(value, table, r, held, others) -> bool | None:
    """Whether the held-out network lies in the prediction interval of the others; None where there is none.

    mean ± t s sqrt(1 + 1/k), of the logarithms of changes and of figures.
    """
    known, new = table[r, others], table[r, held]
    if isinstance(value, Change):
        if (value.count and known.sum() * 900 < 10) or (known <= 0).any() or new <= 0:
            return None
        known, new = np.log(known), np.log(new)
    k, spread = len(known), known.std(ddof=1)
    if not np.isfinite([*known, new]).all() or spread <= 1e-12 * abs(known.mean()):
        return None
    return abs(new - known.mean()) <= stats.t.ppf(0.975, k - 1) * spread * np.sqrt(1 + 1 / k)


def shares(tables, k, networks):
    """By value: the share of held-out networks inside, of sets drawn from these networks."""
    random = np.random.default_rng(0)
    count = {name: [] for name in tables}
    for _ in range(SETS):
        r, held, *others = random.choice(networks, k + 2, replace=False)
        for name, (value, table) in tables.items():
            found = inside(value, table, r, held, others)
            if found is not None:
                count[name].append(found)
    return {name: np.mean(found) for name, found in count.items() if len(found) > SETS / 2}


@pytest.mark.parametrize("k", YARDSTICKS)
def test_a_further_retrained_network_is_where_retrained_ones_are(tables, k) -> None:
    """95 % pooled over values; its error by leaving out one network at a time."""
    networks = np.arange(len(next(iter(tables.values()))[1]))
    found = shares(tables, k, networks)
    without = [np.mean([*shares(tables, k, np.delete(networks, one)).values()]) for one in networks]
    pooled = np.mean([*found.values()])
    error = np.sqrt((len(networks) - 1) * np.var(without))
    for name, share in found.items():
        print(f"k = {k}: {100 * share:5.1f} % {name}")
    print(f"k = {k}: pooled over {len(found)} values {100 * pooled:.1f} %, jackknife error {100 * error:.1f}")
    if MANY:
        assert 0.93 < pooled < 0.97
    else:
        assert abs(pooled - 0.95) < 0.04
