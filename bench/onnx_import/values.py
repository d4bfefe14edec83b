"""The values of a graph: torch tensors, and integer codes that keep a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from onnx import TensorProto, external_data_helper, numpy_helper

from bench.errors import UserError
from bench.limits import ONNX_ELEMENTS

TORCH_TYPES = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.INT8: torch.int8,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT16: torch.int16,
    TensorProto.UINT16: torch.uint16,
    TensorProto.INT32: torch.int32,
    TensorProto.UINT32: torch.uint32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT64: torch.uint64,
    TensorProto.BOOL: torch.bool,
}
"""ONNX element types that torch has too."""


@dataclass(frozen=True, eq=False)
class Codes:
    """An integer tensor held in floating point, so that gradients pass: codes (any shape), whole numbers."""

    codes: torch.Tensor
    element: int  # the ONNX element type that it stands for

    def integers(self) -> torch.Tensor:
        """The tensor of integers that it stands for, without gradient."""
        return self.codes.detach().to(torch.int64).to(TORCH_TYPES[self.element])


Value: TypeAlias = "torch.Tensor | Codes | None"


def as_codes(value: torch.Tensor | Codes, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """An integer tensor as whole numbers in floating point.

    >>> as_codes(torch.tensor([3, 250], dtype=torch.uint8)).tolist()
    [3.0, 250.0]
    """
    return value.codes.to(dtype) if isinstance(value, Codes) else value.to(dtype)


NARROW = {
    "int4": TensorProto.INT4,
    "uint4": TensorProto.UINT4,
    "int2": TensorProto.INT2,
    "uint2": TensorProto.UINT2,
}
"""Element types by the name of their numpy type: integers of less than a byte, which torch does not have."""


def to_value(array: np.ndarray[Any, Any]) -> torch.Tensor | Codes:
    """A numpy array, as onnx reads it, as a tensor; integers of less than a byte as codes."""
    if array.dtype.name in NARROW:
        return Codes(torch.from_numpy(array.astype(np.float32)), NARROW[array.dtype.name])
    return to_tensor(array)


_OUT_OF_SCOPE = "float32, float64, float16, bfloat16, bool and integers of 4, 8, 16, 32 and 64 bits can be imported"
_NIBBLES = (TensorProto.INT4, TensorProto.UINT4)


def from_proto(tensor: TensorProto) -> torch.Tensor | Codes:
    """A stored tensor; integers of four bits, which torch lacks, as codes.

    Raises:
        UserError: another element type, data outside the file, or data that does not fit the declared sizes.
    """
    name = f"tensor {tensor.name!r}"
    if external_data_helper.uses_external_data(tensor):
        raise UserError.at("onnx", f"{name} keeps its data outside the file", "embed it")
    if tensor.data_type not in TORCH_TYPES and tensor.data_type not in _NIBBLES:
        known = tensor.data_type in TensorProto.DataType.values()
        kind = TensorProto.DataType.Name(tensor.data_type) if known else str(tensor.data_type)
        raise UserError.at("onnx", f"{name} is of type {kind}", _OUT_OF_SCOPE)
    if min(tensor.dims, default=0) < 0:
        raise UserError.at("onnx", f"{name} has sizes {list(tensor.dims)}", "export it anew")
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        line = " ".join(str(error).split())[:200]
        raise UserError.at("onnx", f"{name} does not hold what it declares: {line}", "export it anew") from None
    if tensor.data_type in _NIBBLES:
        return Codes(torch.from_numpy(array.astype(np.float32)), tensor.data_type)
    return to_tensor(array)


def to_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """A numpy array, as onnx reads it, as a torch tensor of its own memory; bfloat16 by way of its bits."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(array, order="C"))


_GROWTH = 64
"""How many times larger than what it is made of a tensor may be beyond that: 8 x 8 as many pixels."""

_WIDE_UNSIGNED = frozenset({torch.uint16, torch.uint32, torch.uint64})


def through_int64(function: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
    """A function of tensors; unsigned integers above 8 bits, on which torch computes little, go by way of int64.

    >>> through_int64(torch.add, torch.tensor([65535], dtype=torch.uint16), torch.tensor([2], dtype=torch.uint16))
    tensor([1], dtype=torch.uint16)
    """
    if not any(tensor.dtype in _WIDE_UNSIGNED for tensor in tensors):
        return function(*tensors)
    result = function(*(tensor if tensor.is_floating_point() else tensor.to(torch.int64) for tensor in tensors))
    return result.to(tensors[0].dtype) if result.dtype == torch.int64 else result


def sizes(value: torch.Tensor) -> list[int]:
    """A tensor of integers, such as a shape or axes, as a list.

    >>> sizes(torch.tensor([2, -1]))
    [2, -1]
    """
    if value.is_floating_point():
        raise ValueError(f"sizes of type {value.dtype}")
    return [int(number) for number in value.reshape(-1).tolist()]


def allowed(shape: Iterable[int], given: int = 0) -> list[int]:
    """A shape to allocate, made of ``given`` elements; ``ValueError`` where it is negative or beyond reason.

    >>> allowed([2, 3])
    [2, 3]
    """
    shape = list(shape)
    if min(shape, default=0) < 0:
        raise ValueError(f"a tensor of shape {tuple(shape)} is not allowed")
    if prod(shape) > max(ONNX_ELEMENTS.most, _GROWTH * given):
        excess = ONNX_ELEMENTS.exceeded(prod(shape), f"a tensor of shape {tuple(shape)} is not allowed: ")
        raise ValueError(f"{excess}; {ONNX_ELEMENTS.advice}")
    return shape
