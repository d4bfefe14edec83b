"""Statistics of BatchNorm, estimated again where the weights before it are others."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from bench.models.training import Images, preprocess, reproducible
from bench.networks.network import InputSpec

BATCH = 128  # part of the result: statistics are averaged over batches


def batch_norms(module: nn.Module) -> dict[str, nn.Module]:
    """BatchNorms with running statistics, by name."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return {
        name: layer for name, layer in module.named_modules() if isinstance(layer, kinds) and layer.track_running_stats
    }


def estimate_again(module: nn.Module, samples: Images, declared: InputSpec) -> nn.Module:
    """A copy in eval mode whose BatchNorms hold the mean over batches of batch mean and unbiased batch variance.

    Every layer sees the batch statistics of the layers before it; dropout stays off.
    """
    fresh = copy.deepcopy(module).eval()
    x = preprocess(torch.from_numpy(samples.x), declared)
    momenta: dict[str, Any] = {}
    for name, layer in batch_norms(fresh).items():
        norm: Any = layer
        momenta[name] = norm.momentum
        norm.reset_running_stats()
        norm.momentum = None  # torch then keeps the plain average
        norm.train()
    starts = [start for start in range(0, len(x), BATCH) if start == 0 or len(x) - start > 1]
    with reproducible("bn-reset"), torch.no_grad():
        for start, stop in zip(starts, [*starts[1:], len(x)], strict=True):
            fresh(x[start:stop])
    for name, layer in batch_norms(fresh).items():
        restored: Any = layer
        restored.momentum = momenta[name]
    return fresh.eval()
