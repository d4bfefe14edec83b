"""Arrays as short text in a baseline: bits for outcomes, half precision for numbers, everything deflated."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP = 15  # scaled numbers stay below 2^15; half precision ends at 65504
LARGEST = 64 * 2**20  # bytes of one array: what claims to be more is refused before it is unpacked


def encode(array: NDArray[Any], *, exact: bool = False) -> str:
    """``kind:shape:scale:base64`` of the deflated bytes.

    0/1 arrays become bits. Whole numbers keep their type. Others are scaled by a power of two to at most 2^15 and
    rounded to float16, 11 bits: each number moves by at most 1/2048 of itself (or 2^-39 of the largest), at random, so
    that a mean of n moves by some 1/3500 of its root mean square over sqrt(n); with ``exact`` to float32 instead.

    >>> encode(np.array([0, 1, 1, 0]))[:9], decode(encode(np.array([0, 1, 1, 0]))).tolist()
    ('bits:4:0:', [0.0, 1.0, 1.0, 0.0])
    >>> decode(encode(np.array([0.1, 3e-9]))).round(7).tolist()
    [0.0999756, 0.0]
    """
    shape = "x".join(map(str, array.shape)) or "1"
    values = np.asarray(array)
    if values.size and values.dtype.kind in "buif" and np.isin(values, (0, 1)).all():
        return _text("bits", shape, 0, np.packbits(values.astype(bool).ravel()))
    if values.dtype.kind in "iub":
        return _text("i64", shape, 0, values.astype("<i8"))
    if exact:
        return _text("f32", shape, 0, values.astype("<f4"))
    scale = TOP - int(np.frexp(np.abs(values).max(initial=0.0))[1])
    return _text("f16", shape, scale, np.ldexp(values.astype(np.float64), scale).astype("<f2"))


def _text(kind: str, shape: str, scale: int, values: NDArray[Any]) -> str:
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode()
    return f"{kind}:{shape}:{scale}:{packed}"


def decode(text: str) -> NDArray[np.float64]:
    """What ``encode`` kept, as float64.

    Raises:
        ValueError: If the text is damaged.
    """
    try:
        kind, shown, scale, packed = text.split(":")
        shape = tuple(int(part) for part in shown.split("x"))
        count = int(np.prod(shape, dtype=object))
        kinds: dict[str, Any] = {"f16": "<f2", "f32": "<f4", "i64": "<i8", "bits": "u1"}
        size = (count + 7) // 8 if kind == "bits" else count * np.dtype(kinds[kind]).itemsize
        if not 0 <= size <= LARGEST:
            raise ValueError(f"{size} bytes")
        content = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), size + 1)
        if len(content) != size:
            raise ValueError(f"{len(content)} bytes of {size}")
        raw = np.frombuffer(content, dtype=kinds[kind])
        values = np.unpackbits(raw, count=count) if kind == "bits" else raw
        with np.errstate(over="ignore"):
            found = np.ldexp(values.astype(np.float64), -int(scale)).reshape(shape)
        if not np.isfinite(found).all():
            raise ValueError("numbers that are not finite")
        return found
    except (ValueError, KeyError, TypeError, OverflowError, binascii.Error, zlib.error) as error:
        raise ValueError(f"a damaged array: {error}") from None
