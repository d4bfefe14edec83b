"""Calls a function of arrays as a network, and checks its answer at every call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import UnusableNetwork
from bench.interrupts import contained
from bench.networks.interface import class_scores, scored_classes, scores_shape
from bench.networks.network import FunctionNetwork


def answers(network: FunctionNetwork, x: NDArray[Any], where: str = "function") -> NDArray[Any]:
    """The class scores that a function gives for preprocessed samples x (n, ...), float32 or float64.

    (n, classes), of a network that declares several members (n, members, classes).

    The function is given a copy of its own, which it may change.

    Raises:
        UnusableNetwork: it raises, or answers something else than one row of real numbers a sample.
    """
    try:
        with contained():
            answer = network.function(np.array(x, order="C"))
            out = np.asarray(answer.detach().cpu() if hasattr(answer, "detach") else answer)  # torch tensors too
    except Exception as error:  # the user's own code may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        what = f"it fails on an array {x.shape} of {x.dtype}: {reason}"
        raise UnusableNetwork.at(where, what, "let it take arrays (n, ...) as the data declares them") from error
    members = network.input.members
    if out.dtype.kind not in "fiub" or not scored_classes(out.shape, len(x), members):
        what = f"{len(x)} samples give an array {out.shape} of {out.dtype}"
        raise UnusableNetwork.at(where, what, f"answer {scores_shape('n', members)}, one score a class")
    scores = class_scores(out)
    return scores if scores.dtype == np.float64 else scores.astype(np.float32)


def answer_classes(network: FunctionNetwork, where: str) -> int:
    """The number of classes that a function answers, from two empty samples."""
    declared = network.input
    return int(answers(network, np.zeros((2, *declared.network_shape), declared.dtype), where).shape[-1])
