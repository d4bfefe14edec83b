"""The contract of a metric: observe one network, declare values; the scale is derived elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.registry import Registry, parameters
from bench.runtimes.base import Predictor
from bench.stats.figure import recentred
from bench.stats.resampling import Resamples

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Float: TypeAlias = NDArray[np.float64]
Weights: TypeAlias = NDArray[np.floating[Any]]
Family = Literal["fidelity", "lipschitz", "adversarial", "attribution", "uncertainty", "cost"]
Better = Literal["lower", "higher", "none"]


@dataclass(frozen=True)
class Change:
    """How different two networks are, sample by sample."""

    name: str
    distance: Callable[[Arrays, Arrays], Float]  # (n,), zero for equal arrays, symmetric
    power: Literal[1, 2]
    unit: str = ""
    count: bool = False  # distances are 0 or 1: exact intervals
    largest: float = inf  # largest distance there is: no limit lies beyond it
    coupling: Literal["common", "independent"] = "common"
    kind: ClassVar[Literal["change"]] = "change"


@dataclass(frozen=True)
class Quality:
    """A network's own figure; harm is how much worse it became."""

    name: str
    statistic: Callable[[Arrays, Weights], Float]  # (arrays, weights (B, n)) -> (B,); weights sum to n a row
    better: Better
    unit: str = ""
    interval: Literal["bootstrap", "score", "none"] = "bootstrap"  # score: ``per_sample`` is 0 or 1
    per_sample: Callable[[Arrays], Float] | None = None  # (n,): for score intervals, and for plain means
    log: bool = False  # harm is a difference of logarithms
    debiased: bool = False  # unbiased itself, while its resampled values are not: draws are centred on the figure
    largest: float = inf  # the most that the figures of two networks can differ by
    why_no_interval: str = ""
    kind: ClassVar[Literal["quality"]] = "quality"

    def draws(self, arrays: Arrays, resamples: Resamples) -> Float:
        """The figure in each resample (B,), centred where the resampled values are biased."""
        found = resamples.statistic(self.statistic, arrays)
        if not self.debiased:
            return found
        whole = self.statistic(arrays, np.ones((1, resamples.n)))
        return recentred(found, float(whole[0]))


@dataclass(frozen=True)
class Pair:
    """A quality of a (reference, variant) pair, from ``Metric.measure``; its scale are (reference, yardstick) pairs."""

    name: str
    statistic: Callable[[Arrays, Weights], Float]
    better: Better
    unit: str = ""
    kind: ClassVar[Literal["pair"]] = "pair"

    def draws(self, arrays: Arrays, resamples: Resamples) -> Float:
        """The figure in each resample (B,)."""
        return resamples.statistic(self.statistic, arrays)


@dataclass(frozen=True)
class BoundFigures:
    """What is known of one network's constant: it lies in [lower, upper]; None where nothing is."""

    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Bound:
    """A bound on a constant of the network; the true ratio lies in an interval, no sampling is involved."""

    name: str
    figures: Callable[[Arrays], BoundFigures]
    evidence: Literal["certified", "estimate", "lower"]
    norm: str
    domain: str
    unit: str = ""
    better: Better = "lower"
    kind: ClassVar[Literal["bound"]] = "bound"


@dataclass(frozen=True)
class Cost:
    """A figure of the artefact on its target."""

    name: str
    figure: Callable[[Arrays], float | None]
    unit: str
    better: Better = "lower"
    timing: bool = False  # comparable only on an equal machine fingerprint
    reference: Callable[[Arrays], float | None] | None = None  # the reference's, from the same interleaved measurement
    why: Callable[[Arrays], str] | None = None  # why there is no figure; empty where there is one
    kind: ClassVar[Literal["cost"]] = "cost"


Value: TypeAlias = Change | Quality | Pair | Bound | Cost


@dataclass(frozen=True)
class Observing:
    """What an observation may use beside the network and the samples."""

    seed: int  # every random number: ``streams.generator(metric name, seed, sample id, ...)``
    draw: int = 0  # which independent draw, for stochastic observations
    anchor: NDArray[np.int64] | None = None  # (n,) the reference's classes, for metrics with ``anchored``
    floor: bool = False  # an arithmetic re-run: no random choice may differ from draw 0


@parameters
class Metric(ABC):
    """A frozen dataclass of parameters with ``observe`` and ``values``; ``@metrics.register("family.name")``."""

    samples: Annotated[int | None, Field(gt=0, description="the first n of the evaluation order, else all")] = None

    name: ClassVar[str]
    family: ClassVar[Family]
    version: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    labelled: ClassVar[bool] = False  # needs labels
    gradients: ClassVar[bool] = False  # needs input gradients
    anchored: ClassVar[bool] = False  # needs the reference's classes
    timing: ClassVar[bool] = False  # keyed on the machine
    interleaved: ClassVar[bool] = False  # measured in turn with the reference, by ``measure``
    values: ClassVar[tuple[Value, ...]]
    headline: ClassVar[str | None] = None  # the change that stands for the family where this metric does

    @abstractmethod
    def observe(self, predictor: Predictor, samples: Samples, observing: Observing) -> dict[str, NDArray[Any]]:
        """What the network shows: arrays whose first axis is the samples', or figures of the whole network."""

    def measure(
        self, reference: Predictor, variant: Predictor, samples: Samples, observing: Observing
    ) -> dict[str, NDArray[Any]]:
        """What a pair shows, for ``pair`` values and interleaved timings."""
        raise TypeError(f"{self.name} declares a pair value and has no measure")

    def protocol(self) -> dict[str, Any]:
        """What a reader must know to repeat the number."""
        return self.parameters()

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Curves and diagnostics of one network, JSON only."""
        return {}

    def parameters(self) -> dict[str, Any]:
        """All parameters but ``samples``, as JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "samples"}


metrics: Registry[type[Metric]] = Registry("metric", "bench.metrics")
