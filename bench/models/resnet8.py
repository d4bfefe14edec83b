"""A residual network of eight layers."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.models.base import Model, models
from bench.networks.network import InputSpec
from bench.registry import parameters

if TYPE_CHECKING:
    from torch import nn

STRIDES = (1, 2, 2)


@models.register("resnet8")
@parameters
class ResNet8(Model):
    """A 3x3 convolution, then three residual blocks of 1, 2 and 4 times the width with strides 1, 2 and 2.

    The CIFAR form of the residual network, He et al. 2015 (arXiv 1512.03385), n = 1, with projections where the shape
    changes. With the default width 77,754 parameters for one input channel and ten classes.
    """

    width: Annotated[int, Field(ge=1, description="channels of the first stage; they double in each further one")] = 16

    def build(self, declared: InputSpec) -> nn.Module:
        """Build (n, channels, height, width) -> (n, classes)."""
        from torch import nn

        channels, wide = declared.shape[0], self.width
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv"] = nn.Conv2d(channels, wide, 3, padding=1, bias=False)
        layers["bn"] = nn.BatchNorm2d(wide)
        layers["relu"] = nn.ReLU()
        channels = wide
        for index, stride in enumerate(STRIDES, start=1):
            wide = self.width * 2 ** (index - 1)
            layers[f"block{index}"] = residual_block(channels, wide, stride)
            channels = wide
        layers["pool"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["classifier"] = nn.Linear(channels, len(declared.classes))
        return nn.Sequential(layers)


def residual_block(channels: int, wide: int, stride: int) -> nn.Module:
    """``relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))``: (n, channels, h, w) -> (n, wide, h / s, w / s).

    ``s`` is the stride. The shortcut is the identity, or a 1x1 convolution with BatchNorm where stride or channels
    change.
    """
    import torch
    from torch import nn

    class ResidualBlock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels, wide, 3, stride=stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(wide)
            self.relu1 = nn.ReLU()
            self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(wide)
            self.shortcut: nn.Module = nn.Identity()
            if stride != 1 or channels != wide:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(channels, wide, 1, stride=stride, bias=False), nn.BatchNorm2d(wide)
                )
            self.relu2 = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inner = self.relu1(self.bn1(self.conv1(x)))
            inner = self.bn2(self.conv2(inner))
            out: torch.Tensor = self.relu2(inner + self.shortcut(x))
            return out

    return ResidualBlock()
