"""The verdict on gradient masking, of counts of samples that stayed right under attacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from numpy.typing import NDArray

from bench.stats.proportions import clopper_pearson

Name: TypeAlias = Literal["sound", "suspect", "masked"]
SUSPECT: Final = 0.02  # share of the attacked samples that is surely exceeded
MASKED: Final = 0.05
ZERO: Final = 0.5  # share of zero gradients from which on a network is masked, whatever attacks find
RISING: Final = 0.5  # share of samples whose loss still rose at the end

FOUND_BY: Final = {
    "adaptive": "Auto-PGD, straight through what rounds",
    "normalised": "PGD on logits of one spread",
    "transferred": "inputs found on the reference",
    "square": "Square, without gradients",
    "down": "PGD on logits / 100",
    "up": "PGD on logits × 100",
    "noise": "random noise",
}


class MaskingVerdict(NamedTuple):
    """Sound, suspect or masked, and why."""

    verdict: Name
    reasons: tuple[str, ...]


def surely_above(events: int, n: int, share: float) -> bool:
    """Whether the lower end of the exact 95 % interval of events / n lies above a share.

    >>> surely_above(5, 100, 0.01), surely_above(2, 100, 0.01)
    (True, False)
    """
    return n > 0 and (clopper_pearson(events, n).low or 0.0) > share


def masking_verdict(arrays: Mapping[str, NDArray[Any]]) -> MaskingVerdict:
    """The verdict of flags (n,) as the probe ``masking`` answers them: 1 where a sample stayed right.

    Shares are of the samples that were right before the attacks. Masked: more than 5 % of them withstand the plain
    attacks (PGD on the cross-entropy, and targeted) and fall to another of the same budget, or more than half of the
    plain gradients are zero. Suspect: more than 2 % fall to one of the other attacks and not to the plain ones; more
    than 2 % fall to Square, to transferred inputs or to noise and to no attack by gradients; more than 5 % of the
    gradients are zero; more than 2 % withstand Auto-PGD over the whole range; the loss of more than half still rises at
    the end; the network ends in a Softmax, which an attack may take for logits. Each share surely, by the lower end of
    its exact 95 % interval.

    >>> import numpy as np
    >>> still, fell = np.ones(100), np.zeros(100)
    >>> names = ("clean", "plain", "targeted", "down", "up", "adaptive", "normalised", "transferred", "square", "noise")
    >>> flags = {f"{name}_correct": still for name in names}
    >>> flags |= dict.fromkeys(("zero_gradient", "rising", "softmax"), fell)
    >>> masking_verdict(flags | {"unbounded_correct": fell}).verdict
    'sound'
    >>> masking_verdict(flags | {"unbounded_correct": fell, "square_correct": fell}).verdict
    'masked'
    """
    attacked = arrays["clean_correct"].astype(bool)
    n = int(attacked.sum())
    stays = {
        name.removesuffix("_correct"): flags[attacked].astype(bool)
        for name, flags in arrays.items()
        if name.endswith("_correct")
    }
    zero, rising = (arrays[name][attacked].astype(bool) for name in ("zero_gradient", "rising"))
    plain = stays["plain"] & stays["targeted"]
    masked, suspect = [], []
    for name, words in FOUND_BY.items():
        missed = int((plain & ~stays[name]).sum())
        told = f"{words}: {missed} of {n} that withstand plain PGD"
        if surely_above(missed, n, MASKED):
            masked.append(told)
        elif surely_above(missed, n, SUSPECT):
            suspect.append(told)
    by_gradients = plain & stays["adaptive"] & stays["normalised"] & stays["down"] & stays["up"]
    for name in ("square", "transferred", "noise"):
        alone = int((by_gradients & ~stays[name]).sum())
        if surely_above(alone, n, SUSPECT):
            suspect.append(f"{FOUND_BY[name]}: {alone} of {n} that withstand every attack by gradients")
    zeros = f"{int(zero.sum())} of {n} gradients of the cross-entropy are zero"
    if surely_above(int(zero.sum()), n, ZERO):
        masked.append(zeros)
    elif surely_above(int(zero.sum()), n, MASKED):
        suspect.append(zeros)
    left = int(stays["unbounded"].sum())
    if surely_above(left, n, SUSPECT):
        suspect.append(f"{left} of {n} withstand Auto-PGD over the whole range of inputs")
    if surely_above(int(rising.sum()), n, RISING):
        suspect.append(f"the loss of {int(rising.sum())} of {n} still rises at the last steps")
    if arrays["softmax"].any():
        suspect.append("it ends in a Softmax, whose output an attack may take for logits")
    return MaskingVerdict("masked" if masked else "suspect" if suspect else "sound", (*masked, *suspect))
