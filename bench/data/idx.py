"""Reads idx files, the format of MNIST."""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError

UNSIGNED_BYTE = 0x08


def read_idx(content: bytes, axes: int, where: str) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes.

    The file begins with two zero bytes, the type, the number of axes, then each length as a big-endian uint32.

    Args:
        content: the file, decompressed.
        axes: how many axes it must have: 1 for labels, 3 for images.
        where: what error messages name.

    >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), 1, "labels").tolist()
    [7, 9]

    Raises:
        UserError: another magic number, or not as many bytes as it says.
    """
    magic = bytes((0, 0, UNSIGNED_BYTE, axes))
    if content[:4] != magic:
        what = f"it begins with {content[:4].hex() or 'nothing'}, an idx file of {axes} axes with {magic.hex()}"
        raise UserError.at(where, what, "give the file as it was published")
    start = 4 + 4 * axes
    if len(content) < start:
        raise UserError.at(where, f"it ends after {len(content)} bytes", "give the file as it was published")
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) - start != math.prod(shape):
        what = f"it holds {len(content) - start} values, its header says {' x '.join(map(str, shape))}"
        raise UserError.at(where, what, "give the file as it was published")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
