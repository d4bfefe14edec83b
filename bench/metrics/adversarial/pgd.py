"""The metric of projected gradient attacks: how a network withstands them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from bench.functional.predictions import complement, differ
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Arrays, Change, Derived, Proportion, Value
from bench.probes.base import Probe
from bench.probes.pgd import PGDAttack, without_default
from bench.registry import parameters
from bench.stats.proportions import PairedTable, paired_difference


@metrics.register("adversarial.pgd")
@parameters
class ProjectedGradientDescent(Metric):
    """Untargeted projected gradient descent in the maximum norm (arXiv 1706.06083), on foolbox.

    ``robust_error``: share of all samples that are wrong before or under the attack. ``verdict_flip_rate``: share of
    samples that one network holds and the other does not. An attack succeeds where the predictor itself misclassifies
    the last or the strongest iterate of any restart. The step follows the sign of the gradient of the log-odds
    against the label: the sign that the cross-entropy's gradient has, without its vanishing on confident samples.
    Targeted, each restart raises one wrong logit less the label's, the nearest class first (MALT, arXiv 2407.02240):
    with as many restarts as there are wrong classes it reaches what the untargeted one misses.
    """

    epsilon: Annotated[float, Field(gt=0, description="largest change of a pixel, in the units of the bounds")]
    steps: Annotated[int, Field(ge=1, description="gradient steps a restart")] = 20
    restarts: Annotated[int, Field(ge=1, description="random starts; one success is enough")] = 1
    relative_stepsize: Annotated[
        float | None, Field(gt=0, description="step as a share of epsilon; 2.5 / steps by default")
    ] = None

    targeted: Annotated[
        bool, Field(description="whether each restart raises one wrong logit, the nearest first, over the label's")
    ] = False

    family: ClassVar[Family] = "adversarial"
    labelled: ClassVar[bool] = True
    headline: ClassVar[str | None] = "verdict_flip_rate"
    derived: ClassVar[tuple[Derived, ...]] = (Derived("robust_wrong", complement, of="robust_correct"),)
    values: ClassVar[tuple[Value, ...]] = (
        Change("verdict_flip_rate", differ, of="robust_correct", power=1, unit="proportion", count=True, largest=1.0),
        Proportion("robust_error", of="robust_wrong", better="lower"),
    )

    def parameters(self) -> dict[str, Any]:
        """All parameters but ``samples``; without ``targeted`` where it is off, as cells were named before."""
        return without_default(super().parameters(), "targeted", False)

    @property
    def attack(self) -> PGDAttack:
        """The attack with these parameters."""
        return PGDAttack(**self.parameters())

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The attack, as the metric's one probe."""
        return (self.attack,)

    def protocol(self) -> dict[str, Any]:
        """Attack, budget, and what counts as a success."""
        return {
            **super().protocol(),
            "relative_stepsize": self.attack.stepsize,
            "norm": "linf",
            "start": "uniform, keyed by sample and restart",
            "success": "last or strongest iterate of any restart; clean mistakes count as errors",
        }

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Clean error, and the share of attacked samples whose first gradient was exactly zero.

        Of a network attacked through its twin: the success on the session and on the twin among the samples that were
        right, and their paired difference with its 95 % score interval.
        """
        attacked = max(1, int(arrays["clean_correct"].sum()))
        details: dict[str, Any] = {
            "clean_error": float(1.0 - arrays["clean_correct"].mean()),
            "zero_gradient_share": float(arrays["zero_gradient"].sum() / attacked),
        }
        right = arrays["clean_correct"].astype(bool)
        if "twin_robust_correct" in arrays and right.any():
            twin, session = (
                1.0 - arrays[name][right].astype(np.float64) for name in ("twin_robust_correct", "robust_correct")
            )
            table = PairedTable.of(twin, session)
            limits = paired_difference(table)
            details["success"] = {
                "session": float(session.mean()),
                "twin": float(twin.mean()),
                "difference": table.difference,
                "ci": [limits.low, limits.high],
            }
        return details
