"""The importance of channels: one score a unit, from weights, gradients or chance."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from bench.compression.pruning.graph import ChannelGroup, Entry
from bench.compression.pruning.options import Importance
from bench.errors import UserError
from bench.models.training import labelled_tensors, reproducible
from bench.networks.interface import by_member, raw_logits
from bench.networks.memory_layout import keep_contiguous
from bench.networks.network import InputSpec
from bench.stats.streams import generator

if TYPE_CHECKING:
    from bench.data.base import Samples

Scores: TypeAlias = dict[str, NDArray[np.float64]]  # group -> (units,)

TAYLOR_BATCH = 32  # part of the result: signed first-order terms are summed within a batch, squared over batches


def score_units(
    module: nn.Module,
    groups: tuple[ChannelGroup, ...],
    importance: Importance,
    declared: InputSpec,
    samples: Samples | None,
    seed: int,
) -> Scores:
    """Score every unit of every group; higher matters more.

    Scores are divided by their group's mean, so that groups can be ranked together. With W the weights that
    make a unit, V those that read it, gamma the scales of its BatchNorms:

    - ``l1``: ``sum |W|``, Li et al., arXiv:1608.08710
    - ``l2``: ``sqrt(sum W^2)``
    - ``group-norm``: ``sqrt(sum W^2 + sum V^2 + sum gamma^2)``, Fang et al., arXiv:2301.12900
    - ``bn-scale``: mean of ``|gamma|``, Liu et al., arXiv:1708.06519
    - ``taylor``: mean over batches of ``(sum V dL/dV)^2``, the squared first-order change of the loss without the unit,
      Molchanov et al., arXiv:1906.10771
    - ``random``: uniform, keyed by seed and group

    Raises:
        UserError: bn-scale where a group has no BatchNorm, taylor without labelled samples.
    """
    if importance == "bn-scale":
        _require_batch_norm(module, groups)
    if importance == "taylor":
        raw = _taylor(module, groups, declared, samples)
    elif importance == "random":
        raw = {group.name: generator("pruning", seed, group.name).random(group.size) for group in groups}
    else:
        raw = {group.name: _weight_score(module, group, importance) for group in groups}
    return {name: normalised(values) for name, values in raw.items()}


def normalised(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores divided by their mean; all zero stays zero.

    >>> normalised(np.array([1.0, 3.0]))
    array([0.5, 1.5])
    """
    mean = float(scores.mean())
    return scores / mean if mean > 0 else scores


def _require_batch_norm(module: nn.Module, groups: tuple[ChannelGroup, ...]) -> None:
    without = [group.name for group in groups if not any(_scale(module, e) is not None for e in group.entries)]
    if without:
        what = f"importance 'bn-scale' needs a BatchNorm with scales after every pruned layer; {without[0]!r} has none"
        exempt = ", ".join(f'"{name}" = 0' for name in without)
        right = "choose another importance" if len(without) == len(groups) else f"give layers = {{ {exempt} }}"
        raise UserError.at("structured-prune", what, right)


def _weight_score(module: nn.Module, group: ChannelGroup, importance: Importance) -> NDArray[np.float64]:
    """The raw score of each unit (units,)."""
    power = 1 if importance == "l1" else 2
    total = np.zeros(group.size)
    scales = 0
    for entry in group.entries:
        scale = _scale(module, entry)
        if scale is not None and importance in ("group-norm", "bn-scale"):
            scales += 1
            total += _by_unit(scale.abs() if importance == "bn-scale" else scale.square(), entry, group.size)
        rows = _rows(module, entry)
        if rows is not None and (importance == "group-norm" or (importance in ("l1", "l2") and entry.role == "makes")):
            total += _by_unit(rows.abs().pow(power).sum(1), entry, group.size)
    if importance == "bn-scale":
        return total / scales
    return total if importance == "l1" else np.sqrt(total)


def _taylor(
    module: nn.Module, groups: tuple[ChannelGroup, ...], declared: InputSpec, samples: Samples | None
) -> Scores:
    if samples is None or len(samples) == 0 or samples.y is None:
        what = "importance 'taylor' needs labelled training or calibration samples, there are none"
        raise UserError.at("structured-prune", what, "give labels, or choose another importance")
    x, y = labelled_tensors(samples, declared, "importance 'taylor'")
    scored = copy.deepcopy(module).eval().requires_grad_(True)
    totals = {group.name: np.zeros(group.size) for group in groups}
    starts = range(0, len(x), TAYLOR_BATCH)
    with reproducible("taylor"), keep_contiguous(scored):
        for start in starts:
            scored.zero_grad(set_to_none=True)
            out = scored(x[start : start + TAYLOR_BATCH])
            rows, labels = by_member(raw_logits(out, declared), y[start : start + TAYLOR_BATCH])
            functional.nll_loss(rows.log_softmax(1), labels).backward()  # type: ignore[no-untyped-call]
            for group in groups:
                totals[group.name] += _first_order(scored, group) ** 2 / len(starts)
    return totals


def _first_order(module: nn.Module, group: ChannelGroup) -> NDArray[np.float64]:
    """``sum V dL/dV`` over the weights that read each unit (units,)."""
    total = np.zeros(group.size)
    for entry in group.entries:
        weight, gradient = _rows(module, entry), _rows(module, entry, gradient=True)
        reads = entry.role == "reads" or _is_depthwise(module.get_submodule(entry.layer))
        if weight is not None and gradient is not None and reads:
            total += _by_unit((weight * gradient).sum(1), entry, group.size)
    return total


def _by_unit(values: torch.Tensor, entry: Entry, size: int) -> NDArray[np.float64]:
    """Sum values of channels (channels,) by their unit (size,)."""
    total = np.zeros(size)
    np.add.at(total, np.array(entry.units), values.detach().double().numpy())
    return total


def _is_depthwise(layer: nn.Module) -> bool:
    groups = getattr(layer, "groups", 1)
    return groups > 1 and groups == getattr(layer, "out_channels", 0)


def _rows(module: nn.Module, entry: Entry, *, gradient: bool = False) -> torch.Tensor | None:
    """Weights (channels, ...) that make or read the entry's channels, or their gradients; None where there are none."""
    if entry.role == "passes":
        return None
    layer = module.get_submodule(entry.layer)
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    source = weight.grad if gradient else weight.detach()
    if source is None:
        return None
    channels = list(entry.channels)
    if entry.role == "makes":
        return source[channels].flatten(1)
    # grouped convolutions: input channel c is read by the filters of its own group alone
    cut = source.reshape(getattr(layer, "groups", 1), -1, *source.shape[1:]).transpose(1, 2)
    return cut.flatten(0, 1)[channels].flatten(1)


def _scale(module: nn.Module, entry: Entry) -> torch.Tensor | None:
    """The scales of a BatchNorm's channels; None for another layer or one without scales."""
    layer = module.get_submodule(entry.layer)
    if not isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) or layer.weight is None:
        return None
    return layer.weight.detach()[list(entry.channels)]
