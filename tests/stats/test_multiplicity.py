"""Holm and max-t: by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.stats.multiplicity import holm, max_t_quantile


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.2])


def test_holm_holds_the_family_error() -> None:
    random = np.random.default_rng(0)
    shared = random.normal(size=(4000, 1))
    p_values = stats.norm.sf(np.sqrt(0.5) * shared + np.sqrt(0.5) * random.normal(size=(4000, 8)))
    p_values[:, :2] = 1e-9  # two true effects
    wrong = np.mean([min(holm(row.tolist())[2:]) <= 0.05 for row in p_values])
    assert wrong <= 0.05 + 2.33 * np.sqrt(0.05 * 0.95 / 4000)


def test_max_t_of_independent_normals() -> None:
    draws = np.random.default_rng(1).normal(size=(200_000, 5))
    assert max_t_quantile(draws) == pytest.approx(stats.norm.ppf(0.95 ** (1 / 5)), abs=0.02)
    copies = np.repeat(draws[:, :1], 5, axis=1)
    assert max_t_quantile(copies) == pytest.approx(1.645, abs=0.02)
