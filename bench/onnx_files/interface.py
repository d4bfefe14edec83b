"""Checks the declared input of an ONNX file from outside, without running it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import onnx
from onnx import TensorProto

from bench.errors import UnusableNetwork
from bench.networks.given_files import named
from bench.networks.network import InputSpec

FLOATING: Final = ("FLOAT", "FLOAT16", "DOUBLE")


def check_interface(model: onnx.ModelProto, declared: InputSpec, where: str) -> None:
    """Raise ``UserError`` where the file has not one input of the declared type and shape.

    Sizes that the file leaves open, an unknown rank and any fixed batch are left to the run.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    if len(inputs) != 1:
        what = f"{len(inputs)} inputs: {named([value.name for value in inputs]) or 'none'}"
        raise UnusableNetwork.at(where, what, "give a network with one input, the image")
    if not model.graph.output:
        raise UnusableNetwork.at(where, "it has no output", "give a network that puts out class scores")
    tensor = inputs[0].type.tensor_type
    known = tensor.elem_type in TensorProto.DataType.values()
    kind = TensorProto.DataType.Name(tensor.elem_type) if known else f"of type {tensor.elem_type}"
    _check_type(kind, inputs[0].name, declared, where)
    if not tensor.HasField("shape"):
        return
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    shape_text = "(" + ", ".join("?" if size is None else str(size) for size in sizes) + ")"
    needed = declared.network_shape
    wanted = f"(batch, {', '.join(map(str, needed))})"
    pairs = zip(sizes[1:], needed, strict=False)
    if len(sizes) != 1 + len(needed) or any(size not in (None, asked) for size, asked in pairs):
        turned = replace(declared, layout="NHWC" if declared.layout == "NCHW" else "NCHW")
        fits = turned.network_shape != needed and sizes[1:] == list(turned.network_shape)
        right = f'declare input = {{ layout = "{turned.layout}" }}' if fits else "let network and data agree"
        raise UnusableNetwork.at(where, f"the input has shape {shape_text}, the data has {wanted}", right)


def _check_type(kind: str, name: str, declared: InputSpec, where: str) -> None:
    """The input must be of the declared kind: any floating type, or uint8."""
    if kind == "UINT8" if declared.dtype == "uint8" else kind in FLOATING:
        return
    right = "export with a float32 input"
    if kind == "UINT8":
        right = 'declare input = { dtype = "uint8", scale = 255 } for data in [0, 1]'
    elif kind in FLOATING:
        right = "leave dtype out: the network takes floating point"
    declares = "" if declared.dtype == "float32" else f", declared is {declared.dtype.upper()}"
    raise UnusableNetwork.at(where, f"the input {name!r} is {kind}{declares}", right)


def one_line(error: Exception) -> str:
    """An exception's text in one line."""
    return " ".join(str(error).split())[:300]
