"""A variant's change now beside before: in closed form, not told apart, near the floor, few flips, and reasons."""

from __future__ import annotations

import numpy as np
import pytest

from bench.gate import baseline_of, conclude, judge_baseline, run_ratios
from bench.results import RunRatio
from bench.stats.ratio import count_ratio

N = 200


@pytest.fixture
def some():
    return np.random.default_rng(0).gamma(2, 1, N)


def told(before, after):
    """The ratios of two runs; every change has an interval, as a run's headline has."""
    runs = [made.run() for made in (before, after)]
    return run_ratios(*runs[0], *runs[1])


def one(before, after) -> RunRatio:
    (found,) = told(before, after)
    return found


def test_four_times_the_squared_distance_is_twice_as_far(make, some):
    before = make().add(some, form="distance", value="js", power=2)
    found = one(before, make(key="later").add(4 * some, form="distance", value="js", power=2))
    assert (found.variant, found.target, found.metric, found.value) == ("v", "torch", "made.up", "js")
    assert found.ratio == pytest.approx(2)
    assert found.ci == pytest.approx((2, 2))
    assert (found.told_apart, found.unchanged, found.n, found.reason) == (True, False, N, "")


def test_the_interval_is_that_of_an_independent_bootstrap(make, some):
    other = some * np.random.default_rng(1).gamma(4, 0.3, N)
    found = one(make().add(some, form="distance"), make(key="later").add(other, form="distance"))
    index = np.random.default_rng(2).integers(N, size=(20_000, N))
    low, high = np.quantile(other[index].mean(axis=1) / some[index].mean(axis=1), [0.025, 0.975])
    assert found.ci == pytest.approx((low, high), abs=0.1 * (high - low))


def test_the_same_measurement_is_said_to_be_it(make, some):
    found = one(make().add(some, form="distance"), make().add(some, form="distance"))
    assert (found.ratio, found.ci, found.told_apart, found.unchanged) == (1, (1, 1), False, True)
    assert not one(make().add(some, form="distance"), make(key="later").add(some, form="distance")).unchanged


def test_few_flips_and_none(make, outcomes):
    def flips(count, key):
        return make(key=key).add(outcomes(count), form="count", value="flip_rate")

    found = one(flips(2, "before"), flips(3, "now"))
    assert found.ratio == pytest.approx(1.5)
    assert found.ci == pytest.approx(count_ratio(outcomes(3), outcomes(2))[:2])
    assert (found.interval, found.told_apart) == ("score", False)
    limited = one(flips(0, "before"), flips(20, "now"))
    assert limited.ratio is None
    assert limited.ci == (pytest.approx(count_ratio(outcomes(20), outcomes(0)).low), None)
    assert limited.reason.startswith("the variant before does not differ from the reference")
    nothing = one(flips(0, "before"), flips(0, "now"))
    assert (nothing.ratio, nothing.ci, nothing.told_apart) == (None, None, None)
    assert nothing.reason.startswith("neither the variant now nor the variant before differs")


def test_below_the_floor_there_is_a_limit(make, some):
    runs = [make(key=key).add(x, form="distance").run() for key, x in (("a", some), ("b", 1e-9 * some))]
    for results, _ in runs:
        results.cells[0].values["figure"].numerical_floor = 1e-6
    (found,) = run_ratios(*runs[0], *runs[1])
    assert found.ratio is None
    assert found.ci is not None
    assert found.ci[0] is None
    assert found.ci[1] == pytest.approx(1e-6 / some.mean(), rel=0.3)
    assert found.told_apart is True
    assert found.reason.startswith("the variant now does not differ")


@pytest.mark.parametrize(
    ("then", "now", "reason"),
    [
        ({}, {"version": 2}, "another value of the metric's version"),
        ({}, {"power": 2}, "the change is defined in another way"),
        ({}, {"data": "e" * 64}, "another value of the evaluation data"),
        (
            {"integer_sums": "exact"},
            {"integer_sums": "saturating"},
            "8-bit products were summed in another way (exact before, saturating now)",
        ),
    ],
)
def test_what_cannot_be_compared_has_its_reason(make, some, then, now, reason):
    runs = [make(key=key).add(some, form="distance", **more) for key, more in (("a", then), ("b", now))]
    found = one(*runs)
    assert (found.ratio, found.ci, found.told_apart, found.reason) == (None, None, None, reason)


def test_another_reference_or_other_samples(make, some):
    before = make().add(some, form="distance")
    other = one(before, make(key="b", reference="s" * 64).add(some, form="distance"))
    assert other.reason == "another value of the reference network"
    fewer = one(before, make(key="b").add(some[:100], form="distance"))
    assert fewer.reason == "another value of the number of samples"


def test_yardsticks_need_not_be_the_same(make, some):
    runs = [make(key=key).add(some, form="distance", yardsticks=given).run() for key, given in (("a", ()), ("b", (1,)))]
    runs[1][1].cells[next(iter(runs[1][1].cells))].identity["yardsticks"] = "others"
    (found,) = run_ratios(*runs[0], *runs[1])
    assert found.ratio == 1


def test_cells_of_one_run_alone_and_skipped_ones(make, some):
    before = make().add(some, form="distance").add(some, variant="gone", form="distance")
    after = make(key="b").add(some, form="distance", status="skipped", reason="no gradient")
    after.add(some, variant="new", form="distance")
    assert [(item.variant, item.reason) for item in told(before, after)] == [
        ("gone", "not in the later run"),
        ("new", "not in the earlier run"),
        ("v", "skipped in the later run: no gradient"),
    ]
    runs = before.run(), make(key="b").add(some, form="distance").run()
    runs[1][1].cells.clear()
    assert run_ratios(*runs[0], *runs[1])[1].reason == "the distances of the variant now were not kept"


def test_what_is_no_change_is_not_listed(make, outcomes):
    assert told(make().add(outcomes(9)), make(key="b").add(outcomes(8))) == []


def test_no_verdict_changes_through_it(make, some):
    before, after = (make(key=key).add(x, form="distance").run() for key, x in (("a", some), ("b", 9 * some)))
    judged = conclude(after[0], judge_baseline(*after, baseline_of(*before)), "before")
    ratios = run_ratios(*before, *after)
    assert ratios[0].told_apart
    assert judged.model_copy(update={"ratios": ratios}).exit_code == judged.exit_code
