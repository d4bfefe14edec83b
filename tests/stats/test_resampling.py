"""Resamples as a stream of counts, and what is summed under them."""

from __future__ import annotations

import hashlib
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.stats import resampling
from bench.stats.kept_draws import KeptDraws
from bench.stats.resampling import Counts, Resamples, resampled_means


def _matrix(resamples: Resamples) -> NDArray[np.float64]:
    return np.concatenate([block.astype(np.float64) for block in resamples.blocks()])


@pytest.mark.parametrize(
    ("n", "draws", "seed", "content"),
    [
        (1, 100, 0, "1115e762552ae9c1"),
        (2, 1000, 0, "1afa28c9617a94c7"),
        (7, 10_000, 0, "36e91f24e17d5233"),
        (360, 10_000, 0, "3e87cc244ae157e1"),
        (900, 10_000, 0, "6cddc4beda6d7094"),
        (1000, 500, 3, "f94b84d2301cea8e"),
        (50_000, 60, 0, "8664388362391d3d"),
        (1_200_000, 3, 0, "28d28f6f587d0e58"),
    ],
)
def test_counts_never_change(n: int, draws: int, seed: int, content: str) -> None:
    """Stored intervals stay what they are: the first digits of the hashes of the counts of version 0.1."""
    rows = hashlib.sha256()
    for block in Resamples(n, draws, seed).blocks():
        assert block.dtype == np.uint8
        rows.update(block.astype(np.uint16).tobytes())
    assert rows.hexdigest()[:16] == content


def test_counts_are_multinomial() -> None:
    weights = _matrix(Resamples(50, 4000, seed=3))
    assert weights.shape == (4000, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert np.abs(weights.mean(axis=0) - 1).max() < 5 * np.sqrt(0.98 / 4000)
    assert weights.var(axis=0).mean() == pytest.approx(0.98, rel=0.02)  # n p (1 - p) with p = 1/50
    assert np.corrcoef(weights[:, 0], weights[:, 1])[0, 1] == pytest.approx(-1 / 49, abs=0.06)


def test_resamples_are_shared_and_seeded_and_what_is_kept_cannot_be_spoilt() -> None:
    first = Resamples(20, 100)
    assert first == Resamples(20, 100) != Resamples(20, 100, 1)
    assert not np.array_equal(_matrix(Resamples(20, 100, 1)), _matrix(first))
    before = _matrix(first)
    next(first.blocks())[:] = 7  # a block is the caller's own
    with pytest.raises(ValueError, match="read-only"):
        first.statistic(lambda weights: weights.fill(7))
    assert np.array_equal(_matrix(first), before)
    state = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    _matrix(Resamples(20, 100, 5))
    assert np.array_equal(np.random.get_state()[1], state)  # type: ignore[index]


@pytest.mark.parametrize("n", [30, 9001])
@pytest.mark.parametrize("draws", [64, 65])
def test_nothing_depends_on_the_size_of_a_block(n: int, draws: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).lognormal(size=(2, n))
    found = []
    for size in (2**17, 32 * n, 1):
        monkeypatch.setattr(resampling, "BLOCK", size)
        resampling._kept_blocks.cache_clear()
        resamples = Resamples(n, draws, seed=1)  # never kept
        found.append((_matrix(resamples), resamples.means(values), Resamples(n, draws, seed=1).means(values[1])))
    for weights, means, alone in found:
        assert np.array_equal(weights, found[0][0])
        assert np.array_equal(means, found[0][1])
        assert np.array_equal(means[1], alone)
    assert np.allclose(found[0][1], values @ found[0][0].T / n)


def test_means_are_the_same_whether_counts_are_kept_or_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).lognormal(size=(2, 360))
    kept_as_float = Resamples(360, 400).means(values)
    for name in ("KEPT_AS_FLOAT", "KEPT"):
        monkeypatch.setattr(resampling, name, 0)
        resampling._kept_blocks.cache_clear()
        assert np.array_equal(Resamples(360, 400).means(values), kept_as_float)
    resampling._kept_blocks.cache_clear()


def test_a_count_above_255_is_held() -> None:
    counts = np.zeros((2, 300), dtype=np.int64)
    counts[0, 3], counts[1, :] = 300, 1
    narrowed = resampling._narrowed(counts)
    assert narrowed.tolist() == counts.tolist()
    assert resampling._narrowed(counts[1:]).dtype == np.uint8
    assert Resamples(1, 5).means(np.array([0.3])).tolist() == [0.3] * 5  # of one sample: drawn once each time


def test_a_pass_over_many_samples_holds_no_matrix() -> None:
    n, draws = 50_000, 400
    values = np.random.default_rng(2).lognormal(size=n)
    Resamples(n, 2).means(values)
    tracemalloc.start()
    try:
        Resamples(n, draws, seed=1).means(values)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < n * draws  # not even a byte a count


def test_one_pass_answers_all_that_was_asked_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    drawn = resampling._drawn

    def counted(*place: int) -> object:
        passes.append(place)
        return drawn(*place)

    monkeypatch.setattr(resampling, "_drawn", counted)
    random, plain = np.random.default_rng(3), Resamples(60, 50, seed=1)
    table, other, arrays = random.normal(size=(3, 60)), random.normal(size=60), {"x": random.normal(size=60)}

    def squares(arrays: dict[str, NDArray[np.float64]], weights: Counts) -> NDArray[np.float64]:
        return resampled_means(arrays["x"] ** 2, weights)

    wanted = plain.means(table), plain.means(other), plain.statistic(squares, arrays)
    passes.clear()
    known = plain.ahead([table, other, other], [(squares, arrays)])
    assert known == plain
    found = known.means(table), known.means(other.copy()), known.statistic(squares, {"x": arrays["x"].copy()})
    assert len(passes) == 1
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
    found[1][:] = 0  # an answer is the caller's own
    assert np.array_equal(known.means(other), wanted[1])
    assert np.array_equal(known.means(np.stack([other, -other])), plain.means(np.stack([other, -other])))  # one unknown
    assert np.array_equal(known.statistic(squares, {"x": other}), plain.statistic(squares, {"x": other}))
    assert known.ahead([other]) is known


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        Resamples(0, 10)
    with pytest.raises(ValueError, match="nothing to draw"):
        Resamples(10, 0)


def test_means_of_one_and_of_many_and_without_events() -> None:
    weights = np.array([[2.0, 0, 1], [0, 3, 0]])
    for means in (Resamples.of(weights).means, lambda values: resampled_means(values, weights)):
        assert means(np.array([1.0, 10, 4])).tolist() == [2.0, 10.0]
        assert means(np.array([[1.0, 10, 4], [1, 0, 1]])).tolist() == [[2.0, 10.0], [1.0, 0.0]]
        with pytest.raises(ValueError, match="4 values"):
            means(np.ones(4))


def test_given_weights_sum_to_the_samples() -> None:
    assert next(Resamples.of(np.ones((2, 3))).blocks()).tolist() == [[1.0] * 3] * 2
    for wrong in (np.ones(3), np.ones((2, 3)) * 2, np.full((1, 2), np.nan)):
        with pytest.raises(ValueError, match="sum to the samples"):
            Resamples.of(wrong)


def test_what_is_kept_between_two_askers_changes_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found again only for the same numbers under the same resamples; what is found cannot be spoilt."""
    rows = np.random.default_rng(0).random((3, 40))
    plain = Resamples(40, 200).means(rows)
    passes: list[int] = []
    original = Resamples._pass

    def counted(self: Resamples, table: NDArray[np.float64], *more: object) -> object:
        passes.append(len(table))
        return original(self, table, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(resampling, "KEPT_DRAWS", KeptDraws())
    monkeypatch.setattr(Resamples, "_pass", counted)
    for asked in (rows[:2], rows, rows):
        assert np.array_equal(Resamples(40, 200).ahead([asked]).means(asked), plain[: len(asked)])
    assert passes == [2, 1]
    found = Resamples(40, 200).ahead([rows])._known
    assert all(not draws.flags.writeable for draws in found.values())
    for other in (Resamples(40, 100), Resamples(40, 200, 1), Resamples.of(np.ones((200, 40)))):
        assert np.array_equal(other.ahead([rows]).means(rows), other.means(rows))
    assert not np.array_equal(Resamples(40, 200, 1).ahead([rows]).means(rows), plain)
