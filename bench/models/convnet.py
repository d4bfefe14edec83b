"""A small convolutional network."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from bench.errors import UserError
from bench.models.base import Model, models
from bench.networks.network import InputSpec
from bench.registry import parameters

if TYPE_CHECKING:
    from torch import nn

Width = Annotated[int, Field(ge=1)]


@models.register("convnet")
@parameters
class Convnet(Model):
    """Convolution, BatchNorm, ReLU a few times; then pooling or flattening and a linear layer.

    With the defaults 24,058 parameters for one input channel and ten classes.
    """

    widths: Annotated[tuple[Width, ...], Field(min_length=1, description="channels of each 3x3 convolution")] = (
        16,
        32,
        64,
    )
    strides: Annotated[tuple[Width, ...], Field(min_length=1, description="stride of each convolution")] = (1, 2, 2)
    head: Annotated[
        Literal["pool", "flatten"], Field(description="average over all positions, or keep every position")
    ] = "pool"

    def build(self, declared: InputSpec) -> nn.Module:
        """Build (n, channels, height, width) -> (n, classes).

        Raises:
            UserError: not as many strides as widths.
        """
        from torch import nn

        if len(self.strides) != len(self.widths):
            what = f"{len(self.strides)} strides for {len(self.widths)} widths"
            raise UserError.at("reference.strides", what, "give one stride a width")
        channels, height, width = declared.shape
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for index, (wide, stride) in enumerate(zip(self.widths, self.strides, strict=True), start=1):
            layers[f"conv{index}"] = nn.Conv2d(channels, wide, 3, stride=stride, padding=1, bias=False)
            layers[f"bn{index}"] = nn.BatchNorm2d(wide)
            layers[f"relu{index}"] = nn.ReLU()
            channels, height, width = wide, -(-height // stride), -(-width // stride)
        if self.head == "pool":
            layers["pool"] = nn.AdaptiveAvgPool2d(1)
            height = width = 1
        layers["flatten"] = nn.Flatten()
        layers["classifier"] = nn.Linear(channels * height * width, len(declared.classes))
        return nn.Sequential(layers)
