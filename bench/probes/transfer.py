"""Adversarial inputs of one network, judged on another."""

from __future__ import annotations

from dataclasses import fields
from typing import ClassVar

import numpy as np

from bench.data.base import Samples
from bench.probes.adversarial_inputs import STRONGEST, AdversarialInputs
from bench.probes.attack_options import Attacks, AttackSetOptions
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.logits import log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor


@probes.register("transfer")
@parameters
class Transfer(AttackSetOptions, Probe):
    """Verdicts of a network on inputs made on another one: the reference, or whichever a plan names.

    ``clean_correct`` and ``transfer_correct`` (n,) 0 or 1: whether it gives the attacked class to the sample, and to
    the other network's input. It is asked for classes alone: any network can be judged, with gradients or without.
    """

    attacks: Attacks = STRONGEST

    arrays: ClassVar[tuple[str, ...]] = ("clean_correct", "transfer_correct")

    @property
    def needs(self) -> tuple[Probe, ...]:
        """The inputs."""
        return (AdversarialInputs(**{item.name: getattr(self, item.name) for item in fields(self)}),)

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """Both verdicts."""
        made = context.needed(AdversarialInputs.name)
        clean, transferred = (
            log_probabilities(predictor, np.asarray(x, dtype=np.float32)).argmax(axis=1) == made["attacked"]
            for x in (samples.x, made["inputs"])
        )
        return Observation({"clean_correct": clean.astype(np.uint8), "transfer_correct": transferred.astype(np.uint8)})
