from __future__ import annotations

import numpy as np
import pytest

from bench.functional.occlusion import occlusion_map, uncovered, window_corners, window_starts


@pytest.mark.parametrize(("length", "window", "stride"), [(28, 4, 2), (8, 3, 3), (7, 7, 1), (9, 4, 3), (5, 1, 1)])
def test_every_place_is_covered_and_no_window_leaves_the_axis(length: int, window: int, stride: int) -> None:
    starts = window_starts(length, window, stride)
    assert starts == sorted(set(starts))
    assert max(starts) + window == length
    assert {start + step for start in starts for step in range(window)} == set(range(length))


def test_an_additive_function_is_attributed_in_closed_form() -> None:
    """The fall under a window is the sum of what it covers; a place gets the mean over its windows."""
    x = np.random.default_rng(0).normal(size=(6, 5))

    def explained(window: int) -> np.ndarray:
        corners = window_corners(x.shape, window, stride=1)
        covered = (x * uncovered(x.shape, corners, window)).sum(axis=(1, 2))
        return occlusion_map(x.shape, corners, window, x.sum(), covered)

    found = explained(2)
    for row, column in ((0, 0), (0, 2), (3, 2), (5, 4)):
        sums = [
            x[i : i + 2, j : j + 2].sum()
            for i in (row - 1, row)
            for j in (column - 1, column)
            if 0 <= i <= 4 and 0 <= j <= 3
        ]
        np.testing.assert_allclose(found[row, column], np.mean(sums))
    np.testing.assert_allclose(explained(1), x)


@pytest.mark.parametrize(("window", "stride", "said"), [(9, 1, "9 does not fit an axis of 8"), (2, 3, "leaves gaps")])
def test_windows_that_do_not_fit_are_refused(window: int, stride: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        window_corners((8, 12), window, stride)
