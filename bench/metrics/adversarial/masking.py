"""Is what withstands attacks robust, or are its gradients hidden?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from bench.functional.attacks.masking_verdict import masking_verdict
from bench.metrics.base import Family, Metric, SampleLimit, metrics
from bench.metrics.values import Arrays, Derived, Float, Proportion, Value
from bench.probes.base import Probe
from bench.probes.masking import KNOWING, NAIVE, Masking, MaskingOptions
from bench.registry import parameters

SAID: Final = {"suspect": "may be masked", "masked": "are masked"}
TOLD: Final = 2  # reasons that are said before the figures
EVERY = tuple(f"{name}_correct" for name in (*NAIVE, "targeted", *KNOWING, "noise"))


def wrong_under_one(*stays: NDArray[Any]) -> Float:
    """1 where a sample fell to at least one attack: flags (n,) of those that stayed right to (n,).

    >>> wrong_under_one(np.array([1, 1]), np.array([1, 0])).tolist()
    [0.0, 1.0]
    """
    return np.asarray(1.0 - np.min(np.stack([flags.astype(np.float64) for flags in stays]), axis=0))


def missed(plain: NDArray[Any], *others: NDArray[Any]) -> Float:
    """1 where a sample withstood the plain attack and fell to another: flags (n,) of those that stayed right to (n,).

    >>> missed(np.array([1, 0, 1]), np.array([0, 0, 1])).tolist()
    [1.0, 0.0, 0.0]
    """
    return np.asarray(plain.astype(np.float64) * wrong_under_one(*others))


@metrics.register("adversarial.masking")
@parameters
class GradientMasking(MaskingOptions, Metric):
    """Attacks that know nothing of the network beside attacks that do, of one budget in l_inf, and one verdict.

    ``reported_robust_error``: share of all samples that are wrong before or under any of them: the figure to report,
    whatever gradients hide. ``plain_robust_error``: under PGD on the cross-entropy of the network's output alone.
    ``masked_share``: share of all samples that withstand that attack and fall to another: what it did not see.
    ``details`` hold the verdict: sound, suspect or masked, with reasons (after arXiv 1802.00420, 1902.06705 and
    2106.09947). The others are targeted PGD, Auto-PGD straight through whatever rounds (BPDA), PGD on normalised
    logits and on logits / 100 and × 100, inputs found on the reference, Square, and random noise.
    """

    samples: SampleLimit = 200

    family: ClassVar[Family] = "adversarial"
    by_default: ClassVar[bool] = False
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("reported_wrong", wrong_under_one, of=EVERY),
        Derived("plain_wrong", wrong_under_one, of=("plain_correct",)),
        Derived("masked", missed, of=("plain_correct", *EVERY[1:])),
    )
    values: ClassVar[tuple[Value, ...]] = (
        Proportion("reported_robust_error", of="reported_wrong", better="lower"),
        Proportion("plain_robust_error", of="plain_wrong", better="lower"),
        Proportion("masked_share", of="masked", better="lower"),
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """All attacks, as one probe of the network beside the reference."""
        return (Masking(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """The budget."""
        return {**super().protocol(), "norm": "linf", "start": "uniform, keyed by sample"}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """The verdict with its reasons, and the error under each attack."""
        names = [name for name in Masking.arrays if name in arrays]
        flags = {name: arrays[name] for name in names}
        found = masking_verdict(flags)
        return {
            "verdict": found.verdict,
            "reasons": list(found.reasons),
            "errors": {name: float(1.0 - flags[name].mean()) for name in names if name.endswith("_correct")},
        }

    def caution(self, details: Mapping[str, Any]) -> str:
        """The verdict with its reasons, where gradients may hide how weak the network is."""
        if details.get("verdict") not in ("suspect", "masked"):
            return ""
        told = details["reasons"]
        reasons = "; ".join([*told[:TOLD], *([f"{len(told) - TOLD} more in the details"] if len(told) > TOLD else [])])
        return f"gradients {SAID[details['verdict']]} ({reasons}): of its robust errors, report reported_robust_error"
