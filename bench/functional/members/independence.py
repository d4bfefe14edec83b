"""How independently the members of a network err: figures of pairs, from the classes that members predict."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotApplicable

Float = NDArray[np.float64]
Index = NDArray[np.intp]


class PairMean(NamedTuple):
    """Mean over the pairs that have the figure, and how many pairs have it and how many have not."""

    mean: float
    pairs: int
    undefined: int


def mean_over_pairs(figures: NDArray[Any]) -> PairMean:
    """Mean of the figures (pairs,) that are numbers; the others are counted.

    Raises:
        NotApplicable: No pair has the figure.

    >>> mean_over_pairs(np.array([0.25, np.nan, 0.75]))
    PairMean(mean=0.5, pairs=2, undefined=1)
    """
    known = np.asarray(figures, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not known.size:
        raise NotApplicable(f"none of {len(figures)} pairs of members has the figure: members never or always err")
    return PairMean(float(known.mean()), len(known), len(figures) - len(known))


def error_correlation(classes: NDArray[Any], labels: NDArray[Any]) -> Float:
    """Pearson correlation (phi) of the errors of each pair of members, from −1 to 1.

    ``(p₁₁ − p₁ p₂) / sqrt(p₁ (1 − p₁) p₂ (1 − p₂))`` with p₁, p₂ the error rates and p₁₁ the rate of common errors: 0
    where the members err independently. NaN where a member never or always errs.

    Args:
        classes: Predicted by each member, (n, members).
        labels: (n,).

    Returns:
        (pairs,), in the order (0, 1), (0, 2), ..., (1, 2), ...

    Raises:
        NotApplicable: there is one member, or no sample.
        ValueError: If shapes disagree.

    >>> members = np.array([[1, 1], [1, 0], [0, 0], [0, 0]])  # of label 0: two errors and one, one in common
    >>> error_correlation(members, np.zeros(4, dtype=int)).round(6).tolist()  # (1/4 − 1/8) / sqrt(3/64)
    [0.57735]
    """
    wrong, first, second = _errors(classes, labels)
    a, b = wrong[:, first].mean(axis=0), wrong[:, second].mean(axis=0)
    both = (wrong[:, first] & wrong[:, second]).mean(axis=0)
    return _quotient(both - a * b, np.sqrt(a * (1 - a) * b * (1 - b)))


def q_statistic(classes: NDArray[Any], labels: NDArray[Any]) -> Float:
    """Yule's Q of the errors of each pair, from −1 to 1: classes (n, members) and labels (n,) to (pairs,).

    ``(N₁₁ N₀₀ − N₀₁ N₁₀) / (N₁₁ N₀₀ + N₀₁ N₁₀)``, of counts by who is right (Kuncheva and Whitaker 2003, doi
    10.1023/A:1022859003006): 0 where the members err independently. NaN where both products are 0. It is ±1 as soon as
    one of four counts is 0. Raises as ``error_correlation``.

    >>> members = np.array([[1, 1], [1, 0], [0, 1], [0, 0], [0, 0]])
    >>> q_statistic(members, np.zeros(5, dtype=int)).round(6).tolist()  # (2·1 − 1·1) / (2·1 + 1·1)
    [0.333333]
    """
    wrong, first, second = _errors(classes, labels)
    a, b = wrong[:, first], wrong[:, second]
    alike = (a & b).sum(axis=0) * (~a & ~b).sum(axis=0)
    unlike = (a & ~b).sum(axis=0) * (~a & b).sum(axis=0)
    return _quotient(alike - unlike, alike + unlike)


def error_conditioned_disagreement(classes: NDArray[Any], labels: NDArray[Any]) -> Float:
    """Share of samples on which a pair's classes differ, of those on which either errs: 0 to 1, (pairs,).

    ``P(ŷ₁ ≠ ŷ₂ | ŷ₁ ≠ y or ŷ₂ ≠ y)``, so that one minus it is the share of wrong answers that both give. Unlike plain
    disagreement it does not fall only because members are more accurate. NaN where neither ever errs. Raises as
    ``error_correlation``.

    >>> members = np.array([[1, 1], [1, 2], [0, 1], [0, 0]])
    >>> error_conditioned_disagreement(members, np.zeros(4, dtype=int)).round(6).tolist()  # 2 of 3
    [0.666667]
    """
    wrong, first, second = _errors(classes, labels)
    table = np.asarray(classes)
    differ = table[:, first] != table[:, second]
    return _quotient(differ.sum(axis=0), (wrong[:, first] | wrong[:, second]).sum(axis=0))


def kappa(classes: NDArray[Any]) -> Float:
    """Cohen's κ of the classes of each pair, at most 1: classes (n, members) to (pairs,); no labels are needed.

    ``(o − e) / (1 − e)``: o the share of equal classes, e the share if the pair chose independently, each with its own
    frequencies (Margineantu and Dietterich 1997). 0 for independent choices, which good members never make: both
    follow the label. NaN where both always choose one and the same class. Raises as ``error_correlation``.

    >>> kappa(np.array([[0, 0], [0, 1], [1, 1], [1, 1]])).tolist()  # o = 3/4, e = 1/2·1/4 + 1/2·3/4
    [0.5]
    """
    table, first, second = _pairs(classes)
    codes, found = np.unique(table, return_inverse=True)
    share = np.stack([(found.reshape(table.shape) == code).mean(axis=0) for code in range(len(codes))])
    equal = (table[:, first] == table[:, second]).mean(axis=0)
    chance = (share[:, first] * share[:, second]).sum(axis=0)
    return _quotient(equal - chance, 1.0 - chance)


def class_information(classes: NDArray[Any], labels: NDArray[Any]) -> Float:
    """Mutual information of the classes of each pair given the label, nats, ≥ 0: to (pairs,).

    ``Σ_y p(y) I(ŷ₁; ŷ₂ | y)`` from the counts of samples (the plug-in estimate): 0 where members choose independently
    given the label. From few samples it is too large; of independent members by about ``class_information_bias``.
    Raises as ``error_correlation``.

    >>> same = np.array([[0, 0], [1, 1], [0, 0], [0, 0]])  # of label 0 both choose 0 or 1 alike, of label 1 always 0
    >>> class_information(same, np.array([0, 0, 1, 1])).round(6).tolist()  # half of log 2
    [0.346574]
    """
    return _by_label(classes, labels, _information)


def class_information_bias(classes: NDArray[Any], labels: NDArray[Any]) -> Float:
    """By how much ``class_information`` of independent members is too large, to the first order: nats, (pairs,).

    ``Σ_y (k₁ − 1)(k₂ − 1) / (2 n)``, k the classes that a member chose on samples of label y (Miller 1955). Rare
    classes make it a rough guide: information well below it is no sign of dependence; subtracting it is no cure.
    Raises as ``error_correlation``.

    >>> members = np.array([[0, 0], [1, 1], [0, 0], [0, 0]])
    >>> class_information_bias(members, np.array([0, 0, 1, 1])).tolist()  # 1 · 1 / 8 of label 0, nothing of label 1
    [0.125]
    """
    return _by_label(classes, labels, lambda joint: (len(joint) - 1) * (joint.shape[1] - 1) / 2.0)


def _by_label(classes: NDArray[Any], labels: NDArray[Any], figure: Callable[[Float], float]) -> Float:
    """A figure of the table of counts of each label, summed over labels, over n."""
    _, first, second = _errors(classes, labels)
    table, y = np.asarray(classes), np.asarray(labels)
    total = np.zeros(len(first))
    for label in np.unique(y):
        codes = [np.unique(column, return_inverse=True)[1] for column in table[y == label].T]
        wide = [int(code.max()) + 1 for code in codes]
        for pair, (i, j) in enumerate(zip(first, second, strict=True)):
            counts = np.bincount(codes[i] * wide[j] + codes[j], minlength=wide[i] * wide[j])
            total[pair] += figure(counts.reshape(wide[i], wide[j]).astype(np.float64))
    return total / len(table)


def _information(joint: Float) -> float:
    """Mutual information of a table of counts times its total."""
    n = joint.sum()
    seen = joint > 0
    expected = np.outer(joint.sum(axis=1), joint.sum(axis=0)) / n
    return max(0.0, float((joint[seen] * np.log(joint[seen] / expected[seen])).sum()))


def _quotient(above: NDArray[Any], below: NDArray[Any]) -> Float:
    known = below > 0
    return np.where(known, above / np.where(known, below, 1), np.nan)


def _pairs(classes: NDArray[Any]) -> tuple[NDArray[Any], Index, Index]:
    table = np.asarray(classes)
    if table.ndim != 2:
        raise ValueError(f"classes of shape {table.shape}: (n, members) are needed")
    if table.shape[1] < 2:
        raise NotApplicable("a network of one member has no pair whose errors could depend on each other")
    if not len(table):
        raise NotApplicable("there is no sample on which members could err")
    first, second = np.array(list(combinations(range(table.shape[1]), 2)), dtype=np.intp).T
    return table, first, second


def _errors(classes: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[np.bool_], Index, Index]:
    table, first, second = _pairs(classes)
    y = np.asarray(labels)
    if y.shape != table.shape[:1]:
        raise ValueError(f"classes of shape {table.shape} and labels of shape {y.shape} are not of the same samples")
    return np.asarray(table != y[:, None]), first, second
