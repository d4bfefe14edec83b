"""Data that an ONNX file keeps in other files: found inside its own folder alone, and embedded."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import external_data_helper

from bench.errors import UserError
from bench.onnx_files.interface import one_line
from bench.onnx_files.walk import tensors_of

LARGEST = 2**31 - 1  # bytes of one protobuf message
DIGITS = 20  # of a length in bytes


def embed(model: onnx.ModelProto, folder: Path | None, where: str) -> bool:
    """Load external data from a folder into the model; True where there was any. Without a folder there must be none.

    Raises:
        UserError: a location outside the folder, no such file, or more than one ONNX file can hold; nothing is read.
    """
    external = [tensor for tensor in tensors_of(model) if external_data_helper.uses_external_data(tensor)]
    if folder is None:
        if not external:
            return False
        what = f"{external[0].name[:80]!r} keeps its data in another file, and the model has no folder"
        raise UserError.at(where, what, "give the path of the ONNX file")
    total = model.ByteSize() if external else 0
    for tensor in external:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        try:
            target = (folder / location).resolve()
            there = target.is_file()
        except (OSError, ValueError):  # a name that no file can have
            what = f"{tensor.name[:80]!r} names no data file: {_named(location)}"
            raise UserError.at(where, what, "export it anew") from None
        if Path(location).is_absolute() or not target.is_relative_to(folder.resolve()):
            what = f"{tensor.name!r} keeps its data outside the file's folder: {_named(location)}"
            raise UserError.at(where, what, "put the data beside the ONNX file")
        if not there:
            what = f"{tensor.name!r} needs the data file {_named(location)}, which is not there"
            raise UserError.at(where, what, "add it")
        length = entries.get("length") or str(target.stat().st_size)
        if not length.isdecimal() or len(length) > DIGITS:
            what = f"{tensor.name!r} says its data has length {_named(length)}"
            raise UserError.at(where, what, "export it anew")
        total += int(length)
    if total > LARGEST:
        what = f"{total / 2**30:.1f} GiB with its external data"
        raise UserError.at(where, what, "at most 2 GiB can be embedded")
    try:
        for tensor in external:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    except (onnx.checker.ValidationError, ValueError, OSError, OverflowError) as error:
        raise UserError.at(where, f"external data cannot be read: {one_line(error)}", "export it anew") from None
    return bool(external)


def _named(text: str) -> str:
    """A text as errors show it, of at most 80 characters.

    >>> _named("a" * 5000) == repr("a" * 80) + " and 4920 characters more"
    True
    """
    return repr(text[:80]) + (f" and {len(text) - 80} characters more" if len(text) > 80 else "")
