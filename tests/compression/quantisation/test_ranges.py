import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.compression.quantisation.ranges import Ranges, covering, least_squares, rounded

GRIDS = ("symmetric", "symmetric-narrow", "asymmetric")


def draw(seed, size=400):
    return np.random.default_rng(seed).standard_t(3, (1, size))


def error(x, ranges, bits, grid):
    return float(((x - rounded(x, ranges, bits, grid)) ** 2).sum())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), bits=st.integers(2, 8), grid=st.sampled_from(GRIDS))
def test_least_squares_is_never_worse_than_the_full_range(seed, bits, grid):
    x = draw(seed)
    full = covering(x.min(1), x.max(1))
    found = least_squares(x, np.ones_like(x), full, bits, grid)
    assert error(x, found, bits, grid) <= error(x, full, bits, grid)
    assert full.low <= found.low <= 0 <= found.high <= full.high
    for share in (0.3, 0.5, 0.77):
        assert error(x, found, bits, grid) <= error(x, Ranges(full.low * share, full.high * share), bits, grid) + 1e-9


def test_least_squares_finds_the_known_optimum_of_a_gaussian():
    """Three levels -s, 0, s: the least squared error of a unit Gaussian is at s = 1.224 (Max, 1960)."""
    x = np.sort(np.random.default_rng(0).standard_normal((1, 200_000)))
    full = covering(np.array([-5.0]), np.array([5.0]))
    found = least_squares(x[:, ::20], np.ones((1, 1)), full, 2, "symmetric-narrow")
    step = float(found.high[0])
    assert step == pytest.approx(1.224, abs=0.06)


def test_counts_weigh_like_repeats():
    x, counts = np.array([[0.1, 0.4, 3.0]]), np.array([[50, 7, 1]])
    full = covering(x.min(1), x.max(1))
    repeated = np.repeat(x, counts[0], axis=1)
    one = least_squares(x, counts, full, 3, "asymmetric")
    other = least_squares(repeated, np.ones_like(repeated), full, 3, "asymmetric")
    assert one == other
    assert one.high[0] < 3


@pytest.mark.parametrize("grid", GRIDS)
def test_integers_and_zero(grid):
    x = draw(1, 5000)
    for bits in (2, 4, 8):
        found = rounded(x, covering(x.min(1), x.max(1)), bits, grid)
        assert len(np.unique(found)) <= 2**bits - (grid == "symmetric-narrow")
    zero = rounded(np.zeros((1, 3)), covering(x.min(1), x.max(1)), 4, grid)
    assert (zero == 0).all()


@pytest.mark.parametrize("grid", GRIDS)
def test_rows_stand_alone_and_a_row_of_zeros_stays(grid):
    x = np.concatenate([draw(2), np.zeros((1, 400)), 10 * draw(3)])
    full = covering(x.min(1), x.max(1))
    found = least_squares(x, np.ones_like(x), full, 4, grid)
    alone = least_squares(x[2:], np.ones_like(x[2:]), covering(x[2:].min(1), x[2:].max(1)), 4, grid)
    assert (found.low[2], found.high[2]) == (alone.low[0], alone.high[0])
    assert np.isfinite(rounded(x, found, 4, grid)).all()
    assert (rounded(x, found, 4, grid)[1] == 0).all()
