"""Reductions over axes, which are an attribute or, in later opsets, an input."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import sizes, through_int64

_Axes = tuple[int, ...]


def _sum(x: torch.Tensor, axes: _Axes, keep: bool) -> torch.Tensor:
    return x.sum(axes, keepdim=keep, dtype=x.dtype)


def _mean(x: torch.Tensor, axes: _Axes, keep: bool) -> torch.Tensor:
    return x.mean(axes, keepdim=keep) if x.is_floating_point() else x.double().mean(axes, keepdim=keep).to(x.dtype)


def _product(x: torch.Tensor, axes: _Axes, keep: bool) -> torch.Tensor:
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis, keepdim=keep, dtype=x.dtype)
    return x


def _extreme(x: torch.Tensor, axes: _Axes, keep: bool, largest: bool) -> torch.Tensor:
    if x.dtype == torch.bool:
        return _extreme(x.to(torch.uint8), axes, keep, largest).to(torch.bool)
    if any(x.shape[axis] == 0 for axis in axes):
        limits = torch.finfo(x.dtype) if x.is_floating_point() else torch.iinfo(x.dtype)
        bound = torch.inf if x.is_floating_point() else limits.max
        lowest = -torch.inf if x.is_floating_point() else limits.min
        return torch.full_like(x.sum(axes, keepdim=keep), lowest if largest else bound, dtype=x.dtype)
    return x.amax(axes, keepdim=keep) if largest else x.amin(axes, keepdim=keep)


def _log_sum_exp(x: torch.Tensor, axes: _Axes, keep: bool) -> torch.Tensor:
    wide = x if x.is_floating_point() else x.double()
    return torch.logsumexp(wide, axes, keepdim=keep).to(x.dtype)


_REDUCTIONS: dict[str, Callable[[torch.Tensor, _Axes, bool], torch.Tensor]] = {
    "ReduceL1": lambda x, axes, keep: _sum(x.abs(), axes, keep),
    "ReduceL2": lambda x, axes, keep: _sum(x.square(), axes, keep).sqrt().to(x.dtype),
    "ReduceLogSum": lambda x, axes, keep: _sum(x, axes, keep).log().to(x.dtype),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMean": _mean,
    "ReduceProd": _product,
    "ReduceSum": _sum,
    "ReduceSumSquare": lambda x, axes, keep: _sum(x.square(), axes, keep),
}
_EXTREMES = {"ReduceMax": True, "ReduceMin": False}


def _axes(node: OnnxNode, x: torch.Tensor, axes: torch.Tensor | None) -> _Axes | None:
    """The axes from the attribute or the input; None where nothing is to be done."""
    listed = node.get("axes", []) if axes is None else sizes(axes)
    if not listed:
        return None if node.get("noop_with_empty_axes", 0) else tuple(range(x.ndim))
    return tuple(axis + x.ndim if axis < 0 else axis for axis in listed)


@operator(*_REDUCTIONS)
def reduction(node: OnnxNode, x: torch.Tensor, axes: torch.Tensor | None = None) -> torch.Tensor:
    """The reduction of the operator's name, in x's type."""
    over = _axes(node, x, axes)
    if over == () or over is None:  # a reduction of nothing still takes logarithms, squares and the like
        return through_int64(lambda x: _REDUCTIONS[node.operator](x[None], (0,), False), x)
    keep = bool(node.get("keepdims", 1))
    return through_int64(lambda x: _REDUCTIONS[node.operator](x, over, keep), x)


@operator(*_EXTREMES, codes=True)
def extreme(node: OnnxNode, x: torch.Tensor, axes: torch.Tensor | None = None) -> torch.Tensor:
    """The largest or smallest; of nothing, the smallest or largest number there is."""
    over = _axes(node, x, axes)
    if over == () or over is None:
        return x
    keep = bool(node.get("keepdims", 1))
    return through_int64(lambda x: _extreme(x, over, keep, _EXTREMES[node.operator]), x)


@operator("ArgMax", "ArgMin", codes=True)
def position_of_extreme(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The position of the largest or smallest along an axis: the first, or with ``select_last_index`` the last."""
    axis, keep = int(node.number("axis", 0)), bool(node.get("keepdims", 1))
    find = torch.argmax if node.operator == "ArgMax" else torch.argmin
    if node.get("select_last_index", 0):
        return x.shape[axis] - 1 - find(x.flip(axis), axis, keepdim=keep)
    return find(x, axis, keepdim=keep)


@operator("TopK", codes=True)
def top_k(node: OnnxNode, x: torch.Tensor, k: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest or smallest along an axis, of equals the first; sorted."""
    axis = node.get("axis", -1)
    count = node.get("k") if k is None else sizes(k)[0]
    if not 0 <= count <= x.shape[axis]:
        raise ValueError(f"k of {count} for {x.shape[axis]} elements")
    keys, order = torch.sort(x, dim=axis, descending=bool(node.get("largest", 1)), stable=True)
    return keys.narrow(axis, 0, count), order.narrow(axis, 0, count)


@operator("CumSum", "CumProd")
def cumulative(node: OnnxNode, x: torch.Tensor, axis: torch.Tensor) -> torch.Tensor:
    """Running sums or products along an axis; ``exclusive`` leaves the element itself out."""
    along = sizes(axis)[0]
    sums = node.operator == "CumSum"
    if node.get("reverse", 0):
        x = x.flip(along)
    if node.get("exclusive", 0):
        first = torch.full_like(x.narrow(along, 0, 1), 0 if sums else 1)
        x = torch.cat([first, x.narrow(along, 0, x.shape[along] - 1)], along)
    y = x.cumsum(along, dtype=x.dtype) if sums else x.cumprod(along, dtype=x.dtype)
    return y.flip(along) if node.get("reverse", 0) else y
