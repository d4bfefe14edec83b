"""How much a loss would change without each hidden unit."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from bench.models.training import labelled_tensors, reproducible
from bench.networks.interface import raw_logits
from bench.networks.members import one_member
from bench.networks.network import InputSpec
from bench.uncertainty.base import Labelled
from bench.uncertainty.masked import masks_of

BATCH, BATCHES = 32, 64  # part of the result: first-order terms are summed within a batch, squared over batches


def unit_importance(network: nn.Module, samples: Labelled, declared: InputSpec) -> list[torch.Tensor]:
    """``E (dL/dm_u)^2`` over batches for the factor m_u = 1 of each unit, (units,) a mask (arXiv 1906.10771).

    ``network`` has masks of ones. At most the first 2,048 samples are looked at.
    """
    x, y = labelled_tensors(samples, declared, "importance")
    x, y = x[: BATCH * BATCHES], y[: BATCH * BATCHES]
    masks = masks_of(network)
    network.eval()
    totals = [torch.zeros(mask.units, dtype=torch.float64) for mask in masks]
    starts = range(0, len(x), BATCH)
    with reproducible("unit importance"), one_member(network, 0):
        factors = [mask.factors.requires_grad_(True) for mask in masks]
        for start in starts:
            out = raw_logits(network(x[start : start + BATCH]), declared)
            loss = functional.cross_entropy(out, y[start : start + BATCH])
            for total, gradient in zip(totals, torch.autograd.grad(loss, factors), strict=True):
                total += gradient[0].flatten().double() ** 2 / len(starts)
        for mask in masks:
            mask.factors = mask.factors.detach()
    return totals
