"""Selective prediction: what is risked when the least sure answers are withheld."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

CHUNK = 1_000_000  # entries worked on at a time


class _Ranked(NamedTuple):
    """Samples from the surest down, those of one confidence together: under every row of weights (b, groups)."""

    before: Float  # weight of surer samples
    errors_before: Float
    weight: Float
    errors: Float


def _ranked(confidence: Float, correct: NDArray[Any], weights: NDArray[Any]) -> _Ranked:
    order = np.argsort(-confidence, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(confidence[order]) != 0])
    weight = np.take(weights, order, axis=1).astype(np.float64, copy=False)
    errors = weight * (1.0 - correct.astype(np.float64)[order])
    if len(starts) < len(order):
        weight, errors = (np.add.reduceat(each, starts, axis=1) for each in (weight, errors))
    return _Ranked(np.cumsum(weight, axis=1) - weight, np.cumsum(errors, axis=1) - errors, weight, errors)


@lru_cache(maxsize=4)
def _harmonic(n: int) -> Float:
    """``H_k = Σ_{j ≤ k} 1/j`` for k from 0 to n."""
    table = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])
    table.flags.writeable = False
    return table


def _harmonic_of(counts: Float) -> Float:
    """``H`` at counts; of weights that are no whole numbers by the digamma function."""
    whole = np.rint(counts)
    if np.abs(whole - counts).max(initial=0.0) < 1e-9:
        return np.asarray(_harmonic(int(whole.max(initial=0.0)))[whole.astype(np.int64)])
    from scipy.special import digamma

    return np.asarray(digamma(counts + 1.0) + np.euler_gamma)


def _by_rows(function: Any, confidence: Float, correct: NDArray[Any], weights: NDArray[Any]) -> Float:
    rows = max(1, CHUNK // max(1, len(confidence)))
    parts = [
        function(_ranked(confidence, correct, weights[start : start + rows])) for start in range(0, len(weights), rows)
    ]
    return np.concatenate(parts)


def area_under_risk_coverage(confidence: Float, correct: NDArray[Any], weights: NDArray[Any]) -> Float:
    """AURC under every row of weights (B, n): (B,), from 0 to 1, lower is better.

    Mean over k of the share of errors among the k surest samples (Geifman et al. 2019, arXiv 1805.08206). Samples of
    one confidence are taken in every order: within such a group errors come at their rate, in closed form by harmonic
    numbers. All tied: the error rate e. Errors last: ``e + (1 − e) ln(1 − e)`` and O(1/n).

    Args:
        confidence: of each sample, (n,).
        correct: 1 where the answer is right, else 0, (n,).
        weights: whole numbers that sum to n, one row a resample.

    >>> correct, once = np.array([1, 1, 1, 0]), np.ones((1, 4))
    >>> area_under_risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), correct, once).round(9).tolist()
    [0.0625]
    >>> area_under_risk_coverage(np.full(4, 0.9), correct, once).tolist()
    [0.25]
    """

    def area(ranked: _Ranked) -> Float:
        rate = ranked.errors / np.where(ranked.weight > 0, ranked.weight, 1.0)
        passed = _harmonic_of(ranked.before + ranked.weight) - _harmonic_of(ranked.before)
        total = ranked.errors + (ranked.errors_before - rate * ranked.before) * passed
        return np.asarray(total.sum(axis=1) / ranked.weight.sum(axis=1))

    return _by_rows(area, confidence, correct, weights)


def excess_area_under_risk_coverage(confidence: Float, correct: NDArray[Any], weights: NDArray[Any]) -> Float:
    """E-AURC under every row of weights (B, n): (B,), 0 or more, lower is better.

    AURC less that of the same errors in the best order, all of them last (Geifman et al. 2019, arXiv 1805.08206). It
    still depends on the error rate.

    >>> excess_area_under_risk_coverage(np.array([0.9, 0.8]), np.array([1, 0]), np.ones((1, 2))).tolist()
    [0.0]
    >>> excess_area_under_risk_coverage(np.array([0.8, 0.9]), np.array([1, 0]), np.ones((1, 2))).tolist()
    [0.5]
    """
    n = weights.sum(axis=1, dtype=np.float64)
    wrong = weights @ (1.0 - correct.astype(np.float64))
    best = (wrong - (n - wrong) * (_harmonic_of(n) - _harmonic_of(n - wrong))) / n
    return np.asarray(area_under_risk_coverage(confidence, correct, weights) - best)


def area_under_generalised_risk_coverage(confidence: Float, correct: NDArray[Any], weights: NDArray[Any]) -> Float:
    """AUGRC under every row of weights (B, n): (B,), from 0 to 1/2, lower is better.

    Integral over coverage of the share of *all* samples that are wrong and answered (Traub et al. 2024, arXiv
    2407.01032), by trapezoids; samples of one confidence in every order. Errors last: e²/2. Random or all tied: e/2.
    The mean risk of a silent failure, whatever share is answered.

    >>> area_under_generalised_risk_coverage(np.array([0.9, 0.8]), np.array([1, 0]), np.ones((1, 2))).tolist()
    [0.125]
    >>> area_under_generalised_risk_coverage(np.array([0.9, 0.9]), np.array([1, 0]), np.ones((1, 2))).tolist()
    [0.25]
    """

    def area(ranked: _Ranked) -> Float:
        total = ranked.weight * (ranked.errors_before + 0.5 * ranked.errors)
        return np.asarray(total.sum(axis=1) / ranked.weight.sum(axis=1) ** 2)

    return _by_rows(area, confidence, correct, weights)


def risk_at_coverage(confidence: Float, correct: NDArray[Any], weights: NDArray[Any], coverage: float) -> Float:
    """Share of errors among the surest samples, a ``coverage`` of them, under every row of weights (B, n): (B,).

    From 0 to 1, lower is better. Of the samples that tie at the threshold as many are answered as are needed, in every
    order: their errors count in part.

    >>> risk_at_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0]), np.ones((1, 4)), 0.5).tolist()
    [0.5]
    """

    def risk(ranked: _Ranked) -> Float:
        wanted = coverage * ranked.weight.sum(axis=1, keepdims=True)
        part = np.clip((wanted - ranked.before) / np.where(ranked.weight > 0, ranked.weight, 1.0), 0.0, 1.0)
        return np.asarray((part * ranked.errors).sum(axis=1) / wanted[:, 0])

    return _by_rows(risk, confidence, correct, weights)


def tied(confidence: Float) -> NDArray[np.bool_]:
    """Whether another sample has the very same confidence: (n,). Coarse outputs tie, and then order is chance.

    >>> tied(np.array([0.5, 0.9, 0.5])).tolist()
    [True, False, True]
    """
    _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] > 1)


def tie_share(ties: NDArray[Any], weights: NDArray[Any]) -> Float:
    """Share of samples that tie with another one of the data, under every row of weights (B, n): (B,), from 0 to 1.

    >>> tie_share(tied(np.array([0.5, 0.9, 0.5])), np.ones((1, 3))).round(6).tolist()
    [0.666667]
    """
    return np.asarray(weights @ ties.astype(np.float64) / weights.sum(axis=1, dtype=np.float64))


def risk_coverage_curve(confidence: Float, correct: NDArray[Any], points: int = 20) -> dict[str, list[float]]:
    """Coverages and the risk at each, for a figure.

    >>> risk_coverage_curve(np.array([0.9, 0.8]), np.array([1, 0]), points=2)
    {'coverage': [0.5, 1.0], 'risk': [0.0, 0.5]}
    """
    once = np.ones((1, len(confidence)))
    shares = [(k + 1) / points for k in range(points)]
    return {
        "coverage": shares,
        "risk": [float(risk_at_coverage(confidence, correct, once, share)[0]) for share in shares],
    }


def aurc_influence(confidence: Float, correct: NDArray[Any]) -> Float:
    """The influence of each sample on AURC, (n,), with mean zero: its standard deviation over √n is a standard error.

    ``ē − AURC − ∫_p^1 ε(u)/u du − e_i ln p`` for a sample at place p of [0, 1], from the surest down, with e_i 1 where
    it is wrong, ε(u) the error rate at place u and ē that of all; averaged over the places that samples of one
    confidence share. From N(u), the errors among the surest u, and ``AURC = ∫ N(u)/u du``, with a sample put in at p.

    >>> aurc_influence(np.array([0.9, 0.8]), np.array([1, 0])).round(4).tolist()  # ln(2) / 2
    [-0.3466, 0.3466]
    """
    n = len(confidence)
    values, inverse, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    error = 1.0 - correct.astype(np.float64)
    rate = np.bincount(inverse, weights=error, minlength=len(values)) / counts
    end = np.cumsum(counts) / n
    start = end - counts / n
    logs = np.log(end)
    log_before = np.log(np.where(start > 0, start, 1.0))
    mean_log = (end * logs - start * log_before) / (counts / n) - 1.0  # of ln p over the places of a group
    later = rate * (logs - np.where(start > 0, log_before, 0.0))
    beyond = np.concatenate([np.cumsum(later[::-1])[::-1][1:], [0.0]])
    influence = -beyond[inverse] - rate[inverse] * (logs[inverse] - mean_log[inverse]) - error * mean_log[inverse]
    return np.asarray(influence - influence.mean())


def excess_aurc_influence(confidence: Float, correct: NDArray[Any]) -> Float:
    """The influence of each sample on E-AURC, (n,), with mean zero.

    That on AURC, less that on the least area at the error rate e. Its derivative in e is ``−ln(1 − e)``, here between
    the harmonic numbers of all samples and of the right answers, so that it is finite where every answer is wrong.

    >>> excess_aurc_influence(np.array([0.9, 0.8]), np.array([1, 0])).round(4).tolist()  # less (H_2 − H_1) / 2
    [-0.0966, 0.0966]
    """
    error = 1.0 - correct.astype(np.float64)
    n = len(error)
    slope = _harmonic(n)[n] - _harmonic(n)[n - int(error.sum())]
    return np.asarray(aurc_influence(confidence, correct) - slope * (error - error.mean()))


def augrc_influence(confidence: Float, correct: NDArray[Any]) -> Float:
    """The influence of each sample on AUGRC, (n,), with mean zero.

    ``e_i P(c ≤ c_i) + P(wrong, c ≥ c_i)`` less its mean, ties counted half: AUGRC is the mean over pairs of ``e_i``
    where i is at least as sure as j.

    >>> augrc_influence(np.array([0.9, 0.8]), np.array([1, 0])).tolist()
    [-0.25, 0.25]
    """
    error = 1.0 - correct.astype(np.float64)
    n = len(error)
    ordered = np.sort(confidence)
    less = np.searchsorted(ordered, confidence, side="left")
    upto = np.searchsorted(ordered, confidence, side="right")
    order = np.argsort(confidence, kind="stable")
    cumulative = np.concatenate([[0.0], np.cumsum(error[order])])
    surer = cumulative[n] - cumulative[upto]
    level = cumulative[upto] - cumulative[less]
    influence = error * (less + 0.5 * (upto - less)) / n + (surer + 0.5 * level) / n
    return np.asarray(influence - influence.mean())
