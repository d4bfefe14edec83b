"""Harm: closed forms, defects, and coverage of paired intervals by simulation."""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.stats.harm import harm, harm_of_proportions, harm_without_interval, seed_ratio
from bench.stats.proportions import PairedTable
from bench.stats.resampling import Resamples

Float = NDArray[np.float64]
Statistic = Callable[[Float, Float, Float], Float]  # values or logits of a network, labels, weights -> (B,)


def test_positive_is_worse_whatever_is_better() -> None:
    first, second = np.array([1.0, 2.0]), np.array([1.5, 2.5])
    lower = harm(1.5, 2.0, first, second, better="lower")
    higher = harm(1.5, 2.0, first, second, better="higher")
    assert lower.estimate == 0.5
    assert lower.interval == (0.5, 0.5, "bootstrap")
    assert higher.estimate == -0.5
    assert higher.interval == (-0.5, -0.5, "bootstrap")


def test_log_harm_and_its_seed_ratio() -> None:
    draws = np.exp(np.random.default_rng(0).normal(size=(2, 999)))
    found = harm(2.0, 6.0, draws[0], draws[1], better="lower", log=True, yardsticks=[4.0, 1.0])
    assert found.estimate == pytest.approx(log(3))
    assert found.seed_ratio == pytest.approx(log(3) / (sqrt(2) * np.std(np.log([2, 4, 1]), ddof=1)))
    wanted = np.quantile(np.log(draws[1] / draws[0]), [0.025, 0.975])
    assert found.interval[:2] == pytest.approx(tuple(wanted))


def test_seed_ratio_by_hand_and_where_there_is_none() -> None:
    assert seed_ratio(1.0, 0.0, [1.0, 2.0]) == pytest.approx(1 / sqrt(2))
    assert seed_ratio(1.0, 0.0, [1.0]) is None
    assert seed_ratio(1.0, 0.5, [0.5, 0.5]) is None
    assert seed_ratio(1.0, 0.5, [float("nan"), 0.5]) is None


def test_a_seed_ratio_between_retrained_networks_has_unit_spread() -> None:
    random = np.random.default_rng(1)
    figures = random.normal(0.9, 0.01, (4000, 52))
    ratios = [seed_ratio(row[1] - row[0], row[0], row[2:].tolist()) for row in figures]
    assert np.std(np.array(ratios, dtype=float)) == pytest.approx(1, rel=0.04)


@pytest.mark.parametrize(("reference", "variant"), [(float("nan"), 1.0), (1.0, float("inf"))])
def test_figures_that_do_not_exist(reference: float, variant: float) -> None:
    found = harm(reference, variant, np.ones(3), np.ones(3), better="lower")
    assert (found.estimate, found.p_value, found.interval.method) == (None, None, "none")
    assert "not finite" in found.reason
    assert found.p_above(0.0) is None


def test_logarithm_of_nothing_and_draws_that_do_not_exist() -> None:
    assert "not positive" in harm(0.0, 1.0, np.ones(3), np.ones(3), better="lower", log=True).reason
    gone = np.r_[np.ones(8), np.full(2, np.nan)]
    found = harm(1.0, 2.0, gone, gone + 1, better="lower")
    assert (found.estimate, found.interval.method) == (1.0, "none")
    assert "no interval" in found.reason
    with pytest.raises(ValueError, match="not paired"):
        harm(1.0, 1.0, np.ones(3), np.ones(4), better="lower")


def test_a_network_does_itself_no_harm() -> None:
    draws = np.random.default_rng(2).normal(size=500)
    found = harm(0.3, 0.3, draws, draws, better="lower", yardsticks=[0.2, 0.4])
    assert (found.estimate, found.interval, found.p_value, found.seed_ratio) == (0, (0, 0, "bootstrap"), 1, 0)
    same = harm_of_proportions(np.ones(50), np.ones(50), better="higher")
    assert same.estimate == 0
    assert same.p_value == 1
    assert same.interval.low < 0 < same.interval.high  # type: ignore[operator]


def test_p_value_agrees_with_the_interval() -> None:
    random = np.random.default_rng(3)
    for shift in (1.9, 2.02):
        draws = random.normal(shift, 1, 20_000)
        found = harm(0.0, shift, np.zeros(20_000), draws, better="lower")
        assert (found.p_value < 0.05) == found.interval.above(0.0)  # type: ignore[operator]
        assert found.p_above(found.interval.low) == pytest.approx(0.025, abs=1e-3)  # type: ignore[arg-type]


def test_proportions_take_the_score_interval() -> None:
    first, second = np.ones(200), np.ones(200)
    second[:10] = 0
    found = harm_of_proportions(first, second, better="higher", yardsticks=[0.99, 0.98])
    assert found.estimate == pytest.approx(0.05)
    assert found.interval.method == "score"
    assert found.distribution == PairedTable(10, 0, 200)
    assert found.p_value == pytest.approx(2 * 0.000783, rel=1e-2)  # z = sqrt(10)
    assert found.seed_ratio == pytest.approx(0.05 / (sqrt(2) * 0.01))
    assert harm_of_proportions(first, second, better="lower").estimate == pytest.approx(-0.05)


def test_no_interval_where_none_is_known() -> None:
    found = harm_without_interval(1.0, 3.0, better="higher", yardsticks=[1.0, 2.0])
    assert (found.estimate, found.interval, found.p_value) == (-2.0, (None, None, "none"), None)


def _nll(logits: Float, labels: Float, weights: Float) -> Float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels.astype(int)]
    return weights @ losses / len(labels)


def _brier(logits: Float, labels: Float, weights: Float) -> Float:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return weights @ ((shares - np.eye(logits.shape[1])[labels.astype(int)]) ** 2).sum(axis=1) / len(labels)


def _mean(logits: Float, labels: Float, weights: Float) -> Float:
    return weights @ logits[:, 1] ** 2 / len(labels)


def _networks(random: np.random.Generator, n: int) -> tuple[Float, Float, Float]:
    """Labels, logits of a reference, and logits of an over-confident, noisier variant of it; three classes."""
    truth = random.normal(0, 1.5, (n, 3))
    labels = np.argmax(truth + random.gumbel(size=(n, 3)), axis=1).astype(float)
    reference = truth + random.normal(0, 0.3, (n, 3))
    variant = 1.1 * reference + random.normal(0, 0.4, (n, 3))
    return labels, reference, variant


def _coverage(statistic: Statistic, trials: int, weights: Float) -> float:
    """Coverage at n = 300 of the harm whose truth is taken from 500,000 samples."""
    labels, reference, variant = _networks(np.random.default_rng(100), 500_000)
    one = np.ones((1, len(labels)))
    truth = float((statistic(variant, labels, one) - statistic(reference, labels, one))[0])
    random = np.random.default_rng(7)
    hits = 0
    for _ in range(trials):
        labels, reference, variant = _networks(random, 300)
        one = np.ones((1, 300))
        found = harm(
            float(statistic(reference, labels, one)[0]),
            float(statistic(variant, labels, one)[0]),
            statistic(reference, labels, weights),
            statistic(variant, labels, weights),
            better="lower",
            samples=300,
        )
        hits += found.interval.low <= truth <= found.interval.high  # type: ignore[operator]
    return hits / trials


@pytest.mark.parametrize("statistic", [_mean, _nll, _brier])
def test_harms_are_covered_93_to_97_percent(statistic: Statistic, weights: Float) -> None:
    assert 0.93 <= _coverage(statistic, 2000, weights[:600]) <= 0.97


@pytest.mark.parametrize("n", [12, 40])
def test_few_samples_are_paid_for(n: int) -> None:
    """Without the widening, 95 % intervals of 12 normal differences cover 91 %."""
    random = np.random.default_rng(n)
    weights = np.concatenate([*Resamples(n, 1000).blocks()]).astype(np.float64)
    values = random.normal(size=(2000, n))
    draws = values @ weights.T / n
    hits = {None: 0, n: 0}
    for samples in hits:
        for row, mean in zip(draws, values.mean(axis=1), strict=True):
            low, high, _ = harm(0.0, mean, np.zeros(1000), row, better="lower", samples=samples).interval
            hits[samples] += low <= 0 <= high  # type: ignore[operator]
    assert 0.93 <= hits[n] / 2000 <= 0.97
    assert hits[None] < hits[n]


def test_pairing_is_what_makes_the_interval_narrow(weights: Float) -> None:
    labels, reference, _ = _networks(np.random.default_rng(9), 300)
    variant = reference + np.random.default_rng(10).normal(0, 0.02, reference.shape)
    first, second = _nll(reference, labels, weights), _nll(variant, labels, weights)
    paired = harm(0.0, 0.0, first, second, better="lower").interval
    unpaired = harm(0.0, 0.0, first, second[::-1], better="lower").interval
    assert 10 * (paired.high - paired.low) < unpaired.high - unpaired.low  # type: ignore[operator]
