"""Figures of errors: linear draws, and what is said where a network makes few."""

from __future__ import annotations

import numpy as np
import pytest

from bench.engine.derive import Derivation
from bench.engine.evidence import Evidence
from bench.metrics.error_statistic import ErrorStatistic
from bench.metrics.uncertainty.calibration_errors import CalibrationErrors
from bench.metrics.uncertainty.selective import Selective
from bench.stats.resampling import Resamples
from tests.metrics.test_debiased_harm import _Named as Named

VALUES = {value.name: value for metric in (Selective, CalibrationErrors) for value in metric.values}
OF_ERRORS = [value for value in VALUES.values() if isinstance(value, ErrorStatistic)]


def network(errors: int, seed: int, n: int = 200) -> Named:
    random = np.random.default_rng(seed)
    right = np.ones(n, dtype=np.uint8)
    right[:errors] = 0
    confidence = np.where(right == 1, random.beta(6, 1.5, n), random.beta(4, 2, n))
    return Named({"confidence": confidence, "correct": right}, f"{errors} {seed}")


def derived(value, first, second):
    return Derivation(500).value(value, Evidence([first], [second], [], None, 200)).result


@pytest.mark.parametrize("value", [value for value in OF_ERRORS if value.share == 1], ids=lambda value: value.name)
def test_nine_errors_have_a_figure_and_no_interval(value) -> None:
    few, enough, more = network(9, 0), network(10, 1), network(30, 2)
    assert derived(value, enough, more).ci is not None
    assert derived(value, enough, more).own_ci is not None
    for first, second in ((few, more), (more, few)):
        found = derived(value, first, second)
        assert found.estimate == pytest.approx(
            (found.variant - found.reference) * (1 if value.better == "lower" else -1)
        )
        assert found.ci is None
        assert found.p_value is None
        assert found.reason == "underpowered: 9 errors in 200 samples, 10 are needed"
    assert derived(value, more, few).own_ci is None


def test_the_risk_of_the_surest_stands_on_errors_among_them() -> None:
    """Thirty errors altogether, of which the surest 80 % hold nine or ten."""
    value, found = VALUES["risk_at_80"], []
    for inside in (9, 10):
        right = np.ones(200, dtype=np.uint8)
        right[:inside], right[-(30 - inside) :] = 0, 0
        confidence = np.linspace(0.99, 0.3, 200)
        found.append(Named({"confidence": confidence, "correct": right}, f"inside {inside}"))
    few, enough = found
    assert derived(value, enough, enough).ci == (0, 0)
    assert derived(value, few, enough).ci is None
    assert derived(value, few, enough).reason == "underpowered: 9 errors in 160 answers, 10 are needed"
    assert derived(value, enough, few).own_ci is None


@pytest.mark.parametrize("value", [value for value in OF_ERRORS if value.influence], ids=lambda value: value.name)
def test_linear_draws_are_about_the_figure_and_as_wide_as_resampled_ones(value) -> None:
    shown, resamples = network(60, 3), Resamples(200, 4000)
    draws = value.draws(shown, resamples)
    plain = resamples.statistic(value.figure, {name: shown[name] for name in ("confidence", "correct")})
    assert draws.mean() == pytest.approx(value.point(shown), abs=4 * draws.std() / 4000**0.5)
    assert draws.std() == pytest.approx(plain.std(), rel=0.1)
    assert np.corrcoef(draws, plain)[0, 1] > 0.98


def test_a_network_beside_itself_has_no_harm() -> None:
    shown = network(40, 4)
    for value in OF_ERRORS:
        found = derived(value, shown, shown)
        assert (found.estimate, found.ci, found.p_value) == (0, (0, 0), 1)


def test_influences_are_asked_where_they_are_known() -> None:
    with pytest.raises(TypeError, match="'resolution' has no influence function"):
        VALUES["resolution"].influences(network(20, 5))
