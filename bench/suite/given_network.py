"""Networks as a user hands them in, brought to one kind of object: text, path, bytes, model, module, function."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from bench.errors import UserError
from bench.outside_networks.held import Held, HeldKind
from bench.outside_networks.packaged import is_packaged, packaged
from bench.suite.given_input import parse_input
from bench.suite.suite import Outside

if TYPE_CHECKING:
    import onnx
    from torch import nn

GivenNetwork: TypeAlias = (
    "str | os.PathLike[str] | bytes | onnx.ModelProto | nn.Module | Callable[[Any], Any] | Outside"
)
FORMS = "give a torch module, an ONNX file (path, bytes or ModelProto), module:factory[@checkpoint.safetensors], or a "
FORMS += "function of arrays"


def network(source: GivenNetwork, *, key: str = "", **declared: Any) -> Outside:
    """A network with what has to be known of it beside itself; whatever takes a network takes this too.

    Args:
        source: a torch module, an ONNX file (path, bytes or ``ModelProto``), ``module:factory[@checkpoint]``, or a
            function of arrays (n, ...) that answers (n, classes).
        key: a name that you vouch for: as long as it stays, so does the code of a module, and all of a function. With
            it, what was measured is reused in other processes (the state of a module is compared all the same).
        declared: how it takes its input and answers, the keys of ``input`` in a suite: ``output="probabilities"``,
            ``layout="NHWC"``, ``dtype="uint8"``, ``scale=255``, ``mean``, ``std``, ``classes``, ``output_name``.

    Raises:
        UserError: it is no network, or a declaration that is unknown or contradicts itself.

    >>> network(lambda x: x.reshape(len(x), -1)[:, :10], key="first pixels", output="logits").title
    'function'
    """
    item = as_network(source, "network", key=key)
    return replace(item, input=parse_input(declared, "network")) if declared else item


def as_network(given: Any, where: str, *, key: str = "") -> Outside:
    """Anything that may be a network, as ``network`` takes it; what errors name is ``where``."""
    if isinstance(given, Outside):
        return given if given.held is None else replace(given, held=given.held.again())
    if isinstance(given, str):
        return parse_network(given, where)
    if isinstance(given, os.PathLike):
        return _file(Path(given), where)
    kind, content = content_of(given, where)
    title = "onnx" if kind == "onnx" else _title(given)
    return Outside(held=Held(content, kind, title, key))


def content_of(given: Any, where: str) -> tuple[HeldKind, Any]:
    """The kind of network that an object in memory is, and what is kept of it."""
    if isinstance(given, bytes | bytearray | memoryview):
        return "onnx", bytes(given)
    if hasattr(given, "SerializeToString") and hasattr(given, "graph"):
        try:
            return "onnx", bytes(given.SerializeToString())
        except Exception as error:  # protobuf raises its own errors beyond 2 GiB
            what = f"the model cannot be written: {' '.join(str(error).split())[:200]}"
            raise UserError.at(where, what, "an ONNX file has at most 2 GiB") from None
    if isinstance(given, type):
        raise UserError.at(
            where, f"it is the class {given.__name__}", f"give an object of it, such as {given.__name__}()"
        )
    torch = sys.modules.get("torch")  # where it was never imported, nothing is a module of it
    if torch is not None and isinstance(given, torch.nn.Module):
        if hasattr(given, "graph") and hasattr(given, "summing"):  # of bench.onnx: its weights are no parameters
            what = "it is an ONNX file that was loaded as a torch module"
            raise UserError.at(where, what, "give the file itself: its path, or the module's attribute model")
        return "module", given
    if callable(given):
        return "function", given
    raise UserError.at(where, f"an object of type {type(given).__name__} is no network", FORMS)


def _title(given: Any) -> str:
    """A plain name: the function's, or the class of a module."""
    name = getattr(given, "__name__", type(given).__name__)
    return name if name.isidentifier() else "function"


def parse_network(text: str, where: str) -> Outside:
    """An ONNX file, ``package:NAME/path.onnx``, or ``module:factory[@checkpoint.safetensors]``.

    >>> parse_network("nets:small", "REFERENCE").factory
    'nets:small'
    """
    if is_packaged(text):
        text = str(packaged(text, where))
    if text.endswith(".onnx") or Path(text).is_file():
        return _file(Path(text), where)
    factory, _, checkpoint = text.partition("@")
    if not re.fullmatch(r"[\w.]+:\w+", factory):
        raise UserError.at(where, f"no file {text}", "give an ONNX file or module:factory[@checkpoint.safetensors]")
    if is_packaged(checkpoint):
        checkpoint = str(packaged(checkpoint, where))
    if checkpoint and not Path(checkpoint).is_file():
        raise UserError.at(where, f"no file {checkpoint}", "give a safetensors checkpoint")
    return Outside(factory=factory, checkpoint=Path(checkpoint) if checkpoint else None)


def _file(path: Path, where: str) -> Outside:
    """An ONNX file; ``UserError`` where it is not there, or is another kind of file."""
    if not path.is_file():
        raise UserError.at(where, f"no file {path}", "give an ONNX file or module:factory[@checkpoint.safetensors]")
    if path.suffix != ".onnx":
        advice = "give an ONNX file, or module:factory@CHECKPOINT for weights"
        raise UserError.at(where, f"{path} is not an .onnx file", advice)
    return Outside(onnx=path)
