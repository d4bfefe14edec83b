"""BatchNorm folding of torch modules: the same function with fewer layers, exact in real arithmetic."""

from __future__ import annotations

import copy
from typing import NamedTuple

from torch import nn

from bench.batch_norm_folding.folding import FoldedBatchNorm, KeptBatchNorm, fold_all
from bench.batch_norm_folding.torch_modules.graph import read_module
from bench.batch_norm_folding.torch_modules.layers import prepare, write_weights

__all__ = ["FoldedBatchNorm", "Folding", "KeptBatchNorm", "fold_batch_norms", "replace_batch_norm"]


class Folding(NamedTuple):
    """A folded copy of a module, its folded and its kept BatchNorms."""

    module: nn.Module
    folded: tuple[FoldedBatchNorm, ...]
    kept: tuple[KeptBatchNorm, ...]


def fold_batch_norms(module: nn.Module, shape: tuple[int, ...], *, across_concatenation: bool = True) -> Folding:
    """Fold every BatchNorm whose map the layers around it can take over.

    In eval mode ``BN(y) = s y + t`` with ``s = gamma / sqrt(var + eps)`` and ``t = beta - mu s``. A layer before it
    gets ``W' = s W`` and ``b' = s b + t``; see ``batch_norm_folding.condition`` for when that is possible. Computed in
    float64, then cast once to each layer's type. The BatchNorm becomes an ``Identity``; the module tree otherwise
    stays as it is. The given module is not changed.

    Args:
        module: a torch module.
        shape: of one input, as (channels, height, width).
        across_concatenation: False leaves every BatchNorm whose map would pass a concatenation.

    Returns:
        The copy in eval mode, what was folded in the order of the forward pass, and the BatchNorms that stay.
    """
    copied = copy.deepcopy(module).eval()
    read = read_module(copied, shape)
    result = fold_all(read.graph, read.weights, across_concatenation=across_concatenation)
    for folded in result.folded:
        replace_batch_norm(copied, folded)
    gone = {folded.batch_norm for folded in result.folded}
    for name, made in result.changed.items():
        if name not in gone:
            write_weights(copied.get_submodule(name), made)
    unseen = tuple(KeptBatchNorm(name, reason) for name, reason in read.unseen.items())
    return Folding(copied, result.folded, result.kept + unseen)


def replace_batch_norm(module: nn.Module, folded: FoldedBatchNorm) -> None:
    """Put an ``Identity`` in the BatchNorm's place and give the layers that take it over a bias; weights are left."""
    prepare(module, folded.batch_norm, (*folded.into, *folded.undone_in))
