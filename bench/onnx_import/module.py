"""The torch module that executes an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from bench.errors import UserError
from bench.integer_sums.pairs import Sums
from bench.onnx_import.build import parse_model
from bench.onnx_import.execution import Replacement, execute, run_step
from bench.onnx_import.parse import ExecutableGraph, ExecutionStep
from bench.onnx_import.rounding import GradientMode, Rounding
from bench.onnx_import.saturation import Counted, Summing
from bench.onnx_import.values import TORCH_TYPES, Codes, Value


class OnnxModule(nn.Module):
    """An ONNX graph with autograd; ``forward`` maps the one input to the first output.

    ``values`` answers any tensor by name, and may replace some on the way.
    """

    def __init__(self, graph: ExecutableGraph, rounding: Rounding, summing: Summing) -> None:
        super().__init__()
        self.graph = graph
        self.rounding = rounding
        self.summing = summing
        self._made = frozenset(name for step in graph.steps for name in step.node.outputs if name)
        self._constants: dict[str, tuple[str, int | None]] = {}  # name -> buffer, element type of codes
        for index, (name, value) in enumerate(graph.constants.items()):
            assert value is not None
            self._constants[name] = (f"constant_{index}", value.element if isinstance(value, Codes) else None)
            self.register_buffer(f"constant_{index}", value.codes if isinstance(value, Codes) else value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The graph's first output of one batch; integers come out as their own type.

        Raises:
            UserError: the graph has not one input, or an input of another kind (floating, integer) than x.
        """
        if len(self.graph.inputs) != 1:
            given = ", ".join(map(repr, self.graph.inputs)) or "none"
            what = f"the graph has {len(self.graph.inputs)} inputs: {given}"
            raise UserError.at("onnx", what, "give them by name to values()")
        (name,) = self.graph.inputs
        declared = TORCH_TYPES.get(self.graph.input_types.get(name, 0))
        if declared is not None and declared.is_floating_point != x.is_floating_point():
            what = f"the input {name!r} takes {declared}, it was given {x.dtype}"
            raise UserError.at("onnx", what, "an input of integers has no gradient")
        return self.values({name: x}, self.graph.outputs[:1])[self.graph.outputs[0]]

    def values(
        self,
        inputs: Mapping[str, torch.Tensor],
        fetch: Iterable[str],
        replace: Mapping[str, Replacement] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Tensors by name, of graph inputs by name; only the nodes that they need are run.

        Args:
            inputs: every graph input; a constant may be given another value too.
            fetch: names of tensors; nothing is freed that is asked for.
            replace: by name of a tensor, what to make of it before anybody reads it.

        Raises:
            UserError: an input is missing, no such tensor, or a node cannot run.
        """
        wanted, changes = set(fetch), replace or {}
        self._check(inputs, wanted | changes.keys())
        scope: dict[str, Value] = {name: self._constant(name) for name in self._constants}
        scope |= dict(inputs)
        changed = {name for name in changes if name in scope} | (inputs.keys() & self._constants.keys())
        for name in changes.keys() & scope.keys():
            scope[name] = changes[name](scope[name])
        for step in self.graph.folded if changed else ():
            if changed & set(step.node.inputs):
                self._refold(step, scope, changes)
                changed |= set(step.node.outputs)
        execute(self._needed(wanted), scope, wanted, changes)
        return {name: materialise(scope[name]) for name in wanted}

    def arrays(self, inputs: Mapping[str, NDArray[Any]], fetch: Iterable[str]) -> dict[str, NDArray[Any]]:
        """Values as ``values`` gives them, of numpy arrays and without gradient."""
        with torch.no_grad():
            made = self.values({name: torch.from_numpy(array) for name, array in inputs.items()}, fetch)
        return {name: value.numpy() for name, value in made.items()}

    @contextmanager
    def counting(self) -> Iterator[dict[str, Counted]]:
        """Pair sums of 8-bit products, by node, are counted while the block lasts; of saturating sums alone."""
        counted: dict[str, Counted] = {}
        self.summing.counted = counted
        try:
            yield counted
        finally:
            self.summing.counted = None

    def _refold(self, step: ExecutionStep, scope: dict[str, Value], changes: Mapping[str, Replacement]) -> None:
        """Make a folded constant again, because one that it was made of has changed."""
        for name, value in zip(step.node.outputs, run_step(step, scope), strict=False):
            if name:
                scope[name] = changes[name](value) if name in changes else value

    def _constant(self, name: str) -> Value:
        buffer, element = self._constants[name]
        tensor: torch.Tensor = getattr(self, buffer)
        return tensor if element is None else Codes(tensor, element)

    def _needed(self, wanted: set[str]) -> list[ExecutionStep]:
        """The steps that lead to what is wanted, in order."""
        needed, chosen = set(wanted), []
        for step in reversed(self.graph.steps):
            if needed & set(step.node.outputs):
                chosen.append(step)
                needed |= {*step.node.inputs, *(step.captures or ())}
        return chosen[::-1]

    def _check(self, inputs: Mapping[str, torch.Tensor], names: set[str]) -> None:
        for name in self.graph.inputs:
            if name not in inputs:
                raise UserError.at("onnx", f"the input {name!r} is not given", "give every input")
        for name in sorted(names):
            if name not in self._made and name not in self._constants and name not in inputs:
                raise UserError.at("onnx", f"the graph has no tensor {name!r}", "give a name that a node makes")


def materialise(value: Value) -> torch.Tensor:
    """A value as a plain tensor: codes as integers."""
    if isinstance(value, Codes):
        return value.integers() if value.element in TORCH_TYPES else value.codes
    assert value is not None
    return value


def import_onnx(model: bytes | onnx.ModelProto, gradient: GradientMode = "exact", sums: Sums = "exact") -> OnnxModule:
    """Import an ONNX file as a torch module that executes the same graph.

    Args:
        model: the file's bytes, or a model.
        gradient: how step functions differentiate; see ``Rounding``.
        sums: how products of 8-bit codes are summed.

    Raises:
        UserError: it does not parse, or holds operators that cannot be imported.
    """
    if isinstance(model, bytes):
        from google.protobuf.message import DecodeError

        try:
            model = onnx.load_model_from_string(model)
        except DecodeError:
            raise UserError.at("onnx", "the file does not parse as ONNX", "export it anew") from None
    if not model.HasField("graph"):
        raise UserError.at("onnx", "the file holds no graph", "export it anew")
    rounding, summing = Rounding(gradient), Summing(sums)
    return OnnxModule(parse_model(model, rounding, summing), rounding, summing).eval()
