"""The contract of a metric: probes that it asks, arrays derived of their answers, and values declared over them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any, ClassVar, NamedTuple, TypeAlias, cast

from pydantic import Field

from bench.cell_id import canonical_parameters, metric_label
from bench.families import Family as Family
from bench.metrics.values import REFERENCE, Arrays, Change, Cost, Derived, Value, names, of_samples
from bench.probes.base import Probe
from bench.registry import Registry, parameters

SampleLimit: TypeAlias = Annotated[int | None, Field(gt=0, description="the first n of the evaluation order, else all")]


class PicturedInputs(NamedTuple):
    """Names of the arrays that say which images are shown: the largest above 0 in ``order`` (n,) first.

    ``classes`` (n, 2) are what both networks say of them; ``inputs`` (n, channels, height, width) what is shown beside
    the samples, empty for the samples alone.
    """

    order: str
    classes: str
    inputs: str = ""


@parameters
class Metric:
    """A frozen dataclass of parameters with ``probes`` and ``values``; ``@metrics.register("family.name")``.

    Most metrics are data: a tuple of probes (a property where they depend on parameters), derived arrays, and values.
    """

    samples: SampleLimit = None

    name: ClassVar[str]
    family: ClassVar[Family]
    version: ClassVar[int] = 1  # rises when the same observations give other values
    labelled: ClassVar[bool] = False  # without labels the whole cell is skipped
    by_default: ClassVar[bool] = True  # a pair is compared by it where no metric is named
    values: ClassVar[tuple[Value, ...]] = ()
    pictured: ClassVar[str] = ""  # the array of maps whose worst-preserved samples are shown
    pictured_inputs: ClassVar[PicturedInputs | None] = None  # images that are shown, of the variant's answers
    headline: ClassVar[str | None] = None  # the change that stands for the family where this metric does
    starts: ClassVar[str] = ""  # the array (n,) of 0 or 1 of samples that an attack on a pair started from

    def __post_init__(self) -> None:
        """Refuse a declaration that names what is not there."""
        fault = next(faults(self), None)
        if fault is not None:
            raise TypeError(f"metric {type(self).__name__}: {fault}")

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The questions that its values stand on."""
        return ()

    @property
    def derived(self) -> tuple[Derived, ...]:
        """What follows from their answers."""
        return ()

    @property
    def gradients(self) -> bool:
        """Whether a probe needs input gradients."""
        return any(probe.gradients for probe in self.probes)

    @property
    def timing(self) -> bool:
        """Whether a probe looks at a clock, or at memory."""
        return any(probe.timing for probe in self.probes)

    def count(self, available: int) -> int:
        """Samples that it is asked of, where so many are available: ``samples``, else all.

        A limit of the metric's own, its default, gives way to fewer; what was asked for does not (``too_many``).
        """
        return available if self.samples is None else min(self.samples, available)

    def too_many(self, available: int) -> bool:
        """Whether more samples were asked for than there are."""
        return self.samples is not None and self.samples > available and self.samples != self.own_limit()

    @classmethod
    def own_limit(cls) -> int | None:
        """The most samples that it is asked of by default: a number where every sample is costly."""
        (limit,) = (f.default for f in fields(cls) if f.name == "samples")
        return cast("int | None", limit)

    def protocol(self) -> dict[str, Any]:
        """The protocol: all that is needed to repeat the number."""
        return self.parameters()

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Curves and diagnostics of one network, JSON only; what probes noted stands beside them."""
        return {}

    def caution(self, details: Mapping[str, Any]) -> str:
        """What a reader must know of a network before its figures, by its ``details``; empty where there is nothing."""
        return ""

    def parameters(self) -> dict[str, Any]:
        """All parameters but ``samples``, as JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "samples"}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The parameters that have a default, with it."""
        known = {f.name: f.default for f in fields(cls) if f.name != "samples"}
        return {name: value for name, value in known.items() if value is not MISSING}

    @property
    def label(self) -> str:
        """Name and those parameters that are not at their defaults: ``adversarial.pgd[epsilon=0.1]``."""
        return metric_label(self.name, json.loads(canonical_parameters(self.parameters())), self._known_defaults())

    @classmethod
    def _known_defaults(cls) -> dict[str, Any]:
        known: dict[str, Any] = json.loads(canonical_parameters(cls.defaults()))
        return known


def reads(value: Value) -> tuple[str, ...]:
    """The names of all arrays that a value is made of."""
    more = (value.against,) if isinstance(value, Cost) else (value.where, value.by) if isinstance(value, Change) else ()
    return (*names(value.of), *filter(None, more))


def sources(metric: Metric, name: str, given: int | None = None) -> frozenset[str]:
    """The observed arrays that a name stands on, labels and ids among them; the reference's under its prefix.

    A derived array may stand on those that are declared before it: the first ``given`` ones.

    Raises:
        LookupError: there is no such array.
    """
    if of_samples(name):
        return frozenset({name})
    if name.startswith(REFERENCE):
        inner = sources(metric, name.removeprefix(REFERENCE), given)
        return frozenset(item if of_samples(item) else REFERENCE + item for item in inner)
    for index, item in enumerate(metric.derived[:given]):
        if item.name == name:
            return frozenset().union(*(sources(metric, each, index) for each in names(item.of)))
    if any(name in probe.arrays for probe in metric.probes):
        return frozenset({name})
    raise LookupError(f"no probe and nothing derived gives {name!r}")


def faults(metric: Metric) -> Iterator[str]:
    """The faults of a declaration: unknown arrays, names given twice, a headline that is no change."""
    if not metric.probes or not metric.values:
        yield "it declares no probes" if not metric.probes else "it declares no values"
        return
    given = [name for probe in metric.probes for name in probe.arrays] + [item.name for item in metric.derived]
    declared = [value.name for value in metric.values]
    for what, listed in (("array", given), ("value", declared)):
        yield from (f"{what} {name!r} is given twice" for name in sorted({n for n in listed if listed.count(n) > 1}))
    for value in metric.values:
        for name in reads(value):
            try:
                sources(metric, name)
            except LookupError as error:
                if not (isinstance(value, Cost) and value.absent):
                    yield f"value {value.name!r}: {error.args[0]}"
    changes = [value.name for value in metric.values if isinstance(value, Change)]
    if metric.headline is not None and metric.headline not in changes:
        yield f"headline {metric.headline!r} is no change that it declares"


metrics: Registry[type[Metric]] = Registry("metric", "bench.metrics")
