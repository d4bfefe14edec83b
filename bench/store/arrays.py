"""Reading npz content that may be damaged or made by somebody else: no objects, no more than a given size."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.limits import UNPACKED

# what numpy, zipfile and zlib raise on content that they did not write; RecursionError is a RuntimeError
DAMAGE = (
    OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, MemoryError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def check_unpacked(packed: zipfile.ZipFile, size: int) -> None:
    """Raise ``ValueError`` for names that are there twice, and for what grows beyond the limit when it is unpacked.

    A file that is not packed never grows, however large it is.

    Args:
        packed: the archive, of which nothing is unpacked.
        size: of the file itself, in bytes.
    """
    items = packed.infolist()
    names = [item.filename.removesuffix(".npy") for item in items]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"it holds {doubled[0]!r} twice")
    unpacked = sum(item.file_size for item in items)  # zipfile never unpacks more of a member
    if unpacked > UNPACKED.most and unpacked > size:
        raise ValueError(f"{UNPACKED.exceeded(unpacked, 'it unpacks to ')}; {UNPACKED.advice}")


def read_arrays(content: bytes, most: int | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz``, by name.

    Args:
        content: The file's bytes.
        most: Bytes that it may unpack to; by default as ``check_unpacked`` has it.

    Raises:
        ValueError: damaged, not an ``.npz``, with pickled objects, or larger than ``most``.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if most is None:
                check_unpacked(packed, len(content))
            else:
                size = sum(item.file_size for item in packed.infolist())  # zipfile never unpacks more of a member
                if size > most:
                    raise ValueError(f"it unpacks to {size} bytes, more than {most}")
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds something other than arrays")
        return arrays
    except DAMAGE as error:
        raise ValueError(f"damaged arrays: {error}") from None
