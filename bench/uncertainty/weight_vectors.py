"""A network's weights as one vector, networks of such vectors, and BatchNorm statistics that fit them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.models.batch_norm_statistics import batch_norms, estimate_again
from bench.networks.network import InputSpec
from bench.stats.streams import generator
from bench.uncertainty.base import Labelled


@dataclass(frozen=True)
class Unlabelled:
    """Some of the samples, for what reads no label."""

    x: NDArray[np.float32]
    y: None = None


def weight_vector(module: nn.Module) -> NDArray[np.float64]:
    """All trained weights in their order: (d,). Statistics of BatchNorm are none."""
    return torch.cat([part.detach().flatten() for part in module.parameters()]).double().numpy()


def with_weights(module: nn.Module, vector: NDArray[Any]) -> nn.Module:
    """A copy of the network with the weights of such a vector; buffers are the network's."""
    made, position = copy.deepcopy(module), 0
    with torch.no_grad():
        for part in made.parameters():
            part.copy_(torch.from_numpy(vector[position : position + part.numel()]).view(part.shape))
            position += part.numel()
    assert position == len(vector)
    return made


def some_samples(samples: Labelled, count: int, seed: int) -> Unlabelled:
    """At most ``count`` training samples, drawn by the seed without replacement."""
    return Unlabelled(samples.x[generator("batch-norm-samples", seed).permutation(len(samples.x))[:count]])


def with_own_statistics(module: nn.Module, samples: Unlabelled, declared: InputSpec) -> nn.Module:
    """A copy in eval mode with the statistics of BatchNorm that its weights have on these samples."""
    return estimate_again(module, samples, declared) if batch_norms(module) else copy.deepcopy(module).eval()
