"""LeNet-5 with today's activations."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from bench.errors import UserError
from bench.models.base import Model, models
from bench.networks.network import InputSpec
from bench.registry import parameters

if TYPE_CHECKING:
    from torch import nn

KERNEL = 5
SMALLEST = 4  # pixels: two poolings must leave one
PAPER = 32  # pixels: 28 x 28 digits were padded to it


@models.register("lenet5")
@parameters
class LeNet5(Model):
    """Two 5x5 convolutions with max pooling, then three linear layers; LeCun et al. 1998, with ReLU for tanh.

    Images below 32 pixels are padded by 2 as the paper pads digits; the second convolution is padded by 2 too where
    its input is below 6 pixels. 61,706 parameters for (1, 28, 28) and ten classes. It has no BatchNorm.
    """

    def build(self, declared: InputSpec) -> nn.Module:
        """Build (n, channels, height, width) -> (n, classes).

        Raises:
            UserError: images below 4 x 4 pixels.
        """
        from torch import nn

        channels, height, width = declared.shape
        if min(height, width) < SMALLEST:
            what = f"lenet5 pools {height} x {width} pixels to nothing"
            raise UserError.at("reference.model", what, f"give images of at least {SMALLEST} x {SMALLEST} pixels")
        first = KERNEL // 2 if min(height, width) < PAPER else 0
        height, width = _pooled(height, first), _pooled(width, first)
        second = KERNEL // 2 if min(height, width) <= KERNEL else 0
        height, width = _pooled(height, second), _pooled(width, second)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(channels, 6, KERNEL, padding=first),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, KERNEL, padding=second),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            linear1=nn.Linear(16 * height * width, 120),
            relu3=nn.ReLU(),
            linear2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            classifier=nn.Linear(84, len(declared.classes)),
        )
        return nn.Sequential(layers)


def _pooled(size: int, padding: int) -> int:
    """Pixels after a 5x5 convolution and a pooling by two."""
    return (size + 2 * padding - KERNEL + 1) // 2
