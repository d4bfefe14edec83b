"""Random changes of training images that keep their class."""

from __future__ import annotations

import torch
from torch.nn import functional

from bench.models.base import Augmentation

PIXELS = 2  # the largest shift in each direction


def augment(x: torch.Tensor, kind: Augmentation, fill: float, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by up to two pixels in each direction, and with ``flip-shift`` mirror half of them.

    Shifts are whole pixels, uniform on {-2, ..., 2}, independent in both directions and between images; what comes in
    from outside is ``fill``. Mirroring is left to right, with probability one half.

    Args:
        x: (n, channels, height, width); it is not changed.
        kind: ``none`` gives x back and draws nothing.
        fill: the value outside the image.
        generator: every random number comes from it.

    >>> import torch
    >>> x = torch.arange(1.0, 4.0).view(1, 1, 1, 3)
    >>> shifted(x, torch.tensor([[0, 1]]), torch.tensor([False]), fill=0.0).flatten().tolist()
    [0.0, 1.0, 2.0]
    >>> shifted(x, torch.tensor([[0, 1]]), torch.tensor([True]), fill=0.0).flatten().tolist()
    [2.0, 1.0, 0.0]
    """
    if kind == "none":
        return x
    offsets = torch.randint(-PIXELS, PIXELS + 1, (len(x), 2), generator=generator)
    mirrored = torch.rand(len(x), generator=generator) < (0.5 if kind == "flip-shift" else 0.0)
    return shifted(x, offsets, mirrored, fill)


def shifted(x: torch.Tensor, offsets: torch.Tensor, mirrored: torch.Tensor, fill: float) -> torch.Tensor:
    """Move image i of x (n, channels, height, width) down and right by offsets[i] (n, 2), then mirror where asked.

    ``|offsets| <= 2``. One gather for the whole batch; the result lies in memory channels last.
    """
    n, _, height, width = x.shape
    padded = functional.pad(x, (PIXELS,) * 4, value=fill)
    rows = torch.arange(height) + PIXELS - offsets[:, :1]
    columns = torch.arange(width) + PIXELS - offsets[:, 1:]
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    image = torch.arange(n)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
