from __future__ import annotations

import numpy as np
import pytest

from bench.functional.batches import fixed_batches


@pytest.mark.parametrize("n", [1, 4, 5, 8, 13])
def test_every_row_comes_once_in_batches_of_one_size(n: int) -> None:
    batches = list(fixed_batches(n, 4))
    assert {len(batch.rows) for batch in batches} == {4}
    wanted = np.concatenate([batch.rows[: batch.wanted] for batch in batches])
    np.testing.assert_array_equal(wanted, np.arange(n))
    assert all(batch.rows.max() < n for batch in batches)
