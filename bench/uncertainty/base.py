"""The contract of an uncertainty method: an architecture and a recipe in, one network of several members out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Protocol

from pydantic import Field

from bench.models.base import Model, Progress, Recipe
from bench.networks.network import Combine, InputSpec
from bench.registry import Registry, parameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn


class Labelled(Protocol):
    """Training data: samples (n, ...) and their labels (n,)."""

    @property
    def x(self) -> NDArray[np.float32]:
        """Samples in the user's bounds."""

    @property
    def y(self) -> NDArray[np.int64] | None:
        """Labels, where there are any."""


@parameters
class Method(ABC):
    """A frozen dataclass of parameters; ``@methods.register("name")``. The base of all uncertainty methods.

    Everything random is drawn in training and stored with the weights: member k is the same function every time.
    """

    members: Annotated[int, Field(ge=2, description="networks in one")] = 5
    combine: Annotated[Combine, Field(description="how members become one answer")] = "mean_probability"

    name: ClassVar[str]
    version: ClassVar[int] = 1  # rises when the same parameters train another network

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Raise ``UserError`` with the reason where the network or the recipe cannot carry the method."""
        self.build(model, declared)

    @abstractmethod
    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The untrained module (n, ...) -> (n, members, classes), initialised from torch's current generator."""

    def initialised(self, model: Model, declared: InputSpec, seed: int) -> nn.Module:
        """The untrained module of a seed, in eval mode; the global generator is left as it was."""
        from bench.models.training import reproducible

        with reproducible("initialise", seed):
            return self.build(model, declared).eval()

    @abstractmethod
    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """The trained module in eval mode; everything random comes from the seed."""

    def answers(self, declared: InputSpec) -> InputSpec:
        """The declaration of what comes out, of that of one member."""
        return replace(declared, members=self.members, combine=self.combine)

    def canonical(self) -> dict[str, Any]:
        """Name, version and parameters, for keys and records."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"method": self.name, "version": self.version, "parameters": values}


HELPERS: Final = (
    "gated",
    "grouping",
    "landscape",
    "masked",
    "output_layer",
    "placing",
    "unit_importance",
    "weight_space",
    "weight_vectors",
)

methods: Registry[type[Method]] = Registry("method", "bench.uncertainty", HELPERS)
