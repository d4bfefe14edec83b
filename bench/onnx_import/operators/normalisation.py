"""Normalisations over batches, instances, layers, groups, channels and axes."""

from __future__ import annotations

import torch
from torch.nn import functional

from bench.onnx_import.table import OnnxNode, operator

_TRAINING = "it normalises by the batch's own statistics, as in training; export the network for inference"


@operator("BatchNormalization", since=6)
def batch_normalisation(
    node: OnnxNode, x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor
) -> torch.Tensor:
    """``scale (x - mean) / sqrt(variance + epsilon) + bias`` with stored statistics."""
    trains = node.get("training_mode", 0) or (node.opset < 7 and not node.get("is_test", 0))
    if trains or len([name for name in node.outputs if name]) > 1:
        raise ValueError(_TRAINING)
    epsilon = node.get("epsilon", 1e-5)
    if node.opset < 9 and not node.get("spatial", 1):
        return (x - mean) / torch.sqrt(variance + epsilon) * scale + bias
    if len({x.dtype, scale.dtype, mean.dtype}) == 1:
        return functional.batch_norm(x, mean, variance, scale, bias, False, 0.0, epsilon)
    shape = (1, -1, *[1] * (x.ndim - 2))
    wide = (x.to(mean.dtype) - mean.reshape(shape)) / torch.sqrt(variance + epsilon).reshape(shape)
    return (wide * scale.reshape(shape) + bias.reshape(shape)).to(x.dtype)


def _standardised(x: torch.Tensor, axes: tuple[int, ...], epsilon: float) -> tuple[torch.Tensor, ...]:
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    inverse = torch.rsqrt(centred.square().mean(axes, keepdim=True) + epsilon)
    return centred * inverse, mean, inverse


@operator("InstanceNormalization", since=6)
def instance_normalisation(node: OnnxNode, x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Each channel of each sample by its own mean and variance."""
    shape = (1, -1, *[1] * (x.ndim - 2))
    standardised, *_ = _standardised(x, tuple(range(2, x.ndim)), node.get("epsilon", 1e-5))
    return standardised * scale.reshape(shape) + bias.reshape(shape)


def _stashed(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x`` in the type that the statistics are computed in: at least float32 where ``stash_type`` says so."""
    return x.float() if node.get("stash_type", 1) == 1 and x.dtype in (torch.float16, torch.bfloat16) else x


@operator("LayerNormalization", since=17)
def layer_normalisation(
    node: OnnxNode, x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Over the axes from ``axis`` on; also the mean and the inverse standard deviation."""
    axes = tuple(range(node.get("axis", -1) % x.ndim, x.ndim))
    standardised, mean, inverse = _standardised(_stashed(node, x), axes, node.get("epsilon", 1e-5))
    y = standardised.to(x.dtype) * scale
    return (y if bias is None else y + bias), mean, inverse


@operator("RMSNormalization", since=23)
def rms_normalisation(node: OnnxNode, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """``x`` over its root mean square over the axes from ``axis`` on, times scale."""
    axes = tuple(range(node.get("axis", -1) % x.ndim, x.ndim))
    wide = _stashed(node, x)
    root = torch.rsqrt(wide.square().mean(axes, keepdim=True) + node.get("epsilon", 1e-5))
    return ((wide * root).to(x.dtype) * scale).to(x.dtype)


@operator("GroupNormalization", since=18)
def group_normalisation(node: OnnxNode, x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Each group of channels by its own mean and variance; before opset 21 one scale a group, then one a channel."""
    groups = node.get("num_groups")
    wide = _stashed(node, x).reshape(len(x), groups, -1)
    standardised, *_ = _standardised(wide, (2,), node.get("epsilon", 1e-5))
    if node.opset < 21:
        shape: tuple[int, ...] = (1, groups, 1)
    else:
        shape, standardised = (1, -1, *[1] * (x.ndim - 2)), standardised.reshape(x.shape)
    y = standardised.to(x.dtype) * scale.reshape(shape) + bias.reshape(shape)
    return y.reshape(x.shape)


@operator("LRN")
def local_response_normalisation(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x / (bias + alpha / size * squares) ** beta``; squares are summed over ``size`` neighbouring channels."""
    size, alpha, beta = int(node.get("size")), node.number("alpha", 1e-4), node.number("beta", 0.75)
    before = (size - 1) // 2
    if not 1 <= size <= 2 * x.shape[1] + 1:
        raise ValueError(f"size of {size} for {x.shape[1]} channels")
    squares = functional.pad(x.square().flatten(2), (0, 0, before, size - 1 - before))
    around = sum((squares[:, i : i + x.shape[1]] for i in range(1, size)), squares[:, : x.shape[1]])
    return x / (node.number("bias", 1.0) + alpha / size * around.reshape(x.shape)) ** beta


@operator("LpNormalization")
def lp_normalisation(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x`` over its p-norm along an axis; zero where that is zero."""
    axis, p = node.get("axis", -1), node.get("p", 2)
    norm = x.abs().sum(axis, keepdim=True) if p == 1 else x.square().sum(axis, keepdim=True).sqrt()
    return torch.where(norm == 0, torch.zeros_like(x), x / norm.where(norm != 0, torch.ones_like(norm)))


@operator("MeanVarianceNormalization", since=9)
def mean_variance_normalisation(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """(x - mean) / (standard deviation + 1e-9) over axes."""
    axes = tuple(node.get("axes", [0, 2, 3]))
    centred = x - x.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True).sqrt() + 1e-9)
