"""Matrix products with weights of few bits, in blocks."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, NamedTuple

import torch
from torch.utils.weak import WeakIdKeyDictionary

from bench.onnx_import.operators.com_microsoft import MICROSOFT
from bench.onnx_import.table import OnnxNode, operator

ON_INTEGERS = 4
"""The accuracy level at which ONNX Runtime rounds the activations to 8 bits as well."""


class _Blocks(NamedTuple):
    """A weight (inputs, outputs) less its zero points, with a scale (blocks, outputs)."""

    numbers: torch.Tensor
    scale: torch.Tensor


# constants are unpacked once; an entry goes with its tensor
_kept: MutableMapping[torch.Tensor, Any] = WeakIdKeyDictionary()


def unpacked(packed: torch.Tensor, bits: int) -> torch.Tensor:
    """Bytes (..., n) as numbers (..., n · 8 / bits), the lowest bits first, float32.

    >>> unpacked(torch.tensor([0x21, 0xF0], dtype=torch.uint8), 4).tolist()
    [1.0, 2.0, 0.0, 15.0]
    """
    parts = [(packed.to(torch.int32) >> shift) & (2**bits - 1) for shift in range(0, 8, bits)]
    return torch.stack(parts, dim=-1).flatten(-2).float()


def _blocks(node: OnnxNode, weight: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor | None) -> _Blocks:
    bits, columns = node.get("bits", 4), node.get("N")
    if bits not in (2, 4, 8):
        raise ValueError(f"weights of {bits} bits")
    numbers = unpacked(weight.reshape(columns, -1, weight.shape[-1]), bits)
    count = numbers.shape[1]
    if zeros is None:
        numbers = numbers - 2.0 ** (bits - 1)
    elif zeros.is_floating_point():
        numbers = numbers - zeros.reshape(columns, count, 1).float()
    else:
        numbers = numbers - unpacked(zeros.reshape(columns, -1), bits)[:, :count, None]
    return _Blocks(numbers.flatten(1)[:, : node.get("K")].mT.contiguous(), scales.reshape(columns, count).mT.float())


@operator("MatMulNBits", domain=MICROSOFT)
def matmul_bits(
    node: OnnxNode,
    a: torch.Tensor,
    weight: torch.Tensor,
    scales: torch.Tensor,
    zeros: torch.Tensor | None = None,
    group_index: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """``Σ_k a_k scale_k (b_k - zero_k) + bias``; on integers, a is rounded to 8 bits, each block by its largest."""
    if group_index is not None:
        raise ValueError("blocks by an index cannot be imported")
    kept = _kept.get(weight)
    if kept is None or kept[0] is not scales or kept[1] is not zeros:
        kept = (scales, zeros, _blocks(node, weight, scales, zeros))
        _kept[weight] = kept
    blocks: _Blocks = kept[2]
    size, inputs = node.get("block_size"), node.get("K")
    values = a.float()
    if node.get("accuracy_level", 0) == ON_INTEGERS:
        values = _rounded(node, values, size)
    spread = blocks.scale.repeat_interleave(size, dim=0)[:inputs]
    y = values @ (blocks.numbers * spread)
    made = y if bias is None else y + bias.float()
    return made.to(a.dtype)


def _rounded(node: OnnxNode, a: torch.Tensor, size: int) -> torch.Tensor:
    """Each block of the last axis on 255 levels between plus and minus its largest magnitude."""
    inputs = a.shape[-1]
    padded = torch.nn.functional.pad(a, (0, -inputs % size))
    whole = padded.reshape(*padded.shape[:-1], -1, size)
    step = whole.detach().abs().amax(-1, keepdim=True) / 127
    inverse = torch.where(step > 0, 1 / step, torch.zeros_like(step))
    rounded = node.rounding.saturate(whole * inverse, -127, 127) * step
    return rounded.flatten(-2)[..., :inputs]
