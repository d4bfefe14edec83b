"""Reading npz content that may be damaged or made by somebody else: no objects, no more than a given size."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

# what numpy, zipfile and zlib raise on content that they did not write; RecursionError is a RuntimeError
DAMAGE = (
    OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, MemoryError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_arrays(content: bytes, most: int | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz``, by name.

    Args:
        content: The file's bytes.
        most: Bytes that it may unpack to; no limit by default.

    Raises:
        ValueError: damaged, not an ``.npz``, with pickled objects, or larger than ``most``.
    """
    try:
        if most is not None:
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
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
