"""A multilayer perceptron."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from bench.models.base import Model, models
from bench.networks.network import InputSpec
from bench.registry import parameters

if TYPE_CHECKING:
    from torch import nn

Width = Annotated[int, Field(ge=1)]


@models.register("mlp")
@parameters
class Mlp(Model):
    """Linear layers with ReLU between them, with BatchNorm if asked; no hidden layer gives a linear classifier."""

    hidden: Annotated[tuple[Width, ...], Field(description="widths of the hidden layers")] = (128, 64)
    batch_norm: Annotated[bool, Field(description="BatchNorm after each hidden linear layer")] = False

    vectors: ClassVar[bool] = True

    def build(self, declared: InputSpec) -> nn.Module:
        """Build (n, channels, height, width) or (n, features) -> (n, classes)."""
        from torch import nn

        features = math.prod(declared.shape)
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        for index, wide in enumerate(self.hidden, start=1):
            layers[f"linear{index}"] = nn.Linear(features, wide, bias=not self.batch_norm)
            if self.batch_norm:
                layers[f"bn{index}"] = nn.BatchNorm1d(wide)
            layers[f"relu{index}"] = nn.ReLU()
            features = wide
        layers["classifier"] = nn.Linear(features, len(declared.classes))
        return nn.Sequential(layers)
