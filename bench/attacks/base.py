"""An attack: one method that looks for inputs near samples which a network gets wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.registry import Registry, parameters
from bench.stats.streams import generator

if TYPE_CHECKING:
    import torch
    from torch import nn

Norm: TypeAlias = Literal["linf", "l2"]
Access: TypeAlias = Literal["gradients", "scores", "classes"]
Images: TypeAlias = NDArray[np.float32]


class Differentiable(Protocol):
    """A network one can differentiate, in the user's input space."""

    @property
    def module(self) -> nn.Module:
        """Inputs (n, ...) to logits (n, classes)."""

    def each_batch(
        self, compute: Callable[..., tuple[torch.Tensor, ...]], *columns: NDArray[Any]
    ) -> list[NDArray[Any]]:
        """Apply ``compute`` to the columns' rows in batches of one size; its tensors joined again."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What an attack is given: samples that the network gets right, and how it may ask the network."""

    x: Images  # (n, ...) within the bounds
    labels: NDArray[np.int64]  # (n,)
    ids: tuple[str, ...]
    seed: int
    norm: Norm
    epsilon: float | None  # largest change; None: the nearest is looked for
    bounds: tuple[float, float]
    classes: int  # how many the network has
    scores: Callable[[Images], NDArray[np.float64]]  # of the network as it runs: (m, ...) to log-probabilities
    view: Differentiable | None = None  # of an attack by gradients
    round: int = 0  # which of the attack's rounds this is

    def take(self, rows: NDArray[np.intp]) -> Asked:
        """The same of these samples alone."""
        return replace(self, x=self.x[rows], labels=self.labels[rows], ids=tuple(self.ids[row] for row in rows))

    def generators(self, name: str, *words: str | int) -> list[np.random.Generator]:
        """A generator for each sample, the same whatever the network, the other samples and their order."""
        return [generator(f"adversarial.{name}", self.seed, sample, *words) for sample in self.ids]

    @property
    def gradients(self) -> Differentiable:
        """The view that gradients are taken of."""
        assert self.view is not None, "an attack by gradients was asked without a view"
        return self.view


@dataclass(frozen=True, eq=False)
class Found:
    """What an attack found: inputs to judge on the network as it runs, and per-sample figures of how it went.

    A candidate need not lie within epsilon, and need not succeed: the set brings it back, and judges.
    """

    candidates: tuple[Images, ...]  # (n, ...) each
    queries: NDArray[np.int64] | None = None  # (n,), of the network as it runs
    flags: dict[str, NDArray[np.bool_]] = field(default_factory=dict)  # (n,) each: zero_gradient, rising


@parameters
class Attack(ABC):
    """A frozen dataclass of parameters with ``run``; ``@attacks.register("name")``."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ("torch",)  # beside the network's own; their versions enter the key
    access: ClassVar[Access] = "gradients"  # what it asks of a network
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")
    nearest: ClassVar[bool] = False  # it looks for the nearest input, whatever epsilon is

    @abstractmethod
    def run(self, asked: Asked) -> Found:
        """Look for inputs that the network gets wrong."""

    @property
    def rounds(self) -> int:
        """How often it is run, each time on what is left: restarts, or targets."""
        return 1

    def parameters(self) -> dict[str, Any]:
        """All parameters, as JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


attacks: Registry[type[Attack]] = Registry(
    "attack", "bench.attacks", ("base", "decisions", "declared", "nearest", "starts")
)
