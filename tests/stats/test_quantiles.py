"""The laws' quantiles against scipy.stats."""

from __future__ import annotations

import subprocess
import sys

import pytest
from scipy import stats

from bench.stats.quantiles import contracted_tail, expanded_tail, normal_quantile, normal_survival, t_quantile


def test_against_scipy_stats() -> None:
    for p in (0.001, 0.025, 0.5, 0.975):
        assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), abs=1e-9)
        for freedom in (1, 3, 30):
            assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-9, abs=1e-9)
    assert normal_survival(1.3) == pytest.approx(stats.norm.sf(1.3))


def test_expanded_tail_makes_a_normal_bootstrap_as_wide_as_student() -> None:
    n = 12
    tail = expanded_tail(0.025, n)
    plug_in = ((n - 1) / n) ** 0.5  # standard error that resampling sees
    assert plug_in * stats.norm.ppf(1 - tail) == pytest.approx(stats.t.ppf(0.975, n - 1))
    assert contracted_tail(tail, n) == pytest.approx(0.025)
    assert expanded_tail(0.025, None) == expanded_tail(0.025, 1) == contracted_tail(0.025, None) == 0.025


def test_statistics_import_neither_torch_nor_scipy() -> None:
    modules = "alarm, change, gap, harm, interval, mann_whitney, multiplicity, percentile, power, proportions, ratio"
    modules += ", resampling, scope, yardstick"
    code = (
        f"import sys\nfrom bench.stats import {modules}\nassert not {{'torch', 'scipy', 'sklearn'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
