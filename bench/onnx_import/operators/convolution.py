"""Convolutions, and the padding that pools share with them."""

from __future__ import annotations

import torch
from torch.nn import functional

from bench.onnx_import.saturation import Reach
from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import allowed

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


def paddings(
    node: OnnxNode, shape: torch.Size, kernel: list[int], strides: list[int], dilations: list[int]
) -> list[tuple[int, int]]:
    """The padding of each spatial axis before and after, by ``pads`` or ``auto_pad``."""
    mode = node.get("auto_pad", "NOTSET")
    axes = len(kernel)
    if mode == "NOTSET":
        pads = node.get("pads", [0] * 2 * axes)
        return list(zip(pads[:axes], pads[axes:], strict=True))
    if mode == "VALID":
        return [(0, 0)] * axes
    sizes = []
    for size, k, stride, dilation in zip(shape[2:], kernel, strides, dilations, strict=True):
        out = -(-size // stride)
        both = max((out - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        less, more = both // 2, both - both // 2
        sizes.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return sizes


def flat(pads: list[tuple[int, int]]) -> list[int]:
    """Paddings as ``torch.nn.functional.pad`` wants them: the last axis first.

    >>> flat([(1, 2), (3, 4)])
    [3, 4, 1, 2]
    """
    return [size for pair in reversed(pads) for size in pair]


def padded(x: torch.Tensor, pads: list[tuple[int, int]], value: float) -> torch.Tensor:
    """``x`` with its last axes padded by a value."""
    if not any(before or after for before, after in pads):
        return x
    spatial = (size + before + after for size, (before, after) in zip(x.shape[2:], pads, strict=True))
    allowed((*x.shape[:2], *spatial), x.numel())
    return functional.pad(x, flat(pads), value=value)


def positive(numbers: list[int], what: str) -> list[int]:
    """Strides or dilations; ``ValueError`` unless all are positive."""
    if min(numbers, default=1) < 1:
        raise ValueError(f"{what} of {numbers}")
    return numbers


@operator("Conv")
def conv(node: OnnxNode, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Cross-correlation of (n, c, ...) with (m, c / group, ...), in one to three dimensions."""
    axes = x.ndim - 2
    kernel = list(weight.shape[2:])
    strides = positive(node.get("strides", [1] * axes), "strides")
    dilations = positive(node.get("dilations", [1] * axes), "dilations")
    pads = paddings(node, x.shape, kernel, strides, dilations)
    if min((size for pair in pads for size in pair), default=0) >= 0 and all(a == b for a, b in pads):
        allowed((*x.shape[:2], *(size + 2 * pad for size, (pad, _) in zip(x.shape[2:], pads, strict=True))), x.numel())
        same = [before for before, _ in pads]
    else:
        x, same = padded(x, pads, 0.0), [0] * axes
    group = node.get("group", 1)
    return _CONVOLUTIONS[axes](x, weight, bias, strides, same, dilations, group)


def reach(node: OnnxNode, x: torch.Tensor, kernel: list[int], value: float) -> Reach:
    """The elements that a convolution of x (n, c, ...) reads at each position, x padded by a value."""
    axes = len(kernel)
    strides = positive(node.get("strides", [1] * axes), "strides")
    dilations = positive(node.get("dilations", [1] * axes), "dilations")
    x = padded(x, paddings(node, x.shape, kernel, strides, dilations), value).contiguous()
    steps = [int(step) for step in x.stride()]
    offsets, taps = torch.arange(x.shape[0]) * steps[0], torch.arange(x.shape[1]) * steps[1]
    for size, k, stride, dilation, step in zip(x.shape[2:], kernel, strides, dilations, steps[2:], strict=True):
        count = (size - (k - 1) * dilation - 1) // stride + 1
        offsets = offsets.unsqueeze(-1) + torch.arange(count) * stride * step
        taps = taps.unsqueeze(-1) + torch.arange(k) * dilation * step
    return Reach(x, offsets.to(x.device), taps.to(x.device))


@operator("ConvTranspose")
def conv_transpose(
    node: OnnxNode, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """The transpose of a convolution of (m, n / group, ...): all of it, then cropped by the pads."""
    axes = x.ndim - 2
    kernel = list(weight.shape[2:])
    strides = positive(node.get("strides", [1] * axes), "strides")
    dilations = positive(node.get("dilations", [1] * axes), "dilations")
    extra = node.get("output_padding", [0] * axes)
    group = node.get("group", 1)
    whole = [
        (size - 1) * stride + (k - 1) * dilation + 1
        for size, stride, k, dilation in zip(x.shape[2:], strides, kernel, dilations, strict=True)
    ]
    allowed((len(x), group * weight.shape[1], *whole), x.numel() * weight[0].numel())
    y = _TRANSPOSED[axes](x, weight, None, strides, 0, 0, group, dilations)
    crops = _crops(node, x.shape[2:], strides, [size + more for size, more in zip(whole, extra, strict=True)])
    moves = [(-before, more - after) for (before, after), more in zip(crops, extra, strict=True)]
    y = padded(y, moves, 0.0)
    return y if bias is None else y + bias.reshape(-1, *[1] * axes)


def _crops(node: OnnxNode, shape: torch.Size, strides: list[int], whole: list[int]) -> list[tuple[int, int]]:
    """The elements that ``pads``, ``auto_pad`` or ``output_shape`` take off the whole transposed convolution."""
    mode = node.get("auto_pad", "NOTSET")
    wanted = node.get("output_shape")
    if wanted is None and mode.startswith("SAME"):
        wanted = [size * stride for size, stride in zip(shape, strides, strict=True)]
    if wanted is None:
        pads = node.get("pads", [0] * 2 * len(whole)) if mode == "NOTSET" else [0] * 2 * len(whole)
        return list(zip(pads[: len(whole)], pads[len(whole) :], strict=True))
    crops = []
    for size, target in zip(whole, wanted[-len(whole) :], strict=True):
        both = size - target
        less = both // 2
        crops.append((less, both - less) if mode == "SAME_UPPER" else (both - less, less))
    return crops
