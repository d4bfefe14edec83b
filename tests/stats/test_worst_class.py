"""The worst class: by hand, and coverage of the largest rate."""

from __future__ import annotations

import numpy as np
import pytest

from bench.stats.proportions import clopper_pearson
from bench.stats.worst_class import worst_class


def outcomes(*classes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Events and samples of each class."""
    events = np.concatenate([np.r_[np.ones(x), np.zeros(n - x)] for x, n in classes])
    return events, np.repeat(np.arange(len(classes)), [n for _, n in classes])


def test_by_hand() -> None:
    found = worst_class(*outcomes((2, 100), (6, 30), (1, 12)))
    assert (found.estimate, found.label, found.n, found.classes) == (0.2, 1, 30, 3)
    each = [clopper_pearson(x, n, 1 - 0.05 / 3) for x, n in ((2, 100), (6, 30), (1, 12))]
    assert found.interval == (each[1].low, each[2].high, "exact")  # the small class may be worse still
    assert found.interval.high > each[1].high  # type: ignore[operator]


def test_small_classes_are_left_out_and_named_where_none_is_left() -> None:
    found = worst_class(*outcomes((0, 10), (9, 9)))
    assert (found.estimate, found.label, found.classes) == (0.0, 0, 1)
    assert found.interval == clopper_pearson(0, 10)
    none = worst_class(*outcomes((3, 9), (0, 5)))
    assert (none.estimate, none.interval.method, none.label) == (None, "none", None)
    assert none.reason == "no class has 10 samples: the largest has 9"


def test_of_equal_rates_the_first_and_any_label() -> None:
    events, labels = outcomes((2, 20), (3, 30))
    assert worst_class(events, labels).label == 0
    assert worst_class(events[::-1], labels[::-1] + 7).label == 7


def test_what_is_no_outcome() -> None:
    with pytest.raises(ValueError, match="one label a sample"):
        worst_class(np.ones(12), np.zeros(11))
    with pytest.raises(ValueError, match="0 or 1"):
        worst_class(np.full(12, 0.5), np.zeros(12))


@pytest.mark.parametrize("rates", [[0.02] * 10, [0.01] * 9 + [0.2], [0.3], [0.05, 0.06, 0.07, 0.2, 0.21]])
@pytest.mark.parametrize("n", [36, 100])
def test_it_covers_at_least_95_percent(rates: list[float], n: int) -> None:
    random, trials, known = np.random.default_rng(n), 1000, {}
    hits = 0
    for counts in random.binomial(n, rates, (trials, len(rates))):
        key = tuple(sorted(counts.tolist()))
        if key not in known:
            known[key] = worst_class(*outcomes(*((x, n) for x in key))).interval
        low, high, _ = known[key]
        hits += low <= max(rates) <= high  # type: ignore[operator]
    assert hits / trials >= 0.95
