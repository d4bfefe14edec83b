"""Does a network know how sure it may be on images that cameras and files have spoilt?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bench.functional.under_shift import (
    versions_calibration_error,
    versions_confidence,
    versions_correct,
    versions_nll,
)
from bench.metrics.base import Family, Metric, SampleLimit, metrics
from bench.metrics.values import LABELS, Arrays, Derived, Mean, Statistic, Value
from bench.probes.base import Probe
from bench.probes.corrupted_logits import CorruptedLogits, CorruptionOptions
from bench.registry import parameters

VERSIONS = "corrupted_log_probabilities"


def wrong(right: Any) -> Any:
    """Share of each sample's versions that are wrong: (n, versions) to (n,).

    >>> wrong(np.array([[1.0, 0.0]])).tolist()
    [0.5]
    """
    return 1.0 - right.mean(axis=1)


@metrics.register("uncertainty.under_shift")
@parameters
class UnderShift(CorruptionOptions, Metric):
    """Proper score, error and calibration under eleven natural corruptions at five severities (arXiv 1906.02530).

    ``shifted_nll``: mean −log p(label) over all versions, nats. ``shifted_error``: mean error. ``shifted_ce2``: squared
    top-label calibration error without its bias, 15 bins of equal mass, of each kind and severity apart, then the mean;
    signed. The details hold all three by severity. Intervals are over images, whose versions go together.
    """

    samples: SampleLimit = 500

    family: ClassVar[Family] = "uncertainty"
    by_default: ClassVar[bool] = False  # 55 forward passes a sample
    labelled: ClassVar[bool] = True
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("versions_nll", versions_nll, of=(VERSIONS, LABELS)),
        Derived("versions_confidence", versions_confidence, of=VERSIONS),
        Derived("versions_correct", versions_correct, of=(VERSIONS, LABELS)),
        Derived("versions_wrong", wrong, of="versions_correct"),
    )
    values: ClassVar[tuple[Value, ...]] = (
        Mean("shifted_nll", of="versions_nll", better="lower", unit="nats"),
        Mean("shifted_error", of="versions_wrong", better="lower", unit="proportion", largest=1.0),
        Statistic(
            "shifted_ce2", versions_calibration_error, of=("versions_confidence", "versions_correct"), better="lower",
            recentre=True,
        ),
    )  # fmt: skip

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The corrupted images."""
        return (CorruptedLogits(kinds=self.kinds, severities=self.severities),)

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Error, NLL and squared calibration error by severity, means over kinds."""
        log_p, right, labels = arrays[VERSIONS], arrays["versions_correct"], arrays[LABELS]
        table = np.ones((1, len(log_p)))
        shape = log_p.shape[:3]
        confidence, right = arrays["versions_confidence"].reshape(shape), right.reshape(shape)
        return {
            "by_severity": {
                str(severity): {
                    "error": float(1.0 - right[:, :, index].mean()),
                    "nll": float(versions_nll(log_p[:, :, index], labels).mean()),
                    "ce2": float(versions_calibration_error(confidence[:, :, index], right[:, :, index], table)[0]),
                }
                for index, severity in enumerate(self.severities)
            }
        }
