"""What a mean hides: tails, flips where the reference was sure, the worst class, another temperature."""

import dataclasses

import numpy as np
import pytest

from bench.data.base import Samples
from bench.engine.arrays import Memo, NetworkArrays
from bench.engine.derive import Derivation
from bench.engine.evidence import Evidence
from bench.engine.observed import Observed
from bench.functional.divergences import jensen_shannon
from bench.metrics.base import metrics
from bench.metrics.values import Change
from bench.probes.logits import Logits
from bench.stats.proportions import clopper_pearson

METRIC = metrics.get("fidelity.predictions")()
VALUES = {value.name: value for value in METRIC.values}


def log_softmax(logits):
    z = logits - logits.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


class Case:
    """Networks of ten classes given by their logits, the first being the reference."""

    def __init__(self, n=500, seed=0, labelled=True):
        self.random = np.random.default_rng(seed)
        self.logits = 2.5 * self.random.normal(size=(n, 10))
        labels = (self.logits + self.random.gumbel(size=(n, 10))).argmax(axis=1)
        ids = tuple(f"case/{row}" for row in range(n))
        self.samples = Samples(ids, np.zeros((n, 1), np.float32), labels if labelled else None)
        self.memo = Memo()
        self.reference = self.network(self.logits)

    def network(self, logits, reference=None):
        log_p = log_softmax(logits)
        answer = Observed(str(hash(log_p.tobytes())), {"log_probabilities": log_p}, 0.0)
        return NetworkArrays(METRIC, [(Logits(), answer)], self.samples, self.memo, reference)

    def noisy(self, scale):
        return self.network(self.logits + scale * self.random.normal(size=self.logits.shape), self.reference)

    def derived(self, variant, yardsticks=()):
        marks = [[mark] for mark in yardsticks]
        evidence = Evidence([self.reference], [variant], marks, None, len(self.samples))
        return {name: item.result for name, item in Derivation().values(METRIC.values, evidence).items()}


@pytest.fixture(scope="module")
def case():
    return Case()


@pytest.fixture(scope="module")
def found(case):
    return case.derived(case.noisy(0.5), [case.noisy(1.0) for _ in range(4)])


def test_the_tail_is_the_mean_of_the_worst_5_percent(case):
    variant = case.noisy(0.7)
    distances = np.sort(jensen_shannon(case.reference["log_probabilities"], variant["log_probabilities"]))
    shown = case.derived(variant)["js_worst_5"]
    assert shown.estimate == pytest.approx(distances[-25:].mean(), rel=1e-12)
    assert shown.ci[0] < shown.estimate < shown.ci[1]
    assert (shown.n, shown.power) == (500, 2)


def test_a_tail_has_a_gap_on_the_yardsticks_own_tails(found):
    tail = found["js_worst_5"]
    assert tail.gap_ci[0] < tail.gap < tail.gap_ci[1] < 1
    assert tail.gap == pytest.approx((tail.estimate / np.exp(np.log(tail.yardsticks).mean())) ** 0.5)


def test_few_samples_give_a_tail_without_limits_and_say_why():
    few = Case(n=200)
    shown = few.derived(few.noisy(0.5), [few.noisy(1.0) for _ in range(4)])["js_worst_5"]
    assert shown.estimate > 0
    assert shown.gap > 0
    assert (shown.ci, shown.gap_ci, shown.gap_further) == (None, None, None)
    assert shown.reason == "the worst 5% of 200 samples are 10: an interval needs 360 samples"


def test_flips_where_the_reference_was_sure_have_an_n_of_their_own(case):
    variant = case.noisy(1.5)
    mask = np.exp(case.reference["log_probabilities"].max(axis=1)) >= 0.9
    own, other = (arrays["log_probabilities"].argmax(axis=1) for arrays in (case.reference, variant))
    events = int((own != other)[mask].sum())
    shown = case.derived(variant)["flip_rate_when_sure"]
    assert (shown.n, shown.estimate) == (mask.sum(), pytest.approx(events / mask.sum()))
    assert 0 < mask.sum() < 500
    assert shown.ci == pytest.approx(clopper_pearson(events, int(mask.sum()))[:2])


def test_a_reference_that_is_never_sure_has_no_such_flips(case):
    unsure = Case(seed=1)
    unsure.reference = unsure.network(0.01 * unsure.logits)
    shown = unsure.derived(unsure.network(unsure.logits, unsure.reference))["flip_rate_when_sure"]
    assert (shown.estimate, shown.reason) == (None, "no sample is sure")


def test_the_worst_class_is_found_with_limits_that_hold_for_all(case):
    logits = case.logits.copy()
    mine = np.flatnonzero(case.samples.y == 3)
    logits[mine] = logits[mine][:, ::-1]  # another answer in this class alone
    shown = case.derived(case.network(logits, case.reference))["flip_rate_worst_class"]
    flips = (logits.argmax(1) != case.logits.argmax(1))[mine]
    assert (shown.n, shown.estimate) == (mine.size, pytest.approx(flips.mean()))
    assert shown.reason.startswith("class 3, the largest of 10")
    assert shown.ci[0] == pytest.approx(clopper_pearson(int(flips.sum()), mine.size, 1 - 0.05 / 10).low)
    assert (shown.gap, shown.yardsticks) == (None, [])


def test_another_temperature_is_no_other_function(case):
    shown = case.derived(case.network(case.logits / 1.5, case.reference), [case.noisy(1.0) for _ in range(4)])
    assert shown["js"].estimate > 1e-3
    assert shown["js"].gap > 0.1
    assert shown["js_tempered"].estimate < 1e-12


def test_without_labels_temperature_and_classes_are_null_and_the_rest_stands():
    bare = Case(labelled=False)
    shown = bare.derived(bare.noisy(0.5))
    for name in ("js_tempered", "flip_rate_worst_class"):
        assert (shown[name].estimate, shown[name].reason) == (None, "needs labels; the data has none")
    assert shown["js"].estimate > 0
    assert shown["flip_rate_when_sure"].estimate is not None


def test_where_one_half_is_all_right_no_temperature_fits_and_the_value_is_null_with_that_reason():
    """The likelihood grows without end as T falls: at the end of the range any two networks would seem the same."""
    perfect = Case()
    perfect.samples = dataclasses.replace(perfect.samples, y=perfect.logits.argmax(axis=1))
    perfect.reference = perfect.network(perfect.logits)
    shown = perfect.derived(perfect.noisy(0.5))
    assert shown["js_tempered"].estimate is None
    assert shown["js_tempered"].reason == "no temperature fits: in one half of the samples every answer is right"
    assert shown["js"].estimate > 0


def test_every_continuous_change_has_a_tail_and_no_tail_raises_an_alarm() -> None:
    for name in set(metrics.names()) - {"attribution.bounds"}:  # whose four values are one statement
        changes = [value for value in metrics.get(name).values if isinstance(value, Change)]
        names = {value.name for value in changes}
        for value in changes:
            if value.summary == "mean" and not value.count and not value.where and value.name != "js_tempered":
                assert f"{value.name}_worst_5" in names, (name, value.name)
            assert value.alarm == (value.summary == "mean" and not value.where and value.name != "js_tempered")
