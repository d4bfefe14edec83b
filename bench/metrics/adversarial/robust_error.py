"""The metric of a declared set of attacks: robust only what every one of them leaves right."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bench.functional.named_quantiles import named_quantiles
from bench.functional.predictions import complement, differ
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Arrays, Change, Derived, Proportion, Value
from bench.probes.attack_options import AttackSetOptions
from bench.probes.attack_set import AttackSet
from bench.probes.base import Probe
from bench.registry import parameters


@metrics.register("adversarial.robust_error")
@parameters
class RobustError(AttackSetOptions, Metric):
    """A declared set of attacks, run one after another on what withstood those before.

    ``robust_error``: share of all samples that are wrong before or under some attack, judged on the network as it runs.
    ``verdict_flip_rate``: share of samples that one network holds and the other does not. Without labels the
    reference's classes are attacked. The default set is Auto-PGD on the cross-entropy and towards three classes (arXiv
    2003.01690, 2407.02240), the fast minimum norm attack (arXiv 2102.12827) and Square with 1,000 queries (arXiv
    1912.00049), which needs no gradient.
    """

    family: ClassVar[Family] = "adversarial"
    by_default: ClassVar[bool] = False
    headline: ClassVar[str | None] = "verdict_flip_rate"
    derived: ClassVar[tuple[Derived, ...]] = (Derived("robust_wrong", complement, of="robust_correct"),)
    values: ClassVar[tuple[Value, ...]] = (
        Change("verdict_flip_rate", differ, of="robust_correct", power=1, unit="proportion", count=True, largest=1.0),
        Proportion("robust_error", of="robust_wrong", better="lower"),
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The set, as one probe."""
        return (AttackSet(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """The set, and what counts as a success."""
        return {
            **super().protocol(),
            "success": "a wrong class of the network as it runs, within epsilon and the bounds; clean mistakes count",
        }

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Clean error, how many samples fell to each attack, and how the attacks went."""
        attacked = arrays["clean_correct"].astype(bool)
        asked = arrays["queries"][attacked & (arrays["queries"] > 0)]
        return {
            "clean_error": float(1.0 - attacked.mean()),
            "fell_to": {name: int((arrays["fell_to"] == number).sum()) for number, name in enumerate(self.attacks)},
            "zero_gradient_share": float(arrays["zero_gradient"][attacked].mean()) if attacked.any() else 0.0,
            "rising_share": float(arrays["rising"][attacked].mean()) if attacked.any() else 0.0,
            "queries": named_quantiles(asked, (0.5, 0.95, 1)) if np.size(asked) else {},
        }
