"""Within what radius does a network surely keep its answer?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.functional.lipschitz.certified_radii import certified_radii
from bench.functional.named_quantiles import named_quantiles
from bench.functional.predictions import correct
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import LABELS, Arrays, Derived, Mean, Proportion, Value
from bench.probes.base import Probe
from bench.probes.logits import Logits
from bench.probes.pair_constants import PairConstants
from bench.registry import parameters


@dataclass(frozen=True)
class CertifiedAt:
    """Right answers that stay within a radius; equal radii are one function."""

    epsilon: float

    def __call__(self, radius: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
        """1 where the answer is right and its radius at least epsilon: (n,) each to (n,)."""
        return np.asarray((radius >= self.epsilon) & (right == 1), dtype=np.float64)


@metrics.register("lipschitz.margin")
@parameters
class Margin(Metric):
    """Certified l2 radii: no input nearer than that has another class (arXiv 1802.04034), per unit of the user's input.

    ``certified_radius``: mean of ``min_j (z_y − z_j) / L_yj`` over samples, y each network's own class, with certified
    constants of each pair of logits; no labels are needed. ``certified_accuracy``: share of samples that are right and
    have a radius of epsilon or more: a lower bound of the accuracy under any attack of that size. Both are as good as
    the bound, so a harm may be one of the bound: it is beside ``lipschitz.global`` that they are read.
    """

    epsilon: Annotated[float, Field(gt=0, description="radius of certified_accuracy, l2, in the user's units")] = 0.1

    iterations: Annotated[
        int, Field(ge=0, description="of the multipliers of a chain of dense layers; 0: ECLipsE-Fast alone")
    ] = 200

    family: ClassVar[Family] = "lipschitz"
    values: ClassVar[tuple[Value, ...]] = (
        Mean("certified_radius", of="certified_radius", better="higher", unit="input"),
        Proportion("certified_accuracy", of="certified", better="higher"),
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Logits, and the constants of their differences."""
        return Logits(), PairConstants(iterations=self.iterations)

    @property
    def derived(self) -> tuple[Derived, ...]:
        """Radii, and which right answers have one of epsilon."""
        return (
            Derived("certified_radius", certified_radii, of=("log_probabilities", "pair_constants"), rows=False),
            Derived("correct", correct, of=("log_probabilities", LABELS)),
            Derived("certified", CertifiedAt(self.epsilon), of=("certified_radius", "correct")),
        )

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Quantiles of the radii, the largest constant of a pair and, with labels, the curve of certified accuracy."""
        if "pair_constants" not in arrays:
            return {}
        own = arrays["certified_radius"]
        told: dict[str, Any] = {
            "radius_quantiles": named_quantiles(own, (0.05, 0.5, 0.95)),
            "largest_pair_constant": float(arrays["pair_constants"].max()),
        }
        if "correct" in arrays:
            at = np.linspace(0, 10 * self.epsilon, 41)
            curve = [float(((own >= radius) & (arrays["correct"] == 1)).mean()) for radius in at]
            told["certified_accuracy_curve"] = {"radius": at.tolist(), "accuracy": curve}
        return told
