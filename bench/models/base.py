"""Reference networks and training recipes by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from bench.graph.network import InputSpec
from bench.registry import Registry, parameters

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[str], None]


class Model(ABC):
    """An architecture: a frozen dataclass of parameters with one method."""

    name: ClassVar[str]

    @abstractmethod
    def build(self, declared: InputSpec) -> nn.Module:
        """The untrained module from preprocessed images to logits; initialised from torch's current generator."""


@parameters
class Recipe:
    """How a network is trained: AdamW with a one-cycle learning rate."""

    epochs: Annotated[int, Field(ge=0, description="passes over the training split")] = 20
    batch: Annotated[int, Field(ge=1, description="samples a step")] = 64
    learning_rate: Annotated[float, Field(gt=0, description="peak of the cycle")] = 0.01
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 0.01


models: Registry[type[Model]] = Registry("model", "bench.models")
