"""Class probabilities and logits of a network on samples out of distribution."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from bench.data.base import Samples
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.logit_scale import logit_scale
from bench.probes.logits import log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor


@parameters
class _OutOfDistribution(Probe):
    """A probe on the samples of one ``[[ood]]`` of the suite."""

    against: Annotated[str, Field(description="the name of a set out of distribution")]

    @property
    def asked_on(self) -> str:
        """The set of that name."""
        return self.against


@probes.register("ood-logits")
@parameters
class OodLogits(_OutOfDistribution):
    """``ood_log_probabilities`` (m, classes) float64, nats, of samples out of distribution."""

    arrays: ClassVar[tuple[str, ...]] = ("ood_log_probabilities",)

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """The log-probabilities, as ``logits`` has them."""
        return Observation({"ood_log_probabilities": log_probabilities(predictor, samples.x)})


@probes.register("ood-logit-scale")
@parameters
class OodLogitScale(_OutOfDistribution):
    """``ood_max_logit`` (m,) and ``ood_log_partition`` (m,), of samples out of distribution."""

    arrays: ClassVar[tuple[str, ...]] = ("ood_max_logit", "ood_log_partition")

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """Both figures, as ``logit-scale`` has them."""
        return Observation(dict(zip(self.arrays, logit_scale(predictor, samples.x), strict=True)))
