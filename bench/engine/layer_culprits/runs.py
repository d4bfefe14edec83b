"""Running parts of an ONNX graph on ONNX Runtime: values by name, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper

from bench.errors import UserError
from bench.onnx_files.running import holds_loop, run_session
from bench.runtimes.base import Target
from bench.runtimes.onnx_session import reason, session_options, start_session

if TYPE_CHECKING:
    from bench.layer_matching import LayerGraph

Values = dict[str, NDArray[Any]]
LARGEST_BATCH, BATCH_BYTES = 64, 2**28
TARGET = Target(name="layers", runtime="onnxruntime", optimisation="disabled")


@dataclass(frozen=True)
class ValueType:
    """Type and shape (without the batch) of a value."""

    element: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def real(self) -> bool:
        """Whether it holds real numbers."""
        return self.dtype.kind == "f"


class Weights(NamedTuple):
    """Weights, outputs first and inputs second, and bias (outputs,); None where it is not known."""

    weights: NDArray[Any]
    bias: NDArray[Any] | None


class Part:
    """A file in a session: values in, values out."""

    def __init__(self, model: ModelProto, types: Mapping[str, np.dtype[Any]], outputs: Sequence[str]) -> None:
        self.types, self.outputs = types, outputs
        content = model.SerializeToString()
        self.loops = holds_loop(content)
        self.session = start_session(content, TARGET, session_options(TARGET, 1))
        self.inputs = [entry.name for entry in self.session.get_inputs()]

    def __call__(self, given: Mapping[str, Any]) -> Values:
        """The values of one batch; ``RuntimeError`` where ONNX Runtime cannot run it."""
        feeds = {name: np.ascontiguousarray(given[name], dtype=self.types[name]) for name in self.inputs}
        try:
            outputs = run_session(self.session, feeds, loops=self.loops)
        except Exception as error:  # the runtime's exceptions share no base class of their own
            raise RuntimeError(reason(error)) from error
        return dict(zip(self.outputs, outputs, strict=True))


class Side:
    """One of the two networks: its layers, the values between them on all samples, and how to replace some."""

    def __init__(self, graph: LayerGraph, x: NDArray[Any], where: str) -> None:
        self.graph, self.x, self.where = graph, x, where
        self.kept: dict[str, ValueType] = {graph.input: kept_as(x)}
        self._between = self.part([graph.input], self._names())
        self._seen: dict[int, Values] = {}
        self._weights: dict[int, Weights | None] = {}
        self.kept |= {name: kept_as(value) for name, value in self._run(x[:1] if graph.dynamic else x[:2]).items()}

    @property
    def bytes_each(self) -> int:
        """Size of all values between layers for one sample."""
        return sum(int(np.prod(kept.shape)) * kept.dtype.itemsize for kept in self.kept.values())

    def part(self, inputs: Iterable[str], outputs: Iterable[str]) -> Part:
        """The part of the graph from some values to others; ``ValueError`` where others are needed too."""
        from bench.layer_matching import piece

        given, wanted = {name: self.kept[name] for name in inputs}, list(dict.fromkeys(outputs))
        cut = piece(self.graph.model, {name: kept.element for name, kept in given.items()}, wanted)
        return Part(cut, {name: kept.dtype for name, kept in given.items()}, wanted)

    def run(self, part: slice) -> Values:
        """Every value between layers for one batch; remembered where all batches fit."""
        if part.start in self._seen:
            return self._seen[part.start]
        values = self._run(self.x[part])
        if self.bytes_each * len(self.x) <= BATCH_BYTES:
            self._seen[part.start] = values
        return values

    def with_values(self, part: slice, replaced: Values) -> NDArray[Any]:
        """The network's output for one batch, some values between layers replaced; ``RuntimeError`` as ``Part``."""
        given: dict[str, Any] = {self.graph.input: self.x[part]}
        for name in self._exits:
            given |= {f"{name}/use": name in replaced, f"{name}/given": replaced.get(name, 0)}
        return self._replaceable(given)[self.graph.output]

    def weights(self, position: int) -> Weights | None:
        """A layer's constant real weights; None where they are not known."""
        if position not in self._weights:
            self._weights[position] = self._read_weights(position)
        return self._weights[position]

    def _read_weights(self, position: int) -> Weights | None:
        from bench.layer_matching import weight_value

        named = weight_value(self.graph, position)
        if named is None:
            return None
        wanted = [named.name, *([named.bias] if named.bias else [])]
        try:
            arrays = self.part([], wanted)({})
        except (RuntimeError, ValueError, UserError):
            return None
        weights = arrays[named.name]
        if weights.dtype.kind != "f" or (named.transposed and weights.ndim != 2):
            return None
        weights = weights.T if named.transposed else weights
        bias = arrays.get(named.bias or "", np.zeros(len(weights)) if named.bias is not None else None)
        return Weights(weights, None if bias is None or bias.size != len(weights) else bias.reshape(-1))

    @cached_property
    def _exits(self) -> list[str]:
        """The real values that may be replaced."""
        return [name for layer in self.graph.layers for name in layer.exits if self.kept[name].real]

    @cached_property
    def _replaceable(self) -> Part:
        from bench.layer_matching import replaceable

        model = replaceable(self.graph.model, {name: self.kept[name].element for name in self._exits})
        types = {self.graph.input: self.kept[self.graph.input].dtype}
        for name in self._exits:
            types |= {f"{name}/use": np.dtype(bool), f"{name}/given": self.kept[name].dtype}
        return Part(model, types, [self.graph.output])

    def _names(self) -> list[str]:
        names = [name for layer in self.graph.layers for name in (*layer.entries, *layer.exits)]
        names += [layer.before_activation for layer in self.graph.layers if layer.before_activation]
        return [*names, self.graph.output]

    def _run(self, x: NDArray[Any]) -> Values:
        try:
            return self._between({self.graph.input: x})
        except RuntimeError as error:
            what = f"ONNX Runtime cannot run it layer by layer: {error}"
            raise UserError.at(self.where, what, "export it with standard operators") from error


def kept_as(value: NDArray[Any]) -> ValueType:
    """Type and shape of an array of samples."""
    return ValueType(helper.np_dtype_to_tensor_dtype(value.dtype), value.dtype, tuple(value.shape[1:]))


def batches(sides: Sequence[Side]) -> list[slice]:
    """Slices of samples, small enough to hold all values between layers; one by one where results hang on the batch."""
    size, count = LARGEST_BATCH, len(sides[0].x)
    for side in sides:
        size = min(size, max(1, BATCH_BYTES // max(1, side.bytes_each)), 1 if side.graph.dynamic else size)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
