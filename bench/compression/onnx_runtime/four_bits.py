"""Weights rounded to four bits, by channel or by block, and packed two a byte."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Rounded(NamedTuple):
    """Four-bit integers (as int8) with the scales and zero points of their channels or blocks."""

    integers: NDArray[np.int8]
    scale: NDArray[np.float32]
    zero: NDArray[np.int8]


def _round(low: NDArray[np.float32], high: NDArray[np.float32], symmetric: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scale and zero point of ranges; an empty range has scale 1."""
    if symmetric:
        span, zero = np.maximum(-low, high) / 7, np.zeros_like(low)
    else:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        span = (high - low) / 15
    scale = np.where(span > np.finfo(np.float32).tiny, span, 1).astype(np.float32)
    if not symmetric:
        zero = np.clip(np.rint(-low / scale), 0, 15)
    return scale, zero


def _integers(
    weight: NDArray[np.float32], scale: NDArray[Any], zero: NDArray[Any], symmetric: bool
) -> NDArray[np.int8]:
    low, high = (-7, 7) if symmetric else (0, 15)
    rounded: NDArray[np.int8] = np.clip(np.rint(weight / scale) + zero, low, high).astype(np.int8)
    return rounded


def round_channels(weight: NDArray[np.float32], axis: int, symmetric: bool) -> Rounded:
    """Round a weight to four bits with one scale an index of ``axis``.

    >>> round_channels(np.float32([[0.7, -0.3], [0.0, 14.0]]), 0, True).integers.tolist()
    [[7, -3], [0, 7]]
    >>> rounded = round_channels(np.float32([[0.0, 1.0], [-1.5, 0.0]]), 0, False)
    >>> rounded.integers.tolist(), rounded.zero.tolist()
    ([[0, 15], [0, 15]], [0, 15])
    """
    others = tuple(index for index in range(weight.ndim) if index != axis)
    low, high = weight.min(axis=others, keepdims=True), weight.max(axis=others, keepdims=True)
    scale, zero = _round(low, high, symmetric)
    return Rounded(_integers(weight, scale, zero, symmetric), scale.ravel(), zero.ravel().astype(np.int8))


def round_blocks(weight: NDArray[np.float32], axis: int, block: int, symmetric: bool) -> Rounded:
    """Round a weight to four bits with one scale for ``block`` neighbours along ``axis``; the last may be shorter.

    >>> round_blocks(np.float32([[7, 1, 0.7]]), 1, 2, True).integers.tolist()
    [[7, 1, 7]]
    """
    starts = np.arange(0, weight.shape[axis], block)
    low = np.minimum.reduceat(weight, starts, axis=axis)
    high = np.maximum.reduceat(weight, starts, axis=axis)
    scale, zero = _round(low, high, symmetric)
    spread = [np.repeat(part, block, axis=axis).take(range(weight.shape[axis]), axis=axis) for part in (scale, zero)]
    return Rounded(_integers(weight, spread[0], spread[1], symmetric), scale, zero.astype(np.int8))


def pack(integers: NDArray[np.int8]) -> bytes:
    """Two integers a byte, the first in the low half, as ONNX stores them.

    >>> pack(np.int8([1, -1, 7])).hex()
    'f107'
    """
    flat = integers.ravel().view(np.uint8) & 0xF
    flat = np.append(flat, np.zeros(len(flat) % 2, np.uint8))
    return (flat[::2] | flat[1::2] << 4).astype(np.uint8).tobytes()
