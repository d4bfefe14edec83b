"""How far the nearest input of another class is that attacks find, of one network."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bench.attacks.base import Asked, Attack, Norm
from bench.attacks.declared import declared_attacks
from bench.data.base import Samples
from bench.errors import UserError
from bench.functional.attacks.allowed import FURTHER, brought_back, lengths
from bench.probes.attack_options import (
    AttackProbe,
    Attacks,
    NormOption,
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

FINEST = 1 / 510  # of the bounds' span, half a step of an 8-bit pixel: nearer inputs are not told apart
HALVINGS = 10  # of the way on which the class changes
CONFIRMED_AT: dict[Norm, tuple[float, float]] = {"linf": (2 / 255, 8 / 255), "l2": (0.25, 1.0)}  # of the bounds' span


@parameters
class MinimumNormOptions(NormOption):
    """Which attacks look for the nearest input, and where their curve is confirmed."""

    attacks: Attacks = ("fmn[steps=30,targets=2]",)
    confirmed_at: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...] | None,
        Field(description="radii at which Auto-PGD looks for what was missed; 2/255 and 8/255 of the span by default"),
    ] = None
    confirming_steps: Annotated[int, Field(ge=1, description="of Auto-PGD at each of these radii")] = 25

    @model_validator(mode="after")
    def _declared(self) -> MinimumNormOptions:
        """Refuse attacks that look for no nearest input."""
        try:
            chosen = declared_attacks(self.attacks, self.norm)
        except UserError as error:
            raise ValueError(str(error)) from None
        for attack in chosen:
            if not attack.nearest:
                raise ValueError(f"attacks: {attack.name} does not look for the nearest input; take fmn or deepfool")
        return self

    def radii(self, bounds: tuple[float, float]) -> tuple[float, ...]:
        """The radii at which the curve is confirmed, in units of the bounds."""
        if self.confirmed_at is not None:
            return self.confirmed_at
        return tuple(share * (bounds[1] - bounds[0]) for share in CONFIRMED_AT[self.norm])


@probes.register("minimum-norm")
@parameters
class MinimumNorm(MinimumNormOptions, AttackProbe):
    """The distance of the nearest input of another class that was found, judged on the network as it runs.

    ``distance`` (n,), in units of the input: 0 of a sample that is wrong itself, and the distance of the farthest input
    there is where none was found (``reached`` 0). ``log_distance`` (n,): its logarithm, of half an 8-bit step where it
    is less. ``missed`` (n, radii): 1 where Auto-PGD at that radius found an input
    though the attacks had found none so near; its distance counts then. ``radii``, in units of the input.
    """

    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")
    arrays: ClassVar[tuple[str, ...]] = (
        "clean_correct",
        "distance",
        "log_distance",
        "reached",
        "missed",
        "zero_gradient",
    )
    labelled: ClassVar[bool] = True
    gradients: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def parameters(self) -> dict[str, Any]:
        """All parameters, and the versions of the attacks."""
        return {**super().parameters(), "versions": versions(declared_attacks(self.attacks, self.norm))}

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """Every attack on every sample that the network gets right, then the check at each radius."""
        chosen = declared_attacks((*self.attacks, f"apgd-ce[steps={self.confirming_steps}]"), self.norm)
        assert by_gradients(chosen)
        classes = attacked_classes(samples, context)
        with gradient_view(predictor, context) as view:
            if not view.alive:
                return view.nothing()
            asked = asked_of(predictor, samples, classes, context, norm=self.norm, epsilon=None, view=view)
            clean = asked.scores(asked.x).argmax(axis=1) == classes
            search = Nearest(asked, np.flatnonzero(clean))
            for attack in chosen[:-1] if search.rows.size else ():
                for turn in range(attack.rounds):
                    found = attack.run(search.round(turn))
                    for candidate in found.candidates:
                        search.take(candidate)
            radii = self.radii(asked.bounds)
            missed = [search.confirm(chosen[-1], radius) for radius in radii]
        distance = np.where(clean, search.distance, 0.0)
        notes = {**view.notes(), **whose(samples), "radii": list(radii)}
        return Observation(
            {
                "clean_correct": clean.astype(np.uint8),
                "distance": distance,
                "log_distance": np.log(np.maximum(distance, (asked.bounds[1] - asked.bounds[0]) * FINEST)),
                "reached": (search.reached | ~clean).astype(np.uint8),
                "missed": np.stack(missed, axis=1).astype(np.uint8) if missed else np.zeros((len(clean), 0), np.uint8),
                "zero_gradient": search.zero_gradient.astype(np.uint8),
            },
            notes,
        )

    def invalid(self, observation: Observation) -> str | None:
        """The reason why no gradient is alive; None where some are."""
        return dead_gradients(observation)


class Nearest:
    """The nearest input of another class so far, of those samples that are attacked."""

    def __init__(self, asked: Asked, rows: NDArray[np.intp]) -> None:
        low, high = asked.bounds
        self.asked = asked
        self.rows = rows
        self.distance = lengths(np.maximum(asked.x - low, high - asked.x), asked.norm)
        self.reached = np.zeros(len(asked.x), dtype=bool)
        self.zero_gradient = np.zeros(len(asked.x), dtype=bool)

    def round(self, turn: int) -> Asked:
        """The samples that are attacked, for one round."""
        return replace(self.asked.take(self.rows), round=turn)

    def take(self, candidates: NDArray[np.float32], rows: NDArray[np.intp] | None = None) -> None:
        """Look along the way to each candidate for the first input of another class, and keep what is nearer."""
        rows = self.rows if rows is None else rows
        if not rows.size:
            return
        asked = self.asked.take(rows)
        change = candidates.astype(np.float64) - asked.x
        shape = (-1, *[1] * (change.ndim - 1))

        def at(share: NDArray[np.float64]) -> NDArray[np.float32]:
            points = asked.x + share.reshape(shape) * change
            return np.clip(points, *asked.bounds).astype(np.float32)

        def fooled(share: NDArray[np.float64]) -> NDArray[np.bool_]:
            return np.asarray(asked.scores(at(share)).argmax(axis=1) != asked.labels)

        high = np.ones(len(rows))
        found = np.zeros(len(rows), dtype=bool)
        for share in FURTHER:
            high[~found] = share
            found |= fooled(high)
            if found.all():
                break
        low = np.zeros(len(rows))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            success = fooled(middle)
            high, low = np.where(success, middle, high), np.where(success, low, middle)
        far = lengths(at(high).astype(np.float64) - asked.x, asked.norm)
        nearer = found & (far < self.distance[rows])
        self.distance[rows[nearer]] = far[nearer]
        self.reached[rows[found]] = True

    def confirm(self, attack: Attack, radius: float) -> NDArray[np.bool_]:
        """Where an attack within the radius succeeds though nothing so near was found: (n,); what it found is kept."""
        missed = np.zeros(len(self.distance), dtype=bool)
        rows = self.rows[self.distance[self.rows] > radius]
        if not rows.size:
            return missed
        left = replace(self.asked.take(rows), epsilon=radius)
        found = attack.run(left)
        self.zero_gradient[rows] |= found.flags["zero_gradient"]
        for candidate in found.candidates:
            points = brought_back(left.x, candidate, left.norm, radius, left.bounds)
            success = left.scores(points).argmax(axis=1) != left.labels
            missed[rows[success]] = True
            self.take(points[success], rows[success])
        return missed
