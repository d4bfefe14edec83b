"""The difference that saturation in 16 bits makes to sums of 8-bit products, with gradients and counts."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from onnx import TensorProto
from torch.utils.weak import WeakIdKeyDictionary

from bench.integer_sums.pairs import HIGHEST, LOWEST, Sums, can_saturate, in_pairs
from bench.onnx_import.values import Codes, as_codes

CHUNK: Final = 2**22
"""Codes that are looked at, and pair sums that are computed, at once."""
Numbers = torch.Tensor | Codes


class Reach(NamedTuple):
    """The reach of a convolution: the element of a window and a kernel position is ``padded.flat[offset + kernel]``."""

    padded: torch.Tensor  # (n, channels, ...)
    offsets: torch.Tensor  # int64 (n, *positions)
    kernel: torch.Tensor  # int64 (channels, *kernel)


@dataclass
class Counted:
    """Pair sums of one node: how many there were, and how many left 16 bits."""

    sums: int = 0
    clipped: int = 0


@dataclass
class Summing:
    """The summing of a graph's products of 8-bit codes; ``counted``, by node, is filled while one is there."""

    sums: Sums = "exact"
    counted: dict[str, Counted] | None = field(default=None)


class Candidates(NamedTuple):
    """The pairs of a weight whose sum can leave 16 bits: columns of the two activations, their weights, the output."""

    columns: tuple[torch.Tensor, torch.Tensor]  # int64 (c,)
    weights: tuple[torch.Tensor, torch.Tensor]  # float32 (c,)
    outputs: torch.Tensor  # int64 (c,)
    pairs: int  # of all outputs together, candidates or not


_candidates: MutableMapping[torch.Tensor, Any] = WeakIdKeyDictionary()  # an entry goes with its tensor


def is_kind(value: Numbers, element: int) -> bool:
    """Whether a value's codes are of an ONNX element type."""
    own = {torch.uint8: TensorProto.UINT8, torch.int8: TensorProto.INT8}
    return value.element == element if isinstance(value, Codes) else own.get(value.dtype) == element


def candidates(
    weight: Numbers,
    matrix: torch.Tensor,
    columns: torch.Tensor,
    codes: tuple[int, int],
    *,
    transposed: bool = False,
    group: int = 1,
) -> Candidates:
    """The candidates of a weight.

    Args:
        weight: as the node holds it; candidates of a constant are found once.
        matrix: its codes (k, outputs), in the order of the reduction.
        columns: where the activation of each stands, (k, outputs).
        codes: smallest and largest code of an activation.
        transposed: the matrix is the weight turned.
        group: of a convolution; nodes that share a weight may differ in it, and then in columns.
    """
    cache_key = (codes, matrix.shape, transposed, group)
    known = None if isinstance(weight, Codes) else _candidates.get(weight)
    if known is not None and known[0] == cache_key:
        cached: Candidates = known[1]
        return cached
    weights = matrix.detach().cpu().numpy().astype(np.int64)
    able = can_saturate(weights, codes)
    pair, output = np.nonzero(able)
    values, offsets = in_pairs(weights), in_pairs(columns.cpu().numpy())

    def side(array: Any, which: int, dtype: torch.dtype) -> torch.Tensor:
        return torch.from_numpy(array[pair, which, output]).to(matrix.device, dtype)

    made = Candidates(
        (side(offsets, 0, torch.int64), side(offsets, 1, torch.int64)),
        (side(values, 0, torch.float32), side(values, 1, torch.float32)),
        torch.from_numpy(output).to(matrix.device),
        able.size,
    )
    if not isinstance(weight, Codes):
        _candidates[weight] = (cache_key, made)
    return made


class Reading(NamedTuple):
    """The activations that sums read: the one of column k in row r is ``codes[rows[r] + columns[k]]``."""

    codes: torch.Tensor  # flat
    rows: torch.Tensor  # int64 (m,)
    columns: torch.Tensor  # int64 (k,)


def of_matrix(rows: torch.Tensor) -> Reading:
    """Rows (m, columns) of codes."""
    m, k = rows.shape
    return Reading(rows.reshape(-1), torch.arange(m, device=rows.device) * k, torch.arange(k, device=rows.device))


def lost(read: Reading, pairs: Candidates, outputs: int, counted: Counted | None) -> torch.Tensor:
    """``Σ (clip(p) - p)`` over an output's pair sums p, (m, outputs) float64: what saturation adds to the exact sums.

    Its gradient takes that of the exact sum back wherever a pair is clipped. Pairs that are clipped are few: they are
    searched for without gradient, and only they are computed with one.

    Args:
        read: stored codes as whole numbers, and which of them each sum reads.
        pairs: the pairs that can saturate; all others add nothing.
        outputs: how many there are.
        counted: where pair sums are counted.
    """
    total = read.codes.new_zeros((len(read.rows), outputs), dtype=torch.float64)
    if counted is not None:
        counted.sums += len(read.rows) * pairs.pairs
    if not len(pairs.outputs):
        return total
    with torch.no_grad():
        pair, row, above = _clipped(read, pairs)
    if counted is not None:
        counted.clipped += len(pair)
    if not len(pair):
        return total
    (a, b), (v, w) = (column[pair] for column in pairs.columns), (weight[pair] for weight in pairs.weights)
    start = read.rows[row]
    sums = read.codes[start + read.columns[a]] * v + read.codes[start + read.columns[b]] * w
    limit = torch.where(above, float(HIGHEST), float(LOWEST))
    return total.index_put((row, pairs.outputs[pair]), (limit - sums).double(), accumulate=True)


def _clipped(read: Reading, pairs: Candidates) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The pairs that are clipped in each row, and whether from above."""
    used, offsets = torch.unique(torch.cat(pairs.columns), return_inverse=True)
    first, second = offsets[: len(pairs.outputs)], offsets[len(pairs.outputs) :]
    v, w = pairs.weights
    parts = [(first[:0], first[:0], first[:0] > 0)]
    step = max(1, CHUNK // max(1, len(used)))
    for begin in range(0, len(read.rows), step):
        rows = read.rows[begin : begin + step]
        table = read.codes[read.columns[used].unsqueeze(1) + rows]  # a column's codes side by side
        low, high = table.amin(1), table.amax(1)
        # what no row of these can reach needs no look
        most = torch.maximum(low[first] * v, high[first] * v) + torch.maximum(low[second] * w, high[second] * w)
        least = torch.minimum(low[first] * v, high[first] * v) + torch.minimum(low[second] * w, high[second] * w)
        able = torch.nonzero((most > HIGHEST) | (least < LOWEST)).squeeze(1)
        for chosen in torch.split(able, max(1, CHUNK // len(rows))):
            sums = table[first[chosen]] * v[chosen, None] + table[second[chosen]] * w[chosen, None]
            index, row = torch.nonzero((sums > HIGHEST) | (sums < LOWEST), as_tuple=True)
            parts.append((chosen[index], row + begin, sums[index, row] > 0))
    pair, row, above = (torch.cat(side) for side in zip(*parts, strict=True))
    return pair, row, above


def lost_in_product(
    summing: Summing, name: str, a: Numbers, b: Numbers, *, transposed: bool = False
) -> torch.Tensor | None:
    """The difference that saturation makes to a product of a (..., m, k) and b (..., k, n); None where sums are exact.

    Only products of uint8 with int8 codes saturate. ``transposed``: b is given turned.
    """
    if summing.sums == "exact" or not (is_kind(a, TensorProto.UINT8) and is_kind(b, TensorProto.INT8)):
        return None
    counted = _counted(summing, name)
    left, right = as_codes(a), as_codes(b).mT if transposed else as_codes(b)
    wide = right if right.ndim > 1 else right.unsqueeze(-1)
    rows = left if left.ndim > 1 else left.unsqueeze(0)
    if wide.ndim == 2:
        flat = rows.reshape(-1, rows.shape[-1])
        pairs = candidates(b, wide, _straight(wide), (0, 255), transposed=transposed)
        out = lost(of_matrix(flat), pairs, wide.shape[1], counted).reshape(*rows.shape[:-1], wide.shape[1])
    else:
        batch = np.broadcast_shapes(rows.shape[:-2], wide.shape[:-2])
        lefts = rows.expand(*batch, *rows.shape[-2:]).reshape(-1, *rows.shape[-2:])
        rights = wide.expand(*batch, *wide.shape[-2:]).reshape(-1, *wide.shape[-2:])
        parts = []
        for one, other in zip(lefts, rights, strict=True):
            pairs = candidates(Codes(other, TensorProto.INT8), other, _straight(other), (0, 255))
            parts.append(lost(of_matrix(one), pairs, other.shape[1], counted))
        out = torch.stack(parts).reshape(*batch, rows.shape[-2], wide.shape[-1])
    out = out if right.ndim > 1 else out.squeeze(-1)
    return out if left.ndim > 1 else out.squeeze(-2 if right.ndim > 1 else -1)


def lost_in_convolution(
    summing: Summing, name: str, reach: Reach, weight: Numbers, group: int, *, signed: bool
) -> torch.Tensor:
    """The difference that saturation makes to a convolution, (n, outputs, *positions).

    Args:
        summing: counts, if it counts.
        name: of the node.
        reach: stored codes, padding included, and where the convolution reads them.
        weight: codes (outputs, channels of a group, *kernel).
        group: how many groups there are.
        signed: activations are int8 and weights uint8, as ConvInteger has it: then the channel is slowest, not fastest.
    """
    numbers = as_codes(weight)
    outputs, channels, *kernel = numbers.shape
    axes = len(kernel)
    order = (1, *range(2, 2 + axes), 0) if signed else (*range(2, 2 + axes), 1, 0)
    size = int(np.prod(kernel))
    offsets = torch.arange(channels * size).reshape(1, channels, *kernel).expand(outputs, -1, *kernel)
    first = (torch.arange(outputs) // (outputs // group) * channels * size).reshape(-1, 1, *[1] * axes)
    matrix, columns = (table.permute(order).reshape(-1, outputs) for table in (numbers, offsets + first))
    pairs = candidates(weight, matrix, columns, (-128, 127) if signed else (0, 255), group=group)
    read = Reading(reach.padded.reshape(-1), reach.offsets.reshape(-1), reach.kernel.reshape(-1))
    out = lost(read, pairs, outputs, _counted(summing, name))
    return out.reshape(*reach.offsets.shape, outputs).movedim(-1, 1)


def _straight(matrix: torch.Tensor) -> torch.Tensor:
    return torch.arange(len(matrix)).unsqueeze(1).expand(-1, matrix.shape[1])


def _counted(summing: Summing, name: str) -> Counted | None:
    return None if summing.counted is None else summing.counted.setdefault(name, Counted())
