"""A network's own figures now beside before: in closed form, by bootstrap, of the reference, and reasons."""

from __future__ import annotations

import numpy as np
import pytest

from bench.gate import Run, run_differences, runs_beside
from bench.stats.proportions import PairedTable, paired_difference

N = 200
ACCURACY = {"metric": "fidelity.accuracy", "value": "accuracy", "better": "higher"}
NLL = {"metric": "uncertainty.calibration", "value": "nll", "form": "mean", "family": "uncertainty"}


def told(before, after):
    """What is known of each network, by its name."""
    runs = [made.run() for made in (before, after)]
    return {item.variant: item for item in run_differences(*runs[0], *runs[1])}


def test_a_share_is_worse_by_the_score_interval_of_paired_proportions(make, outcomes):
    before, after = outcomes(180), outcomes(170)  # ten right answers fewer, none more
    (found,) = told(make().add(before, **ACCURACY), make(key="b").add(after, **ACCURACY)).values()
    assert found.difference == pytest.approx(0.05)  # positive: worse, though more of it is better
    assert found.ci == pytest.approx(paired_difference(PairedTable(10, 0, N))[:2])
    assert not found.unchanged


def test_a_mean_is_worse_by_an_independent_bootstrap(make):
    before = np.random.default_rng(0).gamma(2, 1, N)
    after = before * np.random.default_rng(1).gamma(40, 0.026, N)
    (found,) = told(make().add(before, **NLL), make(key="b").add(after, **NLL)).values()
    assert found.difference == pytest.approx(after.mean() - before.mean())
    index = np.random.default_rng(2).integers(N, size=(20_000, N))
    low, high = np.quantile((after - before)[index].mean(axis=1), [0.025, 0.975])
    assert found.ci == pytest.approx((low, high), abs=0.12 * (high - low))  # theirs is wider for few samples


def test_the_reference_is_paired_with_itself(make, outcomes):
    def run(key, right, **more):
        return make(key=key, **more).add(outcomes(150), reference=outcomes(right), **ACCURACY)

    same = told(run("a", 190), run("b", 190))
    assert same[None].unchanged
    assert not same["v"].unchanged  # another measurement of the variant
    other = told(run("a", 190), run("b", 180, reference="s" * 64))  # trained anew: own figures are paired all the same
    assert other[None].difference == pytest.approx(0.05)
    assert not other[None].unchanged


def test_a_target_of_the_same_name_may_be_another(make, outcomes):
    runs = [
        make(key=key).add(outcomes(9), reference=outcomes(right), **ACCURACY) for key, right in (("a", 9), ("b", 8))
    ]
    assert not told(*runs)[None].unchanged  # the same reference, which answers otherwise there


def test_the_same_measurement_is_said_to_be_it(make, outcomes):
    assert told(make().add(outcomes(9), **ACCURACY), make().add(outcomes(9), **ACCURACY))["v"].unchanged


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ({"version": 2}, "another value of the metric's version"),
        ({"data": "e" * 64}, "another value of the evaluation data"),
        ({"integer_sums": "exact"}, "another value of the kind of 8-bit sums"),
        ({"form": "mean"}, "the value is defined in another way"),
    ],
)
def test_what_cannot_be_compared_has_its_reason(make, outcomes, now, reason):
    found = told(make().add(outcomes(9), **ACCURACY), make(key="b").add(outcomes(9), **{**ACCURACY, **now}))["v"]
    assert (found.difference, found.ci, found.reason) == (None, None, reason)


def test_fewer_samples_are_other_samples(make, outcomes):
    found = told(make().add(outcomes(9), **ACCURACY), make(key="b").add(outcomes(9, 100), **ACCURACY))["v"]
    assert found.reason == "another value of the number of samples"


def test_what_no_family_shows_first_and_other_variants_are_left_out(make, outcomes):
    assert told(make().add(outcomes(9)), make(key="b").add(outcomes(8))) == {}
    alone = told(make().add(outcomes(9), variant="a", **ACCURACY), make(key="b").add(outcomes(8), **ACCURACY))
    assert alone == {}


def test_changes_are_beside_each_other_within_one_suite(make, outcomes, tmp_path):
    x = np.random.default_rng(0).gamma(2, 1, N)

    def run(suite, scale, samples=True):
        made = make(suite=suite, key=suite).add(scale * x, form="distance", value="js").add(outcomes(9), **ACCURACY)
        results, arrays = made.run()
        return suite, Run(results, arrays if samples else None, tmp_path)

    found = runs_beside(run("s", 1), run("s", 2))
    assert (found.before, found.after) == ("s", "s")
    assert [item.ratio for item in found.ratios] == pytest.approx([2.0])
    across = runs_beside(run("s", 1), run("other", 2))
    assert across.ratios == ()
    assert len(across.differences) == 1
    assert runs_beside(run("s", 1), run("s", 2, samples=False)) is None
