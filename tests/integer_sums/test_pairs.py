"""Pairs of 8-bit products against closed forms, every pair of codes there is, and plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.integer_sums.pairs import HIGHEST, LOWEST, can_saturate, in_pairs, kernel_matrix, saturating_sums
from tests.integer_sums.by_hand import summed


def test_neighbours_along_the_reduction_are_a_pair():
    whole = in_pairs(np.arange(8).reshape(4, 2))
    assert whole.tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    odd = in_pairs(np.int8([[1, 2], [3, 4], [5, 6]]))
    assert odd.dtype == np.int64
    assert odd.tolist() == [[[1, 2], [3, 4]], [[5, 6], [0, 0]]]
    assert in_pairs(np.zeros((0, 3), np.int8)).shape == (0, 2, 3)


EVERY = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128), indexing="ij")).reshape(2, -1)


def test_weights_of_129_together_can_saturate_and_smaller_ones_cannot():
    """The rule, for every pair of weights: 255 · 128 still fits 16 bits, 255 · 129 does not."""
    found = can_saturate(EVERY)[0]
    above, below = EVERY.clip(min=0).sum(0), EVERY.clip(max=0).sum(0)
    np.testing.assert_array_equal(found, (above >= 129) | (below <= -129))
    for pair, able in (
        ((64, 64), False),
        ((64, 65), True),
        ((-64, -64), False),
        ((-64, -65), True),
        ((127, -128), False),
    ):
        assert can_saturate(np.array(pair)[:, None]).item() == able
    assert not can_saturate(np.int8([[127], [1], [-128]])).any()  # an odd last one stands alone


@pytest.mark.parametrize("codes", [(0, 255), (-128, 127)])
def test_a_pair_can_saturate_where_some_activations_drive_it_out(codes):
    """Signed activations stand beside unsigned weights."""
    weights = EVERY if codes == (0, 255) else EVERY + 128
    reach = [a * weights[0] + b * weights[1] for a in codes for b in codes]
    expected = (np.max(reach, axis=0) > 32767) | (np.min(reach, axis=0) < -32768)
    np.testing.assert_array_equal(can_saturate(weights, codes)[0], expected)
    assert 0.1 < expected.mean() < 0.9


def test_a_pair_alone_is_cut_off_at_16_bits():
    assert (LOWEST, HIGHEST) == (-32768, 32767)

    def sums(a, w):
        return saturating_sums(np.array([a]), np.array(w)[:, None]).item()

    assert sums([255, 255], [127, 127]) == 32767  # not 64,770
    assert sums([255, 255], [-128, -128]) == -32768
    assert sums([255, 255], [64, 64]) == 32640
    assert sums([253, 106], [127, 6]) == 32767  # as it is
    assert sums([255], [127]) == 255 * 127
    assert sums([], []) == 0
    assert sums([255, 255, 255, 255], [127, 127, -128, -128]) == -1  # and their sum in 32 bits
    assert sums([255, 255, 255, 255], [127, -128, 127, -128]) == -510  # the order decides
    assert sums([255] * 3, [127] * 3) == 32767 + 32385


def plainly(a, w):
    """Loops over numbers, nothing else."""
    out = []
    for row in a:
        out.append([])
        for column in zip(*w, strict=True):
            total = 0
            for k in range(0, len(row), 2):
                pair = row[k] * column[k]
                if k + 1 < len(row):
                    pair += row[k + 1] * column[k + 1]
                total += min(max(pair, -32768), 32767)
            out[-1].append(total)
    return out


def matrices(low, high, rows, columns):
    numbers = st.one_of(st.integers(low, high), st.sampled_from([low, low + 1, high - 1, high]))
    return st.lists(st.lists(numbers, min_size=columns, max_size=columns), min_size=rows, max_size=rows)


@given(st.data(), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_sums_are_those_of_plain_loops(data, size, rows, columns, signed):
    """Also the tests' own sums by hand; wherever no pair can saturate, the sums are the exact ones."""
    a_limits, w_limits = ((-128, 127), (0, 255)) if signed else ((0, 255), (-128, 127))
    a = data.draw(matrices(*a_limits, rows, size))
    w = data.draw(matrices(*w_limits, size, columns))
    found = saturating_sums(np.array(a), np.array(w))
    assert found.dtype == np.int64
    assert found.tolist() == plainly(a, w)
    assert summed("saturating", np.array(a), np.array(w)).tolist() == plainly(a, w)
    exact = np.array(a) @ np.array(w)
    assert summed("exact", np.array(a), np.array(w)).tolist() == exact.tolist()
    safe = ~can_saturate(np.array(w), a_limits).any(0)
    np.testing.assert_array_equal(found[:, safe], exact[:, safe])


@given(st.data(), st.integers(1, 7))
def test_codes_of_narrow_types_do_not_wrap(data, size):
    a = np.array(data.draw(matrices(0, 255, 2, size)), np.uint8)
    w = np.array(data.draw(matrices(-128, 127, size, 2)), np.int8)
    assert saturating_sums(a, w).tolist() == plainly(a.tolist(), w.tolist())


@pytest.mark.parametrize("shape", [(4, 3, 2, 5), (4, 3, 5), (2, 1, 3, 3), (3, 2, 2, 1, 3)])
def test_a_kernel_is_read_channel_by_channel_or_pixel_by_pixel(shape):
    weights = np.arange(np.prod(shape)).reshape(shape)
    outputs, channels, *kernel = shape
    for channel_first in (False, True):
        matrix = kernel_matrix(weights, channel_first=channel_first)
        assert matrix.shape == (weights[0].size, outputs)
        places = list(np.ndindex(*kernel))
        read = (
            [(channel, *place) for channel in range(channels) for place in places]
            if channel_first
            else [(channel, *place) for place in places for channel in range(channels)]
        )
        for output in range(outputs):
            assert matrix[:, output].tolist() == [weights[(output, *where)] for where in read]
