"""A small network of depthwise separable convolutions."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.errors import UserError
from bench.models.base import Model, models
from bench.networks.network import InputSpec
from bench.registry import parameters

if TYPE_CHECKING:
    from torch import nn

Width = Annotated[int, Field(ge=1)]


@models.register("mobilenet-tiny")
@parameters
class MobileNetTiny(Model):
    """A 3x3 convolution, then depthwise 3x3 and pointwise 1x1 convolutions in turn, each with BatchNorm and ReLU6.

    Howard et al. 2017 (arXiv 1704.04861), made small: with the defaults 16,394 parameters for one input channel and
    ten classes.
    """

    stem: Annotated[int, Field(ge=1, description="channels of the first convolution")] = 16
    widths: Annotated[
        tuple[Width, ...], Field(min_length=1, description="channels after each pointwise convolution")
    ] = (
        32,
        64,
        64,
        96,
    )
    strides: Annotated[tuple[Width, ...], Field(min_length=1, description="stride of each depthwise convolution")] = (
        2,
        1,
        2,
        1,
    )

    def build(self, declared: InputSpec) -> nn.Module:
        """Build (n, channels, height, width) -> (n, classes).

        Raises:
            UserError: not as many strides as widths.
        """
        from torch import nn

        if len(self.strides) != len(self.widths):
            what = f"{len(self.strides)} strides for {len(self.widths)} widths"
            raise UserError.at("reference.strides", what, "give one stride a width")
        channels = self.stem
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = _normalised(nn.Conv2d(declared.shape[0], channels, 3, padding=1, bias=False))
        for index, (wide, stride) in enumerate(zip(self.widths, self.strides, strict=True), start=1):
            depthwise = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False)
            layers[f"depthwise{index}"] = _normalised(depthwise)
            layers[f"pointwise{index}"] = _normalised(nn.Conv2d(channels, wide, 1, bias=False))
            channels = wide
        layers["pool"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["classifier"] = nn.Linear(channels, len(declared.classes))
        return nn.Sequential(layers)


def _normalised(conv: nn.Conv2d) -> nn.Module:
    """The convolution, BatchNorm, ReLU6."""
    from torch import nn

    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(conv.out_channels), relu=nn.ReLU6()))
