"""Reading npz content that may be damaged or made by somebody else: no objects, no more than a given size."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.limits import UNPACKED

# what numpy, zipfile and zlib raise on content that they did not write; RecursionError is a RuntimeError
DAMAGE = (
    OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, MemoryError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


END, TAIL = b"PK\x05\x06", 22 + 65535  # what closes an archive: a record and at most so long a comment
UNTOLD = 0xFFFF  # a number of members that stands elsewhere


def _declared(packed: zipfile.ZipFile) -> int:
    """The number of members that an archive declares: zipfile itself does not miss one that its directory lost."""
    stream = packed.fp
    assert stream is not None
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(size - TAIL, 0))
    tail = stream.read()
    count = int.from_bytes(tail[(start := tail.rfind(END)) + 10 : start + 12], "little")
    return len(packed.infolist()) if count == UNTOLD else count


def check_unpacked(packed: zipfile.ZipFile, size: int) -> None:
    """Raise ``ValueError`` for a member that is lost or there twice, and for what unpacks to more than the limit.

    A file that is not packed never grows, however large it is.

    Args:
        packed: the archive, of which nothing is unpacked.
        size: of the file itself, in bytes.
    """
    items = packed.infolist()
    if len(items) != _declared(packed):
        raise ValueError("its directory lacks members that it counts")
    names = [item.filename.removesuffix(".npy") for item in items]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"it holds {doubled[0]!r} twice")
    unpacked = sum(item.file_size for item in items)  # zipfile never unpacks more of a member
    if unpacked > UNPACKED.most and unpacked > size:
        raise ValueError(f"{UNPACKED.exceeded(unpacked, 'it unpacks to ')}; {UNPACKED.advice}")


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of an ``.npz``, the same bytes for the same arrays in the same order: no time stands in it.

    >>> packed({"x": np.zeros(2)}) == packed({"x": np.zeros(2)})
    True
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy")  # of 1980
            archive.writestr(member, content.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


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
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds something other than arrays")
        return arrays
    except DAMAGE as error:
        raise ValueError(f"damaged arrays: {error}") from None
