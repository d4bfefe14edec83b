"""The family alarm: alone the gap's own limit, together wider, and its error by simulation."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, sqrt

import numpy as np
import pytest
from scipy import stats

from bench.stats.alarm import family_alarm
from bench.stats.gap import Gap, gap
from bench.stats.interval import NO_INTERVAL
from bench.stats.resampling import Resamples
from tests.stats.trials import trials

UNDEFINED = Gap(None, NO_INTERVAL, "there are no yardsticks")


def _family(
    random: np.random.Generator, resamples: Resamples, shared: float, spread: float, noise: float, k: int = 4
) -> list[Gap]:
    """Three metrics of one more network of the yardsticks' kind; ``shared``: correlation of everything over metrics."""
    networks = np.sqrt(shared) * random.normal(size=(k + 1, 1, 1))
    networks = networks + np.sqrt(1 - shared) * random.normal(size=(k + 1, 3, 1))
    difficulty = np.sqrt(shared) * random.normal(size=300) + np.sqrt(1 - shared) * random.normal(size=(3, 300))
    table = np.exp(spread * networks + noise * (difficulty + random.normal(size=(k + 1, 3, 300))))
    return [gap(table[0, i], table[1:, i], resamples, power=1) for i in range(3)]


def test_alone_it_is_the_gaps_one_sided_limit() -> None:
    resamples = Resamples(300, 10_000)
    found = _family(np.random.default_rng(0), resamples, 0.5, 0.4, 0.2)[0]  # type: ignore[arg-type]
    assert found.log_estimate is not None
    sampling = float(np.std(found.deviations))  # type: ignore[arg-type]
    wanted = exp(found.log_estimate - stats.t.ppf(0.975, 3) * sqrt(sampling**2 + found.spread**2 * 1.25))
    assert found.further == pytest.approx(wanted)
    assert family_alarm([found]).value == pytest.approx(wanted, rel=0.08)
    assert found.interval.low == pytest.approx(
        exp(found.log_estimate - stats.t.ppf(0.975, 3) * sqrt(sampling**2 + found.spread**2 / 4))
    )


def test_more_metrics_lower_every_limit_and_the_largest_is_named(resamples: Resamples) -> None:
    family = _family(np.random.default_rng(1), resamples, 0.5, 0.2, 0.3)
    together = family_alarm([UNDEFINED, *family])
    assert together.lower_limits[0] is None
    assert together.index is not None
    assert together.value == together.lower_limits[together.index] == max(together.lower_limits[1:])  # type: ignore[type-var]
    for alone, limit in zip(family, together.lower_limits[1:], strict=True):
        assert limit < family_alarm([alone]).value  # type: ignore[operator]


def test_without_a_lower_limit_there_is_no_alarm(resamples: Resamples) -> None:
    upper_only = gap(np.zeros(300), np.ones((4, 300)), resamples, power=1)
    found = family_alarm([UNDEFINED, upper_only])
    assert (found.value, found.index, found.lower_limits) == (None, None, (None, None))
    assert "lower limit" in found.reason
    assert family_alarm([]).value is None


def test_it_is_repeatable_and_power_two_is_the_root(resamples: Resamples) -> None:
    random = np.random.default_rng(2)
    variant, yardsticks = random.gamma(2, 2, 300), random.gamma(2, 1, (4, 300))
    one, two = (gap(variant, yardsticks, resamples, power=p) for p in (1, 2))  # type: ignore[arg-type]
    assert family_alarm([one]) == family_alarm([one])
    assert family_alarm([two]).value == pytest.approx(sqrt(family_alarm([one]).value))  # type: ignore[arg-type]


def test_equal_networks_have_exact_limits(resamples: Resamples) -> None:
    row = np.random.default_rng(3).gamma(2, 1, 300)
    assert family_alarm([gap(row, np.tile(row, (4, 1)), resamples, power=1)]).value == pytest.approx(1)


def test_gaps_of_other_resamples_are_refused(resamples: Resamples) -> None:
    random = np.random.default_rng(4)
    rows = random.gamma(2, 1, (5, 300))
    with pytest.raises(ValueError, match="same resamples"):
        family_alarm([gap(rows[0], rows[1:], Resamples(300, b), power=1) for b in (500, 400)])


@pytest.mark.parametrize(
    ("shared", "spread", "noise", "k"), [(0.0, 0.3, 0.05, 4), (0.8, 0.3, 0.3, 4), (0.0, 0.05, 0.4, 6)]
)
def test_alarms_of_a_further_retrained_network_are_at_most_2_5_percent(
    shared: float,
    spread: float,
    noise: float,
    k: int,
    resamples: Resamples,
    at_least: Callable[[int, int, float], bool],
) -> None:
    """Averaged over sets of yardsticks, one network of their own kind sounds the alarm in at most 2.5 %."""
    random = np.random.default_rng(round(10 * shared + 100 * spread))
    count = trials(600, 300)
    alarms = [family_alarm(_family(random, Resamples(300, 300), shared, spread, noise, k)) for _ in range(count)]
    quiet = sum(alarm.value <= 1 for alarm in alarms)  # type: ignore[operator]
    assert at_least(quiet, count, 0.975)


def test_plain_maximum_would_alarm_too_often(resamples: Resamples, at_least: Callable[..., bool]) -> None:
    """The reason for the simultaneous limits: the largest of three limits at 97.5 % each errs far above 2.5 %."""
    random = np.random.default_rng(30)
    count, quiet = trials(600, 300), 0
    for _ in range(count):
        family = _family(random, Resamples(300, 300), 0.0, 0.3, 0.05)
        quiet += max(family_alarm([found]).value for found in family) <= 1  # type: ignore[type-var, operator]
    assert not at_least(quiet, count, 0.975)
