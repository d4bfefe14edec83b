"""A checked suite: every name resolved, every parameter an object, matrices expanded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.compression.base import Step
from bench.data.base import Loader
from bench.data.sources.base import Source
from bench.metrics.base import Metric
from bench.models.base import Model, Recipe
from bench.outside_networks.held import Held
from bench.probes.adversarial_inputs import AdversarialInputs
from bench.results import Rule
from bench.results.run import YardstickKind
from bench.runtimes.base import Target
from bench.uncertainty.base import Method


@dataclass(frozen=True)
class Outside:
    """A network that was not made here: an ONNX file, a factory with an optional checkpoint, or one held in memory."""

    onnx: Path | None = None
    factory: str | None = None  # "module:object", a callable that returns a torch module
    checkpoint: Path | None = None  # safetensors
    held: Held | None = None  # in place of all three
    input: dict[str, Any] = field(default_factory=dict)  # as InputSpec.canonical, where it differs from the data's

    @property
    def title(self) -> str:
        """The name of the network: a file's name, a factory, or what the object in memory is."""
        if self.held is not None:
            return self.held.title
        if self.onnx is not None:
            return self.onnx.name
        return f"{self.factory}@{self.checkpoint.name}" if self.checkpoint else str(self.factory)

    @property
    def sources(self) -> dict[str, Any]:
        """The sources of the network, as ``load_outside`` takes them."""
        return {"onnx": self.onnx, "factory": self.factory, "checkpoint": self.checkpoint, "held": self.held}


@dataclass(frozen=True)
class Reference:
    """The original network: an architecture trained by a recipe, or one from outside."""

    model: Model | None = None
    recipe: Recipe | None = None
    method: Method | None = None  # that makes several members of the model
    outside: Outside | None = None
    weights: Path | None = None  # a folder with trained weights of the reference and the yardsticks


@dataclass(frozen=True)
class Yardstick:
    """The yardsticks of a suite: retrained seeds, declared weight noise, or networks that were given."""

    retrained: int = 0
    weight_noise: float | None = None  # an accuracy loss
    weight_noise_sigma: float | None = None  # or the noise itself, relative to each tensor's spread
    count: int = 4  # how many noisy copies
    outside: tuple[Outside, ...] = ()  # or networks from outside that stand on a par with the reference

    @property
    def noisy(self) -> bool:
        """Whether noisy copies stand in for retrained networks."""
        return self.weight_noise is not None or self.weight_noise_sigma is not None

    @property
    def kind(self) -> YardstickKind:
        """The kind of the yardsticks; networks that were given go before all else."""
        if self.outside:
            return "given"
        if self.noisy:
            return "weight-noise"
        return "retrained" if self.retrained else "none"


@dataclass(frozen=True)
class Gate:
    """A tolerance on one value of a metric."""

    value: str
    rule: Rule
    tolerance: float
    per: Literal["class"] | None = None  # every class apart
    margin: float | None = None  # how much worse than a baseline it may be, where that is not the tolerance


@dataclass(frozen=True)
class MetricUse:
    """A metric with its parameters, and the gates on its values."""

    metric: Metric
    gates: tuple[Gate, ...] = ()
    targets: tuple[str, ...] | None = None  # names of those that it is measured on; None: all

    def on(self, target: str) -> bool:
        """Whether it is measured on the target of that name."""
        return self.targets is None or target in self.targets


@dataclass(frozen=True)
class Variant:
    """The reference after a chain of steps, or an outside network after one."""

    name: str
    steps: tuple[Step, ...] = ()
    outside: Outside | None = None
    targets: tuple[str, ...] | None = None  # all that can run it by default
    stages: bool = False  # measure every stage of its chain too


@dataclass(frozen=True)
class Series:
    """Variants by rising strength of their compression, and the values to look at along them."""

    name: str
    points: tuple[tuple[str, float], ...]  # variant, strength
    values: tuple[str, ...]  # metric.value
    axis: str = ""
    reference: float | None = None  # the strength of no compression


@dataclass(frozen=True)
class Landscape:
    """What is looked at in the weight space of a reference of several members."""

    name: str
    samples: int | None = None  # the first n of the evaluation order, else all
    points: int = 21  # on a line or curve
    draws: int = 20  # points of a simplex beside its vertices, middles of edges and centre
    grid: int = 15  # points a side of the plane through three modes; 0: no plane
    margin: float = 0.2  # of the plane beyond the modes, as a share of their extent
    batch_norm_samples: int | None = None  # training samples; the method's own number, else 512


@dataclass(frozen=True)
class Exemplars:
    """Variants whose exemplars are looked for, over every reference and yardstick."""

    name: str
    variants: tuple[str, ...]  # names
    targets: tuple[str, ...]  # names
    samples: int | None = None  # the first n of the evaluation order, else all
    shown: int = 12  # exemplars with pictures


@dataclass(frozen=True)
class Transfers:
    """A transfer matrix: the attack, and the networks on which inputs are made and judged."""

    name: str
    variants: tuple[str, ...]  # names
    targets: tuple[str, ...]  # names
    inputs: AdversarialInputs
    yardsticks: int | None = None  # the first so many, else all
    samples: int | None = None  # the first n of the evaluation order, else all


@dataclass(frozen=True)
class Equivalents:
    """Networks whose deep-ensemble equivalent is looked for, and the pool of single networks beside them."""

    name: str
    variants: tuple[str, ...]  # names
    targets: tuple[str, ...]  # names
    networks: int = 24  # of the pool
    weights: Path | None = None  # a folder that holds the pool
    samples: int | None = None  # the first n of the evaluation order, else all


@dataclass(frozen=True)
class Suite:
    """Everything a run needs; nothing in it depends on the machine but the paths of outside files."""

    name: str
    path: Path
    loader: Loader
    evaluation: int
    calibration: int
    reference: Reference
    yardstick: Yardstick
    targets: tuple[Target, ...]
    variants: tuple[Variant, ...]
    metrics: tuple[MetricUse, ...]
    replicates: int = 1
    seed: int = 0
    spare_calibration: bool = False  # nobody asked for calibration samples, and no step demands any
    ood: dict[str, Source] = field(default_factory=dict)  # samples out of distribution, by name
    series: tuple[Series, ...] = ()
    landscapes: tuple[Landscape, ...] = ()
    exemplars: tuple[Exemplars, ...] = ()
    transfers: tuple[Transfers, ...] = ()
    equivalents: tuple[Equivalents, ...] = ()
    not_applicable: tuple[str, ...] = ()  # cells that may be skipped though they are gated
    document: dict[str, Any] = field(default_factory=dict)  # as written, after ``extends``
