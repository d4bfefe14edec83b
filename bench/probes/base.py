"""A probe is a question to a network on a target; an observation is the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.data.base import EVALUATION, Samples
from bench.errors import NotApplicable
from bench.registry import Registry, parameters
from bench.runtimes.base import Predictor

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
TRIAL = 64  # samples on which a differentiable view is compared with what runs


@dataclass(frozen=True, eq=False)
class Observation:
    """A network's answer: arrays of numbers, and notes that JSON can hold."""

    arrays: Arrays
    notes: dict[str, Any] = field(default_factory=dict)


class Background(NamedTuple):
    """Samples that stand for the data: of the calibration split; where that is empty, the first evaluated ones."""

    x: NDArray[np.float32]
    split: Literal["calibration", "evaluation"]

    @classmethod
    def of(cls, calibration: NDArray[np.float32], trial: NDArray[np.float32]) -> Background:
        """The background of a data set."""
        return cls(calibration, "calibration") if len(calibration) else cls(trial, "evaluation")


@dataclass(frozen=True, eq=False)
class Context:
    """The context of an answer: what it may use beside the network and the samples."""

    seed: int  # every random number: ``streams.generator(label, seed, sample id, ...)``
    draw: int = 0  # which independent draw, of random observations
    floor: bool = False  # an arithmetic re-run: no random choice may differ from draw 0
    count: int = 0  # samples that are asked for altogether; 0: those at hand
    trial: NDArray[np.float32] | None = None  # the first samples of the evaluation set, the same for every block
    reference: Mapping[str, Observation] = field(default_factory=dict)  # by probe: what the probe ``needs``
    opposite: Predictor | None = None  # of a pair probe: the reference
    background: Background | None = None  # of a probe that looks at one

    def needed(self, probe: str) -> Arrays:
        """The reference's arrays of a probe; one that was not declared as needed raises ``LookupError``."""
        if probe not in self.reference:
            raise LookupError(f"the reference's {probe!r} was not declared in needs")
        return self.reference[probe].arrays


@parameters
class Probe(ABC):
    """A frozen dataclass of parameters with ``ask``; ``@probes.register("name")``.

    ``reads``: ``rows``, where each row of an answer is one sample's and stands alone, so that one answer serves every
    number of samples, and is asked for in blocks; ``set``, where an answer belongs to the whole set of samples;
    ``nothing``, where it does not look at them. Of a ``rows`` probe every array has the samples' axis first, and the
    notes are the same in each block.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ("torch",)  # their versions enter the key
    arrays: ClassVar[tuple[str, ...]]  # names of all arrays that an answer may hold
    reads: ClassVar[Literal["rows", "set", "nothing"]] = "rows"
    labelled: ClassVar[bool] = False  # needs labels, which enter its key
    gradients: ClassVar[bool] = False  # needs input gradients; the view's version enters the key
    timing: ClassVar[bool] = False  # the machine enters the key
    random: ClassVar[bool] = False  # the seed enters the key
    needs_background: ClassVar[bool] = False  # looks at the calibration split, which enters the key
    pair: ClassVar[bool] = False  # asks the reference and another network together

    def __init_subclass__(cls) -> None:
        """A name of its own, so that no answer is taken for that of the class it is made from."""
        if "name" not in cls.__dict__:
            cls.name = f"{cls.__module__}:{cls.__qualname__}"

    @property
    def asked_on(self) -> str:
        """The samples that it is asked on, all of them where they are not the evaluation split (``Dataset.sets``).

        Their fingerprints enter its key, and nothing of the evaluation split does. Rows of its arrays are these
        samples': what is derived of them and of evaluation samples declares ``rows=False``, or a 0-d array first.
        """
        return EVALUATION

    @property
    def needs(self) -> tuple[Probe, ...]:
        """Probes whose answers by the reference, on the same target, are put into the context."""
        return ()

    @property
    def in_place_of_labels(self) -> tuple[Probe, ...]:
        """What it needs too where the samples have no labels."""
        return ()

    def needed_for(self, *, labelled: bool) -> tuple[Probe, ...]:
        """Probes whose answers by the reference are put into the context, on samples with labels or without."""
        return self.needs if labelled else (*self.needs, *self.in_place_of_labels)

    @abstractmethod
    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """The network's answer; what it cannot be asked raises ``NotApplicable`` with the reason."""

    def invalid(self, observation: Observation) -> str | None:
        """Why an answer means nothing, or None: what is invalid is skipped with this reason."""
        return None

    def entries(self, inputs: int, classes: int) -> int:
        """Numbers in one sample's row, for the size of blocks."""
        return classes

    def parameters(self) -> dict[str, Any]:
        """All parameters, as JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


class PairProbe(Probe):
    """A question to the reference and another network together; its key holds both."""

    pair: ClassVar[bool] = True

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """The answer of the pair."""
        assert context.opposite is not None
        return self.ask_pair(context.opposite, predictor, samples, context)

    @abstractmethod
    def ask_pair(self, reference: Predictor, variant: Predictor, samples: Samples, context: Context) -> Observation:
        """The answer of both networks in turn, or about their difference."""


def labels_of(samples: Samples) -> NDArray[np.int64]:
    """The labels; without any raises ``NotApplicable``."""
    if samples.y is None:
        raise NotApplicable("needs labels; the data has none")
    return samples.y


probes: Registry[type[Probe]] = Registry("probe", "bench.probes")
