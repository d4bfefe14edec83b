"""What probes of attacks share: the options, the labels that are attacked, the checks of inputs."""

from __future__ import annotations

from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from bench.attacks.base import Asked, Attack, Norm
from bench.attacks.declared import declared_attacks
from bench.data.base import Samples
from bench.errors import UserError
from bench.probes.base import Context, Probe
from bench.probes.gradient_view import View
from bench.probes.input_bounds import check_bounds
from bench.probes.logits import Logits, log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor

DEFAULT_SET: Final = ("apgd-ce", "apgd-t", "fmn", "square[queries=1000]")
SETS: Final = {"default": DEFAULT_SET, "slow": (*DEFAULT_SET[:-1], "square[queries=5000]")}


def expanded(given: Any) -> Any:
    """Attacks with every named set in full; what is no list of texts is left to be refused.

    >>> expanded(["slow", "nes"])[-2:]
    ('square[queries=5000]', 'nes')
    """
    if not isinstance(given, list | tuple):
        return given
    return tuple(each for item in given for each in (SETS.get(item, (item,)) if isinstance(item, str) else (item,)))


Attacks = Annotated[
    tuple[str, ...],
    BeforeValidator(expanded),
    Field(description="attacks in the order in which they are run, with parameters; default and slow name whole sets"),
]


@parameters
class NormOption:
    """The norm in which a change of the input is measured."""

    norm: Annotated[Norm, Field(description="of a change of the input")] = "linf"


@parameters
class AttackSetOptions(NormOption):
    """How far attacks may go, and which are declared."""

    epsilon: Annotated[float, Field(gt=0, description="largest change, in the units of the bounds")]
    attacks: Attacks = DEFAULT_SET
    pixel_grid: Annotated[bool, Field(description="whether found inputs are rounded to 8-bit pixels and judged so")] = (
        False
    )

    @model_validator(mode="after")
    def _declared(self) -> AttackSetOptions:
        """Refuse a set that cannot be run."""
        try:
            declared_attacks(self.attacks, self.norm)
        except UserError as error:
            raise ValueError(str(error)) from None
        return self


@parameters
class AttackProbe(Probe):
    """The base of probes of attacks: labels, or the reference's classes where there are none."""

    @property
    def in_place_of_labels(self) -> tuple[Probe, ...]:
        """The reference's classes are attacked where the samples have no labels."""
        return (Logits(),)


def attacked_classes(samples: Samples, context: Context) -> NDArray[np.int64]:
    """The classes (n,) that are attacked: labels, or what the reference gives where there are none."""
    if samples.y is not None:
        return samples.y
    return np.asarray(context.needed("logits")["log_probabilities"].argmax(axis=1), dtype=np.int64)


def whose(samples: Samples) -> dict[str, str]:
    """The note that says which classes were attacked."""
    return {"attacked": "labels" if samples.y is not None else "the reference's classes"}


def asked_of(
    predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context, *,
    norm: Norm, epsilon: float | None, view: View | None,
) -> Asked:  # fmt: skip
    """What attacks are given of a network and samples."""

    def scores(x: NDArray[np.float32]) -> NDArray[np.float64]:
        return log_probabilities(predictor, x)

    bounds = check_bounds(predictor, samples.x)
    count = len(predictor.spec.input.classes) or scores(samples.x[:1]).shape[1]  # nobody need declare any
    return Asked(samples.x, classes, samples.ids, context.seed, norm, epsilon, bounds, count, scores, view)


def by_gradients(attacks: tuple[Attack, ...]) -> bool:
    """Whether one of the attacks follows gradients."""
    return any(attack.access == "gradients" for attack in attacks)


def versions(attacks: tuple[Attack, ...]) -> dict[str, Any]:
    """The versions of attacks, for the key."""
    return {attack.name: attack.version for attack in attacks}
