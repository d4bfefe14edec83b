from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.gate.kept_arrays import digest, kept, kept_value, restored
from bench.store.samples import ValueSamples, check_samples

NUMBERS = arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e300, 1e300, allow_nan=False))


@given(arrays.arrays(np.uint8, st.integers(1, 100), elements=st.integers(0, 1)))
def test_outcomes_come_back_as_they_were(outcomes: Any) -> None:
    assert kept(outcomes.astype(np.float64)).dtype == np.uint8
    assert kept(outcomes).tolist() == outcomes.tolist()


@given(NUMBERS)
def test_numbers_move_by_less_than_a_ten_millionth_of_themselves(numbers: Any) -> None:
    moved = np.abs(kept(numbers).astype(np.float64) - numbers)
    assert (moved <= np.abs(numbers) * 6.0e-8 + 1e-44).all()  # below: numbers that float32 holds with fewer digits
    assert np.isfinite(kept(numbers)).all()


@given(NUMBERS)
def test_keeping_again_changes_nothing(numbers: Any) -> None:
    again = kept(kept(numbers))
    assert again.tolist() == kept(numbers).tolist()


@pytest.mark.parametrize(("array", "dtype"), [(np.arange(4), "int64"), (np.array([1e-300, 0.5]), "float64")])
def test_whole_numbers_and_extremes_stay(array: Any, dtype: str) -> None:
    assert kept(array).dtype.name == dtype
    assert kept(array).tolist() == array.tolist()


def made(**more: Any) -> ValueSamples:
    return ValueSamples("mean", {"x": np.array([0.1, 0.2])}, {"x": np.array([0.3, 0.4])}, **more)


def test_the_references_arrays_are_kept_of_timings_alone() -> None:
    assert kept_value(made()).reference == {}
    rounds = ValueSamples("timing", {"x": np.array([0.1])}, {"x": np.array([0.2])})
    assert kept_value(rounds).reference["x"].tolist() == [pytest.approx(0.2)]
    check_samples(kept_value(rounds), 1)


def test_statistics_get_double_precision() -> None:
    found = restored(kept_value(made()))
    assert found.variant["x"].dtype == np.float64
    assert found.variant["x"] == pytest.approx([0.1, 0.2])


def test_the_digest_is_of_all_that_tells_two_measurements_apart() -> None:
    others = [
        made(better="lower"), made(power=2), made(log=True),
        ValueSamples("mean", {"x": np.array([0.2, 0.1])}), ValueSamples("distance", {"x": np.array([0.1, 0.2])}),
        ValueSamples("mean", {"y": np.array([0.1, 0.2])}), ValueSamples("mean", {"x": np.array([[0.1], [0.2]])}),
    ]  # fmt: skip
    digests = {digest(kept_value(item)) for item in [made(), *others]}
    assert len(digests) == len(others) + 1
    assert digest(kept_value(made())) == digest(kept_value(made()))
