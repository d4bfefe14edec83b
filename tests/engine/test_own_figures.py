"""What a variant's own figure is known to be, in one run and over replicates, against the statistics by hand."""

from dataclasses import replace

import numpy as np
import pytest

from bench.data.base import Samples
from bench.engine.arrays import Memo, NetworkArrays
from bench.engine.derive import Derivation, DerivedValue
from bench.engine.evidence import Evidence
from bench.engine.observed import Observed
from bench.engine.replicates import _over_replicates
from bench.metrics.fidelity.accuracy import Accuracy
from bench.metrics.uncertainty.calibration import Calibration
from bench.probes.logits import Logits
from bench.results import ValueResult
from bench.stats.gap import gap
from bench.stats.mean import mean_interval
from bench.stats.proportions import clopper_pearson
from bench.stats.quantiles import t_quantile
from bench.stats.resampling import Resamples

N = 120
BOTH = Calibration()
VALUES = {value.name: value for value in (*Accuracy.values, *Calibration.values)}


@pytest.fixture
def evidence():
    """Two networks of ten classes that are right on about 85 %."""
    random = np.random.default_rng(0)
    labels = random.integers(10, size=N)
    samples = Samples(tuple(map(str, range(N))), np.zeros((N, 1), np.float32), labels)
    networks = []
    for name in ("own", "other"):
        logits = random.normal(0, 1, (N, 10)) + 3 * (np.arange(10) == labels[:, None])
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        observed = Observed(name, {"log_probabilities": log_p}, 0.0)
        networks.append(NetworkArrays(BOTH, [(Logits(), observed)], samples, Memo()))
    return Evidence(networks[:1], networks[1:], [], None, N)


def test_a_rate_has_its_exact_interval(evidence):
    found = Derivation().value(VALUES["accuracy"], evidence).result
    right = int(evidence.variant[0]["correct"].sum())
    assert found.own_ci == clopper_pearson(right, N)[:2]
    assert found.own_ci[0] < found.variant < found.own_ci[1]
    right = int(evidence.reference[0]["correct"].sum())
    assert found.reference_ci == clopper_pearson(right, N)[:2] != found.own_ci


def test_a_mean_has_the_bootstrap_of_itself(evidence):
    found = Derivation().value(VALUES["nll"], evidence).result
    wanted = mean_interval(evidence.variant[0]["nll"], Resamples(N))
    assert found.own_ci == pytest.approx(wanted[:2])
    wanted = mean_interval(evidence.reference[0]["nll"], Resamples(N))
    assert found.reference_ci == pytest.approx(wanted[:2])


def test_the_interval_of_the_reference_is_the_same_beside_every_variant(evidence):
    derivation = Derivation()
    swapped = replace(evidence, reference=evidence.variant, variant=evidence.reference)
    for name in ("accuracy", "nll", "ece"):
        first = derivation.value(VALUES[name], evidence).result
        second = derivation.value(VALUES[name], swapped).result
        assert (first.reference_ci, first.own_ci) == (second.own_ci, second.reference_ci)


def test_a_figure_without_a_known_interval_has_none(evidence):
    assert Derivation().value(VALUES["ece"], evidence).result.own_ci is None


def replicate(variant, own_ci, estimate, scaled=None):
    result = ValueResult(
        kind="quality" if scaled is None else "change", better="higher" if scaled is None else "none", reference=0.9,
        variant=variant, own_ci=own_ci, estimate=estimate, ci=(0.0, 0.1), interval="bootstrap",
    )  # fmt: skip
    return DerivedValue(result, scaled, lambda: np.full(100, estimate))


def test_over_replicates_the_sampling_error_of_the_own_figure_stays():
    """Five replicates on the same samples: +- t(4) sqrt(SE^2 + s^2 / 5), SE of one of them."""
    figures = [0.80, 0.82, 0.81, 0.79, 0.83]
    out = _over_replicates([replicate(x, (x - 0.0392, x + 0.0392), 0.9 - x) for x in figures])
    half = t_quantile(0.975, 4) * np.hypot(0.0392 / 1.959964, np.std(figures, ddof=1) / np.sqrt(5))
    assert out.own_ci == pytest.approx((0.81 - half, 0.81 + half), rel=1e-4)
    assert 0 < out.p_value < 0.001  # a mean harm of 0.09 with a spread of 0.016
    assert _over_replicates([replicate(0.8, None, 0.1)] * 5).own_ci is None


def test_over_replicates_a_gap_has_a_limit_beside_one_further_yardstick():
    """With four yardsticks t has three degrees of freedom, not the replicates' four."""
    random = np.random.default_rng(1)
    resamples = Resamples(200, 400)
    yardsticks = np.exp(random.normal(0, 0.3, (4, 1)) + random.normal(0, 0.2, (4, 200)))
    gaps = [gap(2 * np.exp(random.normal(0, 0.2, 200)), yardsticks, resamples, power=1) for _ in range(5)]
    out = _over_replicates([replicate(None, None, 0.1, item) for item in gaps])
    logs = np.log([item.gap for item in gaps])
    sampling = np.std(np.mean([item.deviations for item in gaps], axis=0))
    for limit, part in ((out.gap_ci[0], 1 / 4), (out.gap_further, 1 + 1 / 4)):
        error = np.sqrt(sampling**2 + gaps[0].spread ** 2 * part + np.var(logs, ddof=1) / 5)
        assert np.log(limit) == pytest.approx(logs.mean() - t_quantile(0.975, 3) * error)


def test_over_replicates_that_all_agree_the_samples_are_still_few(evidence):
    """Answers that never differ in five replicates: 120 samples exclude no harm below z^2 / (n + z^2), as in one."""
    same = replace(evidence, variant=evidence.reference)
    one = Derivation().value(VALUES["accuracy"], same)
    out = _over_replicates([one] * 5)
    limit = 1.959964**2 / (N + 1.959964**2)
    assert out.ci == pytest.approx((-limit, limit))
    assert out.ci == pytest.approx(one.result.ci)
    assert (out.estimate, out.p_value, out.interval) == (0.0, 1.0, "t")
    assert _over_replicates([one] * 4).ci is None
