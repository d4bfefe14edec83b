"""How often the resamples are drawn: once a question, and once for many that are asked ahead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.stats import resampling
from bench.stats.change import added_change, change_and_draws
from bench.stats.figure import mean_figure
from bench.stats.gap import gap, gap_on
from bench.stats.mean import change_vectors
from bench.stats.ratio import count_ratio, paired_ratio, ratio_vectors
from bench.stats.resampling import Resamples
from bench.stats.yardstick import scale_of

N = 120
RANDOM = np.random.default_rng(0)
DENSE, SPARSE = RANDOM.gamma(1, 1, (6, N)), RANDOM.gamma(1, 1, (6, N)) * (RANDOM.random((6, N)) < 0.3)
EVENTS = (RANDOM.random((6, N)) < 0.2).astype(float)
FURTHER = Resamples(N, 40, seed=1)  # never kept


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    drawn = resampling._drawn

    def counted(n: int, *more: int) -> object:
        found.append(n)
        return drawn(n, *more)

    monkeypatch.setattr(resampling, "_drawn", counted)
    return found


@pytest.mark.parametrize(
    "ask",
    [
        lambda: change_and_draws(DENSE[0], FURTHER),
        lambda: change_and_draws(SPARSE[0], FURTHER),
        lambda: change_and_draws(EVENTS[0], FURTHER, count=True),
        lambda: mean_figure(DENSE[0], FURTHER),
        lambda: scale_of(SPARSE[1:], FURTHER),
        lambda: gap(DENSE[0], DENSE[1:], FURTHER, power=2),
        lambda: gap(EVENTS[0], EVENTS[1:], FURTHER, power=1, count=True),
        lambda: paired_ratio(DENSE[0], DENSE[1], FURTHER, power=2),
        lambda: paired_ratio(DENSE[0], SPARSE[0], FURTHER, power=2),
        lambda: added_change(DENSE[0], DENSE[0] + EVENTS[0] * (np.arange(N) < 30), FURTHER),
    ],
)
def test_a_question_takes_one_pass(ask: Callable[[], object], passes: list[int]) -> None:
    ask()
    assert len(passes) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda: change_and_draws(np.full(N, 2.0), FURTHER),
        lambda: count_ratio(EVENTS[0], EVENTS[1]),
        lambda: paired_ratio(EVENTS[0], EVENTS[1], FURTHER, power=1, count=True),
        lambda: mean_figure(EVENTS[0], FURTHER, proportion=True),
    ],
)
def test_what_is_exact_or_does_not_vary_takes_none(ask: Callable[[], object], passes: list[int]) -> None:
    ask()
    assert passes == []


def test_a_pair_takes_one_pass(passes: list[int]) -> None:
    vectors = [change_vectors(row) for row in (*DENSE, *SPARSE)]
    known = FURTHER.ahead([*vectors, ratio_vectors(DENSE[0], DENSE[1]), ratio_vectors(SPARSE[0], SPARSE[1])])
    for table in (DENSE, SPARSE):
        found = change_and_draws(table[0], known)
        gap_on(scale_of(table[1:], known), table[0], known, 2, known=found)
        paired_ratio(table[0], table[1], known, power=2)
    assert len(passes) == 1
