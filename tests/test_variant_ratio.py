"""Two changes beside each other, as results hold them: figures, limits alone, and reasons."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.results import Cell, RatioFigures, ValueResult
from bench.stats.change import change
from bench.stats.ratio import count_ratio
from bench.stats.resampling import Resamples
from bench.stats.tail import tail_contributions
from bench.store.samples import CellSamples, ValueSamples
from bench.variant_ratio import NO_TAIL, Side, ratio_figures, vectors_of

N = 200


def side(
    name: str,
    x: NDArray[Any],
    *,
    floor: float = 0.0,
    power: Any = 2,
    form: Any = "distance",
    rows: Any = None,
    **more: Any,
) -> Side:
    found = change(x, Resamples(x.size), count=form == "count")
    ends = more.pop("ci", found.interval[:2])
    value = ValueResult(kind="change", power=power, estimate=found.estimate, ci=ends, numerical_floor=floor)
    cell = Cell(variant=name, target="torch", metric="m", family="fidelity", n=N, status="ok", values={"js": value})
    arrays = {"x": x} if rows is None else {"x": x, "rows": rows}
    identity = {"data": "d", "reference": "r", "version": 1, "n": N, **more}
    kept = {"js": ValueSamples(form, arrays, power=power)}
    return Side(name, cell, CellSamples("k", "net", identity, "m", kept))


@pytest.fixture
def some() -> NDArray[Any]:
    return np.random.default_rng(0).gamma(2, 1, N)


def told(*sides: Side) -> RatioFigures:
    return ratio_figures("js", *sides)


def test_a_variant_four_times_as_far_on_every_sample(some: NDArray[Any]) -> None:
    """In closed form: the root of 4 in every resample, so the interval is that one number."""
    found = told(side("far", 4 * some), side("near", some))
    assert found.ratio == pytest.approx(2)
    assert found.ci == pytest.approx((2, 2))
    assert (found.told_apart, found.power, found.n, found.interval, found.reason) == (True, 2, N, "bootstrap", "")
    assert found.resolution == 1e-6


def test_equal_variants_are_not_told_apart(some: NDArray[Any]) -> None:
    found = told(side("a", some), side("b", some.copy()))
    assert (found.ratio, found.ci, found.told_apart) == (1, (1, 1), False)


def test_the_interval_is_that_of_an_independent_bootstrap() -> None:
    """Samples drawn by index with a generator of its own: the same ends, but for the bootstrap's error and n."""
    random = np.random.default_rng(3)
    difficulty = random.gamma(2, 1, N)
    first, second = (difficulty * random.gamma(3, scale, N) for scale in (0.4, 0.3))
    found = told(side("first", first), side("second", second))
    index = random.integers(N, size=(20_000, N))
    low, high = np.quantile(np.sqrt(first[index].mean(axis=1) / second[index].mean(axis=1)), [0.025, 0.975])
    assert found.ratio == pytest.approx(sqrt(first.mean() / second.mean()))
    assert found.ci is not None
    assert found.ci == pytest.approx((low, high), abs=0.1 * (high - low))
    assert found.told_apart is (found.ci[0] > 1)


def test_a_difference_that_arithmetic_explains_tells_nobody_apart(some: NDArray[Any]) -> None:
    """Both far from the floor, and nearer to each other than it: 2 (1e-8 / 1)^(1/2) is 0.02 %."""
    scaled = some / some.mean()
    found = told(side("a", 1.0002 * scaled, floor=1e-8), side("b", scaled, floor=1e-9))
    assert found.ratio == pytest.approx(sqrt(1.0002))
    assert found.resolution == pytest.approx(2e-4)
    assert found.told_apart is False
    assert told(side("a", 1.001 * scaled, floor=1e-8), side("b", scaled)).told_apart is True


def test_near_the_floor_there_is_one_limit_or_nothing(some: NDArray[Any]) -> None:
    found = told(side("far", some, floor=1e-7), side("noise", 1e-8 * some, floor=1e-6))
    assert (found.ratio, found.resolution) == (None, None)
    low = change(some, Resamples(N)).interval.low
    assert low is not None
    assert found.ci is not None
    assert found.ci == (pytest.approx(sqrt(low / 1e-6)), None)
    assert found.told_apart is True
    assert (
        found.reason == "noise does not differ from the reference beyond the numerical floor 1e-06: a lower limit only"
    )
    both = told(side("this", 1e-9 * some, floor=1e-6), side("noise", 1e-8 * some))
    assert (both.ratio, both.ci, both.told_apart) == (None, None, None)
    assert both.reason == "neither this nor noise differs from the reference beyond the numerical floor 1e-06"


def test_few_flips_give_a_wide_interval_one_limit_or_nothing() -> None:
    def flips(*which: int) -> NDArray[Any]:
        events = np.zeros(N)
        events[list(which)] = 1
        return events

    def counted(*which: int) -> Side:
        return side("x" * len(which) or "none", flips(*which), form="count", power=1)

    found = told(counted(0, 1, 2), counted(2))
    assert found.ratio == pytest.approx(3)
    assert found.ci == pytest.approx(count_ratio(flips(0, 1, 2), flips(2))[:2])
    assert (found.interval, found.told_apart) == ("score", False)
    alone = told(counted(*range(12)), counted())
    assert (alone.ratio, alone.interval, alone.told_apart) == (None, "score", True)
    assert alone.ci == (pytest.approx(count_ratio(flips(*range(12)), flips()).low), None)
    assert "none does not differ" in alone.reason
    nothing = told(counted(), counted())
    assert (nothing.ratio, nothing.ci, nothing.told_apart) == (None, None, None)


def test_few_distances_give_no_interval(some: NDArray[Any]) -> None:
    few = np.r_[some[:9], np.zeros(N - 9)]
    found = told(side("far", some), side("sparse", few))
    assert found.reason == "sparse differs in 9 samples; an interval needs 10"
    assert (found.ci, found.interval, found.told_apart) == (None, "none", None)
    assert found.ratio == pytest.approx(sqrt(some.mean() / few.mean()))


def test_a_change_without_an_interval_gives_none_to_its_ratio(some: NDArray[Any]) -> None:
    """As the mean of the worst 5 % below 360 samples."""
    found = told(side("far", 4 * some), side("near", some, ci=None))
    assert (found.ratio, found.ci, found.told_apart) == (pytest.approx(2), None, None)
    assert found.reason == "of near the change has no interval at this many samples"


def test_tails_have_a_ratio_and_no_interval(some: NDArray[Any]) -> None:
    """Percentiles of the log-ratio cover 90 to 96 % of them."""
    tails = tail_contributions(4 * some), tail_contributions(some)
    found = told(side("far", tails[0]), side("near", tails[1]))
    assert (found.ratio, found.ci, found.told_apart, found.reason) == (pytest.approx(2), None, None, NO_TAIL)
    sparse = np.r_[np.zeros(2 * N), some[:15]]  # a tail that holds every distance is their mean
    assert told(side("far", tail_contributions(4 * sparse)), side("near", tail_contributions(sparse))).ci is not None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"data": "e"}, "another value of the evaluation data"),
        ({"reference": "s", "version": 2}, "another value of the reference network, the metric's version"),
        ({"power": 1}, "the change is defined in another way"),
        ({"rows": np.arange(N)}, "other samples count"),
    ],
)
def test_what_cannot_be_compared_has_its_reason(some: NDArray[Any], other: dict[str, Any], reason: str) -> None:
    found = told(side("a", some), side("b", some, **other))
    assert found == RatioFigures(value="js", reason=reason)


def test_masked_samples_are_compared_where_they_are_the_same(some: NDArray[Any]) -> None:
    rows = np.arange(150)
    assert told(side("a", 4 * some[:150], rows=rows), side("b", some[:150], rows=rows.copy())).n == 150
    assert told(side("a", some[:150], rows=rows), side("b", some[:150], rows=rows + 1)).reason == "other samples count"


def test_distances_that_were_not_kept(some: NDArray[Any]) -> None:
    lost = side("b", some)._replace(samples=None)
    assert told(side("a", some), lost).reason == "the distances of b were not kept"
    assert vectors_of("js", [(side("a", some), lost)]) == []


def test_one_pass_gives_the_same_figures(some: NDArray[Any]) -> None:
    far, near = side("far", some**2), side("near", some)
    known = Resamples(N).ahead(vectors_of("js", [(far, near)]))
    assert ratio_figures("js", far, near, known) == told(far, near)
