"""Sums under counts: rounded once, whatever the order, the processor and the number of threads."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bench.stats.exact_sums import add_weighted, exact_parts
from bench.stats.resampling import Resamples


def _numbers(n: int, seed: int) -> np.ndarray:
    """Numbers of both signs whose sizes lie within fifteen powers of ten."""
    random = np.random.default_rng(seed)
    return np.asarray(random.normal(size=n) * 10.0 ** random.integers(-12, 4, size=n))


@pytest.mark.parametrize("rows", [1, 2, 5])  # one row takes products with vectors, several one with a matrix
@pytest.mark.parametrize("n", [1, 2, 37, 900])
def test_each_sum_is_the_one_of_fractions_rounded_once(n: int, rows: int) -> None:
    table = np.stack([_numbers(n, row) for row in range(rows)])
    counts = np.concatenate([*Resamples(n, 12, seed=1).blocks()]).astype(np.float64)
    out = np.empty((rows, len(counts)))
    add_weighted(exact_parts(table), counts, out)
    for values, sums in zip(table, out, strict=True):
        numbers = [Fraction(float(value)) for value in values]
        wanted = [float(sum(int(count) * x for count, x in zip(row, numbers, strict=True))) for row in counts]
        assert sums.tolist() == wanted


def test_any_order_of_summing_gives_the_same() -> None:
    values = _numbers(5000, 0)
    counts = np.concatenate([*Resamples(5000, 4, seed=1).blocks()]).astype(np.float64)
    sums = np.empty((1, 4))
    add_weighted(exact_parts(values[None]), counts, sums)
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(5000)
        parts = exact_parts(values[order][None])
        one_by_one = np.cumsum(parts[:, None] * counts[:, order], axis=2)[..., -1].sum(axis=0)  # no product at all
        assert one_by_one.tolist() == sums[0].tolist()
    naive = {np.cumsum(values[p] * counts[0, p])[-1] for p in map(np.random.default_rng(9).permutation, [5000] * 20)}
    assert len(naive) > 1  # what a plain sum makes of these numbers


def test_parts_are_the_numbers_and_no_row_depends_on_another() -> None:
    table = np.stack([_numbers(100, 0), 1e200 * _numbers(100, 1), np.zeros(100)])
    parts = exact_parts(table)
    coarse, fine = parts[:3], parts[3:]
    left = np.abs((table - coarse) - fine).max(axis=1)
    assert (left <= np.abs(table).max(axis=1) * 100**2 * 2.0**-102).all()
    for row in range(3):
        assert np.array_equal(exact_parts(table[[row]]), parts[[row, row + 3]])
    with np.errstate(invalid="ignore"):
        spoilt = exact_parts(np.stack([table[0], np.full(100, np.nan)]))
    assert np.array_equal(spoilt[[0, 2]], parts[[0, 3]])


def test_a_pass_holds_blas_at_one_thread() -> None:
    """On a machine with other work, threads that wait for each other took twenty times as long."""
    seen = []

    def statistic(weights: np.ndarray) -> np.ndarray:
        seen.append(_blas_threads())
        return np.zeros(len(weights))

    with threadpool_limits(2, user_api="blas"):
        Resamples(10, 20, seed=1).statistic(statistic)
        assert _blas_threads() == {2}
    assert seen == [{1}]


def _blas_threads() -> set[int]:
    return {item["num_threads"] for item in threadpool_info() if item["user_api"] == "blas"}
