"""How far the members of a network of several predict alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotApplicable
from bench.functional.divergences import log_mean_probabilities
from bench.functional.ood_scores import predictive_entropy

Float = NDArray[np.float64]


def expected_entropy(logits: NDArray[Any]) -> Float:
    """Mean entropy of the members' own predictions: logits (members, n, classes) to (n,), nats, 0 to log classes.

    ``1/M Σ_m H(p_m)``: what is left of the predictive entropy where all members agree.

    >>> expected_entropy(np.log([[[0.5, 0.5]], [[0.5, 0.5]]])).round(6).tolist()
    [0.693147]
    """
    own = [predictive_entropy(log_mean_probabilities(member[None])) for member in logits]
    return np.asarray(np.mean(own, axis=0))


def mutual_information(logits: NDArray[Any]) -> Float:
    """What the members' disagreement adds to the entropy: logits (members, n, classes) to (n,), nats, ≥ 0.

    ``H(1/M Σ_m p_m) − 1/M Σ_m H(p_m)``, summed as the mean of ``KL(p_m ‖ mean)``, so that it is exactly 0 for one
    member and for equal members (Depeweg et al. 2018, arXiv 1710.07283). At most log members.

    >>> sure = np.log([[[1.0, 1e-300]], [[1e-300, 1.0]]])  # each sure, of opposite classes: log 2
    >>> mutual_information(sure).round(6).tolist()
    [0.693147]
    """
    mean = log_mean_probabilities(logits)
    total = np.zeros(mean.shape[0])
    for member in logits:
        log_p = log_mean_probabilities(member[None])
        total += (np.exp(log_p) * (log_p - mean)).sum(axis=1)
    return np.asarray(np.maximum(total / len(logits), 0.0))


def pairwise_disagreement(classes: NDArray[Any]) -> Float:
    """Share of pairs of members whose classes differ: (n, members) to (n,), from 0 to 1.

    Raises:
        NotApplicable: there is one member.

    >>> pairwise_disagreement(np.array([[0, 0, 1], [2, 2, 2]])).round(6).tolist()
    [0.666667, 0.0]
    """
    n, members = classes.shape
    if members < 2:
        raise NotApplicable("a network of one member has no pair that could disagree")
    pairs = [(i, j) for i in range(members) for j in range(i)]
    differ = sum((classes[:, i] != classes[:, j]).astype(np.float64) for i, j in pairs)
    return np.asarray(differ / len(pairs)).reshape(n)
