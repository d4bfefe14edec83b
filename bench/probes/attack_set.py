"""A declared set of attacks put to one network."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.attacks.base import Asked
from bench.attacks.declared import declared_attacks
from bench.data.base import Samples
from bench.probes.attack_cascade import Cascade, run_cascade
from bench.probes.attack_options import (
    AttackProbe,
    AttackSetOptions,
    asked_of,
    attacked_classes,
    by_gradients,
    versions,
    whose,
)
from bench.probes.base import Context, Observation, probes
from bench.probes.gradient_view import dead_gradients, gradient_view
from bench.registry import parameters
from bench.runtimes.base import Predictor


@parameters
class DeclaredAttacks(AttackSetOptions, AttackProbe):
    """The base of probes that run a declared set: they differ in what they keep of it."""

    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")
    labelled: ClassVar[bool] = True
    gradients: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def parameters(self) -> dict[str, Any]:
        """All parameters, and the versions of the attacks."""
        return {**super().parameters(), "versions": versions(declared_attacks(self.attacks, self.norm))}

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """Run the set; without any gradient it is refused where one of its attacks follows gradients."""
        chosen = declared_attacks(self.attacks, self.norm)
        classes = attacked_classes(samples, context)
        with gradient_view(predictor, context) if by_gradients(chosen) else nullcontext() as view:
            if view is not None and not view.alive:
                return view.nothing()
            asked = asked_of(predictor, samples, classes, context, norm=self.norm, epsilon=self.epsilon, view=view)
            found = run_cascade(asked, chosen, pixel_grid=self.pixel_grid)
        return Observation(self.kept(asked, found), {**({} if view is None else view.notes()), **whose(samples)})

    @abstractmethod
    def kept(self, asked: Asked, found: Cascade) -> dict[str, NDArray[Any]]:
        """The arrays of the answer."""

    def invalid(self, observation: Observation) -> str | None:
        """The reason why no gradient is alive; None where some are."""
        return dead_gradients(observation)


@probes.register("attack-set")
@parameters
class AttackSet(DeclaredAttacks):
    """Attacks one after another on the samples that withstood those before.

    ``clean_correct``, ``robust_correct`` (n,) 0 or 1; ``fell_to`` (n,) the number of the attack that succeeded, or -1;
    ``queries`` (n,) of the network by attacks without gradients; ``zero_gradient`` and ``rising`` (n,): whether an
    attack's first gradient was zero, and whether its loss still rose at the end.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "clean_correct", "robust_correct", "fell_to", "queries", "zero_gradient", "rising",
    )  # fmt: skip

    def kept(self, asked: Asked, found: Cascade) -> dict[str, NDArray[Any]]:
        """Verdicts, and how the attacks went."""
        return {
            "clean_correct": found.clean.astype(np.uint8),
            "robust_correct": found.robust.astype(np.uint8),
            "fell_to": found.fell_to,
            "queries": found.queries,
            **{name: flags.astype(np.uint8) for name, flags in found.flags.items()},
        }
