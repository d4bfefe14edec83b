"""Inputs that a declared set of attacks makes on one network, kept to be judged on others."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from bench.attacks.base import Asked
from bench.probes.attack_cascade import Cascade
from bench.probes.attack_options import Attacks
from bench.probes.attack_set import DeclaredAttacks
from bench.probes.base import probes
from bench.registry import parameters

STRONGEST: Final = ("apgd-ce",)  # its inputs lie far beyond a boundary; those of a nearest one fool no other network


@probes.register("adversarial-inputs")
@parameters
class AdversarialInputs(DeclaredAttacks):
    """Adversarial inputs (n, ...): of the first success, where there is none those of the least margin.

    A sample that the network gets wrong is not attacked and stays what it is. ``attacked`` (n,) are the classes,
    ``clean_correct`` and ``robust_correct`` (n,) what the network itself says of the sample and of its input.
    """

    attacks: Attacks = STRONGEST

    arrays: ClassVar[tuple[str, ...]] = ("inputs", "attacked", "clean_correct", "robust_correct")

    def kept(self, asked: Asked, found: Cascade) -> dict[str, NDArray[Any]]:
        """The inputs, and the network's own verdicts."""
        return {
            "inputs": found.inputs,
            "attacked": asked.labels,
            "clean_correct": found.clean.astype(np.uint8),
            "robust_correct": found.robust.astype(np.uint8),
        }

    def entries(self, inputs: int, classes: int) -> int:
        """An input a sample."""
        return inputs
