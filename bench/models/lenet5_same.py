"""LeNet-5 as Uncertainty Baselines has it: convolutions that keep the size."""

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

KERNEL = 5
Width = Annotated[int, Field(ge=1)]


@models.register("lenet5-same")
@parameters
class LeNet5Same(Model):
    """Three 5x5 convolutions that keep the size, max pooling after the first two, and two linear layers.

    545,546 parameters for (1, 28, 28) and ten classes with the default widths. It has no BatchNorm. After the network
    of Uncertainty Baselines (arXiv 2106.04015), whose published figures on MNIST and Fashion-MNIST it is for.
    """

    widths: Annotated[
        tuple[Width, Width, Width, Width], Field(description="channels of the convolutions, and of the linear layer")
    ] = (6, 16, 120, 84)

    def build(self, declared: InputSpec) -> nn.Module:
        """Build (n, channels, height, width) -> (n, classes).

        Raises:
            UserError: images below 4 x 4 pixels.
        """
        from torch import nn

        channels, height, width = declared.shape
        if min(height, width) < 4:
            what = f"lenet5-same pools {height} x {width} pixels to nothing"
            raise UserError.at("reference.model", what, "give images of at least 4 x 4 pixels")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        *convolutions, hidden = self.widths
        for index, wide in enumerate(convolutions, start=1):
            layers[f"conv{index}"] = nn.Conv2d(channels, wide, KERNEL, padding=KERNEL // 2)
            layers[f"relu{index}"] = nn.ReLU()
            if index < 3:
                layers[f"pool{index}"] = nn.MaxPool2d(2)
                height, width = height // 2, width // 2
            channels = wide
        layers["flatten"] = nn.Flatten()
        layers["linear"] = nn.Linear(channels * height * width, hidden)
        layers["relu4"] = nn.ReLU()
        layers["classifier"] = nn.Linear(hidden, len(declared.classes))
        return nn.Sequential(layers)
