"""The class probabilities of a network on images under natural corruptions."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

import numpy as np
from pydantic import AfterValidator, Field

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.functional.corruptions.base import LEVELS, corrupt, corruptions
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.input_bounds import check_bounds
from bench.probes.logits import log_probabilities
from bench.registry import nearest, parameters
from bench.runtimes.base import Predictor

T = TypeVar("T")
KINDS = (
    "gaussian-noise",
    "shot-noise",
    "impulse-noise",
    "defocus-blur",
    "motion-blur",
    "brightness",
    "contrast",
    "jpeg",
    "pixelate",
    "shift",
    "rotation",
)


def _known(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse kinds that there are none of, or that are named twice."""
    for kind in kinds:
        if kind not in corruptions.names():
            raise ValueError(f"unknown corruption {kind!r}; {nearest(kind, corruptions.names())}")
    return _once(kinds)


def _once(items: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(items)) < len(items):
        raise ValueError("one is named twice; name each once")
    return items


Kinds: TypeAlias = Annotated[
    tuple[str, ...], Field(min_length=1, description="which corruptions"), AfterValidator(_known)
]
Severities: TypeAlias = Annotated[
    tuple[Annotated[int, Field(ge=1, le=LEVELS)], ...],
    Field(min_length=1, description=f"which of the severities 1 to {LEVELS}"),
    AfterValidator(_once),
]


@parameters
class CorruptionOptions:
    """Which corruptions a probe or metric looks at."""

    kinds: Kinds = KINDS
    severities: Severities = tuple(range(1, LEVELS + 1))


@probes.register("corrupted-logits")
@parameters
class CorruptedLogits(CorruptionOptions, Probe):
    """``corrupted_log_probabilities`` (n, kinds, severities, classes) float64, nats, of corrupted images.

    Every network sees the same images: random numbers are keyed by kind, seed and sample.
    """

    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy", "scipy", "pillow")
    arrays: ClassVar[tuple[str, ...]] = ("corrupted_log_probabilities",)
    random: ClassVar[bool] = True

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """The log-probabilities, as ``logits`` has them."""
        bounds = predictor.spec.input.bounds
        for kind in self.kinds:
            if refusal := corruptions.get(kind).refusal(samples.x.shape[1:]):
                raise NotApplicable(refusal)
        check_bounds(predictor, samples.x)
        rows = [
            [
                log_probabilities(
                    predictor, corrupt(samples.x, kind, strength, samples.ids, seed=context.seed, bounds=bounds)
                )
                for strength in strengths
            ]
            for kind, strengths in self.strengths().items()
        ]
        return Observation({"corrupted_log_probabilities": np.moveaxis(np.array(rows), 2, 0)})

    def entries(self, inputs: int, classes: int) -> int:
        """Numbers in one sample's row."""
        return len(self.kinds) * len(self.severities) * classes

    def strengths(self) -> dict[str, list[float]]:
        """The strengths of each kind, one for each severity."""
        return {kind: [corruptions.get(kind).severities[level - 1] for level in self.severities] for kind in self.kinds}

    def parameters(self) -> dict[str, Any]:
        """All parameters, and the strengths that they stand for: another table is another question."""
        return {**super().parameters(), "strengths": self.strengths()}
