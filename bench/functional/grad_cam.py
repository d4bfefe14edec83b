"""Grad-CAM: where the last feature map speaks for a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def grad_cam(features: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """``relu(Σ_c α_c A_c)``, α_c the mean of the gradient over positions (Selvaraju et al., arXiv 1610.02391).

    Args:
        features: A, the feature map (n, channels, height, width).
        gradient: of the score with respect to it, the same shape.

    Returns:
        (n, 1, height, width) float64, 0 or more.

    >>> import torch
    >>> features = torch.tensor([[[[1.0, 0.0]], [[0.0, 3.0]]]])
    >>> gradient = torch.tensor([[[[2.0, 2.0]], [[-1.0, -1.0]]]])
    >>> grad_cam(features, gradient).tolist()
    [[[[2.0, 0.0]]]]
    """
    weights = gradient.double().mean(dim=(2, 3), keepdim=True)
    return (weights * features.double()).sum(dim=1, keepdim=True).relu()


def enlarged(maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Maps (n, 1, h, w) brought to the size of the input, bilinearly.

    >>> import torch
    >>> enlarged(torch.tensor([[[[0.0, 4.0]]]]), 1, 4).tolist()
    [[[[0.0, 1.0, 3.0, 4.0]]]]
    """
    from torch.nn import functional

    made: torch.Tensor = functional.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)
    return made
