"""The kinds of values that a metric declares over named arrays; intervals, gaps and harms come from ``stats``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.data.base import EVALUATION
from bench.stats.figure import recentred
from bench.stats.resampling import Resamples, Weights

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = Mapping[str, Array]
Float: TypeAlias = NDArray[np.float64]
Better = Literal["lower", "higher", "none"]

LABELS, IDS = "labels", "ids"  # of the samples; they enter the keys of what reads them
REFERENCE = "reference."  # before the name of an array: the reference's, on the same samples


def of_reference(name: str) -> str:
    """The name under which the reference's array is read.

    >>> of_reference("log_probabilities")
    'reference.log_probabilities'
    """
    return REFERENCE + name


def labels_on(samples: str) -> str:
    """The name under which the labels of other samples than the evaluation split are read.

    >>> labels_on("calibration")
    'calibration.labels'
    """
    return f"{samples}.{LABELS}"


def ids_on(samples: str) -> str:
    """The name under which the ids of other samples than the evaluation split are read.

    >>> ids_on("calibration")
    'calibration.ids'
    """
    return f"{samples}.{IDS}"


class OfSamples(NamedTuple):
    """What a name says of samples themselves: whose, and whether their labels or ids."""

    samples: str
    what: str


def of_samples(name: str) -> OfSamples | None:
    """Whose labels or ids a name means; None for an array that a network answers.

    >>> of_samples("labels")
    OfSamples(samples='evaluation', what='labels')
    >>> of_samples("calibration.ids")
    OfSamples(samples='calibration', what='ids')
    >>> of_samples("log_probabilities") is of_samples("reference.labels") is None
    True
    """
    samples, dot, what = name.rpartition(".")
    if what not in (LABELS, IDS) or samples + dot == REFERENCE:
        return None
    return OfSamples(samples or EVALUATION, what)


def names(of: str | tuple[str, ...]) -> tuple[str, ...]:
    """One name or several, as several."""
    return (of,) if isinstance(of, str) else tuple(of)


@dataclass(frozen=True)
class Derived:
    """An array that follows from others: pure, made when it is first read, never stored.

    ``function(*of)`` takes arrays in the order named, of observations, of other derived ones, ``LABELS``, ``IDS``,
    those of other samples (``labels_on``, ``ids_on``), or ``of_reference(name)``. ``rows``: each sample's row follows
    from its own rows alone, and from numbers (0-d arrays), so it may be made in blocks.
    """

    name: str
    function: Callable[..., Array]
    of: str | tuple[str, ...]
    rows: bool = True


@dataclass(frozen=True)
class Change:
    """A change: how different two networks are, ``distance(*first, *second) -> (n,)`` of the arrays ``of``.

    A distance is zero for equal arrays, and symmetric. Of a pair probe ``distance`` is None: the array is the distance.
    """

    name: str
    distance: Callable[..., Float] | None
    of: str | tuple[str, ...]
    power: Literal[1, 2]
    unit: str = ""
    count: bool = False  # distances are 0 or 1: exact intervals
    largest: float = inf  # largest distance there is: no limit lies beyond it
    coupling: Literal["common", "independent"] = "common"
    summary: Literal["mean", "worst 5 %", "worst class"] = "mean"  # of the distances; the worst class has no gap
    where: str = ""  # an array of booleans, the reference's: these samples alone, with an n of their own
    by: str = ""  # the array of classes, for the worst class
    alarm: bool = True  # its gap takes part in the family's alarm
    kind: ClassVar[Literal["change"]] = "change"

    @property
    def scale_power(self) -> Literal[1, 2]:
        """The power of the gap: 2 for independent draws, whatever the distance."""
        return 2 if self.coupling == "independent" else self.power


def with_tail(change: Change) -> tuple[Change, Change]:
    """A continuous change and the mean of its worst 5 % beside it: a mean hides the few samples that matter.

    >>> [item.name for item in with_tail(Change("js", None, of="js", power=2))]
    ['js', 'js_worst_5']
    """
    if change.count or change.summary != "mean":
        raise ValueError(f"{change.name!r} has no tail: the worst of a count are all 1")
    return change, replace(change, name=f"{change.name}_worst_5", summary="worst 5 %", alarm=False)


@dataclass(frozen=True)
class _Figure:
    """A network's own figure; harm is how much worse it became."""

    name: str
    of: str
    better: Better
    unit: str = ""
    largest: float = inf  # the most that the figures of two networks can differ by
    log: bool = False  # harm is a difference of logarithms
    kind: ClassVar[Literal["quality"]] = "quality"
    no_interval: ClassVar[str] = ""

    def draws(self, arrays: Arrays, resamples: Resamples) -> Float:
        """The figure in each resample: (B,)."""
        return resamples.means(arrays[self.of])

    def point(self, arrays: Arrays) -> float:
        """The figure of the samples themselves."""
        own = arrays[self.of]
        return float(Resamples.of(np.ones((1, len(own)))).means(own)[0])

    def per_sample(self, arrays: Arrays) -> Float:
        """Contributions (n,), of which the figure is the mean."""
        return np.asarray(arrays[self.of], dtype=np.float64)


@dataclass(frozen=True)
class Mean(_Figure):
    """The mean of an array (n,) over samples."""


@dataclass(frozen=True)
class Proportion(_Figure):
    """The share of samples at which an array (n,) of 0 and 1 is 1: score intervals."""

    unit: str = "proportion"
    largest: float = 1.0


@dataclass(frozen=True)
class Statistic:
    """A figure of the whole set: ``function(*of, weights (B, n)) -> (B,)``; weights sum to n a row."""

    name: str
    function: Callable[..., Any]
    of: str | tuple[str, ...]
    better: Better
    unit: str = ""
    largest: float = inf
    log: bool = False
    recentre: bool = False  # unbiased itself, while its resampled values are not: draws are centred on the figure
    no_interval: str = ""  # why no interval is known to cover
    least: float = -inf  # the range of one network's figure: no limit lies beyond it
    most: float = inf
    undefined: str = (
        ""  # why a network has no figure where the function answers NaN, as for the reference beside itself
    )
    kind: ClassVar[Literal["quality"]] = "quality"
    no_gate: ClassVar[str] = ""  # why no gate can judge it, after its name

    @property
    def paired(self) -> bool:
        """Whether two networks' figures are drawn together, by ``paired_draws``."""
        return False

    def figure(self, arrays: Arrays, weights: Weights) -> Float:
        """The figure under each row of weights (B, n): (B,)."""
        figures = self.function(*(arrays[name] for name in names(self.of)), weights)
        return np.asarray(figures, dtype=np.float64)

    def without_interval(self, *networks: Arrays) -> str:
        """Why there is no interval of the figures of these networks, or of their difference; empty where there is."""
        return self.no_interval

    def point(self, arrays: Arrays) -> float:
        """The figure of the samples themselves."""
        return float(self.figure(arrays, np.ones((1, len(arrays[names(self.of)[0]]))))[0])

    def draws(self, arrays: Arrays, resamples: Resamples) -> Float:
        """The figure in each resample (B,), centred where the resampled values are biased."""
        draws = resamples.statistic(self.function, *(arrays[name] for name in names(self.of)))
        return recentred(draws, self.point(arrays)) if self.recentre else draws

    def paired_draws(self, reference: Arrays, variant: Arrays, resamples: Resamples) -> tuple[Float, Float]:
        """Draws (B,) of two figures, whose difference is that of the resamples."""
        return self.draws(reference, resamples), self.draws(variant, resamples)

    def asked_ahead(
        self, new: Sequence[Arrays], both: tuple[Arrays, Arrays], draws: int
    ) -> tuple[list[Array], list[tuple[Any, ...]]]:
        """What its draws will ask of the resamples: vectors and statistics, as ``Resamples.ahead`` takes them.

        Args:
            new: those of the two networks whose draws are not known yet.
            both: the reference and the variant.
            draws: how many resamples there are.
        """
        return [], [(self.function, *(arrays[name] for name in names(self.of))) for arrays in new]


class BoundFigures(NamedTuple):
    """The bounds of one network's constant, in [lower, upper]; None where nothing is known."""

    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Bound:
    """A bound on a constant of the network; the true ratio lies in an interval, no sampling is involved."""

    name: str
    figures: Callable[..., BoundFigures]
    of: str | tuple[str, ...]
    evidence: Literal["certified", "estimate", "lower"]
    norm: str
    domain: str
    unit: str = ""
    better: Better = "lower"
    kind: ClassVar[Literal["bound"]] = "bound"


@dataclass(frozen=True)
class Cost:
    """A figure of the artefact, a 0-d array, or a quantile of timings (rounds,); it may be absent."""

    name: str
    of: str
    unit: str
    better: Better = "lower"
    quantile: float | None = None
    against: str = ""  # the array of the same observation that holds the reference's; empty: the reference's own
    timing: bool = False  # comparable only on an equal machine fingerprint
    absent: str = ""  # why no probe was asked for it, where none was
    kind: ClassVar[Literal["cost"]] = "cost"

    def figure(self, arrays: Arrays, name: str = "") -> float | None:
        """The figure; None where the array is absent."""
        array = arrays.get(name or self.of)
        if array is None:
            return None
        return float(array) if self.quantile is None else float(np.quantile(array, self.quantile))


Quality: TypeAlias = Mean | Proportion | Statistic
Value: TypeAlias = Change | Quality | Bound | Cost
Scaled = (Change, Mean, Proportion, Statistic)  # kinds that stand beside the yardsticks


def has_interval(value: Quality) -> bool:
    """Whether an interval of the figure is known to cover."""
    return not value.no_interval
