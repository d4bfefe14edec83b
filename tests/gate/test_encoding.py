import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.gate.encoding import decode, encode

NUMBERS = arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e30, 1e30, allow_nan=False))


@given(arrays.arrays(np.uint8, st.integers(1, 100), elements=st.integers(0, 1)))
def test_outcomes_come_back_as_they_were(outcomes):
    assert decode(encode(outcomes)).tolist() == outcomes.tolist()


@given(NUMBERS)
def test_numbers_move_by_less_than_a_two_thousandth_of_themselves(numbers):
    moved = np.abs(decode(encode(numbers)) - numbers)
    assert (moved <= np.abs(numbers) / 2047 + np.abs(numbers).max() * 2.0**-38).all()


def test_a_mean_moves_far_less_than_its_interval_is_wide():
    numbers = np.random.default_rng(0).exponential(size=900)
    moved = abs(decode(encode(numbers)).mean() - numbers.mean())
    assert moved < 1e-3 * 4 * numbers.std() / 30


def test_shapes_and_whole_numbers_stay():
    table = np.arange(12).reshape(3, 4)
    assert decode(encode(table)).tolist() == table.tolist()
    exact = decode(encode(np.array([0.99999, 0.5]), exact=True))
    assert exact == pytest.approx([0.99999, 0.5], abs=1e-7)


def test_it_is_compact():
    outcomes = np.random.default_rng(0).random(900) < 0.03
    assert len(encode(outcomes)) < 160
    assert len(encode(np.random.default_rng(0).random(900))) < 2600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bits:8:0",
        "bits:8:0:!!!!",
        "f99:1:0:eNoDAAAAAAE=",
        f"f16:9:0:{base64.b64encode(zlib.compress(b'ab')).decode()}",
        f"bits:99999999999:0:{base64.b64encode(zlib.compress(b'ab')).decode()}",
        f"bits:8:0:{base64.b64encode(zlib.compress(b'ab')).decode()}",
        f"f16:1:0:{base64.b64encode(zlib.compress(b'a' * 10**6)).decode()}",
        encode(np.array([0.1, 0.2])).replace("f16:2:17", f"f16:2:{'9' * 30}"),
        encode(np.array([0.1, 0.2])).replace("f16:2:17", "f16:2:-5000"),
        f"f32:1:0:{base64.b64encode(zlib.compress(np.array([np.nan], '<f4').tobytes())).decode()}",
    ],
)
def test_damaged_text_is_refused(text):
    with pytest.raises(ValueError, match="a damaged array"):
        decode(text)
