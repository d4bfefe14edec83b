"""The differentiable twin of a session: our import of the graph that it runs, in the user's input space."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch
from torch import nn

from bench.errors import NotDifferentiable, UserError
from bench.integer_sums.pairs import Sums
from bench.networks.arithmetic import arithmetic
from bench.networks.interface import class_scores, combined, member_scores, to_logits, to_network
from bench.networks.network import InputSpec
from bench.onnx_import.module import OnnxModule, import_onnx
from bench.onnx_import.rounding import GradientMode
from bench.onnx_import.values import Codes

QUANTISERS: Final = frozenset(
    {
        "QuantizeLinear",
        "DynamicQuantizeLinear",
        "DynamicQuantizeMatMul",
        "QLinearConv",
        "QLinearMatMul",
        "QGemm",
        "QLinearAdd",
        "QLinearMul",
        "QLinearConcat",
        "QLinearSoftmax",
        "QLinearSigmoid",
        "QLinearLeakyRelu",
        "QLinearAveragePool",
        "QLinearGlobalAveragePool",
    }
)
"""Operators that round what depends on the image."""
UINT8: Final = 2  # ONNX's number of the element type


class Twin(nn.Module):
    """User-space images (batch, channels, height, width) to logits (batch, classes), with input gradients.

    ``gradient`` says how rounding differentiates, ``sums`` how products of 8-bit codes are summed. The module stays in
    evaluation mode. Only the forward pass is bound to the session's threads.
    """

    def __init__(
        self,
        graph: bytes,
        gradient: GradientMode,
        declared: InputSpec,
        *,
        threads: int = 1,
        fixed_batch: int | None = None,
        dtype: torch.dtype = torch.float32,
        sums: Sums = "exact",
        smallest: float | None = None,
    ) -> None:
        super().__init__()
        self.network = imported(graph, gradient, sums)
        self.smallest = smallest  # what a probability of zero counts as
        self.gradient = gradient
        self.input = declared
        self.threads = threads
        self.fixed_batch = fixed_batch
        self.dtype = dtype  # of the graph's own input
        if gradient == "exact":
            refuse_quantisers(self.network)
        super().train(False)

    def train(self, mode: bool = True) -> Twin:
        """Stay in evaluation mode."""
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes), of several members combined."""
        out = member_scores(self.run(to_network(x, replace(self.input, dtype="float32"))), self.input)
        return combined(to_logits(out, self.input, self.smallest), self.input.combine)

    def run(self, given: torch.Tensor) -> torch.Tensor:
        """The graph's own outputs for preprocessed images, (batch, classes) or (batch, members, classes)."""
        with arithmetic(self.threads):
            size = self.fixed_batch or max(1, len(given))
            out = torch.cat([self._run(part, size) for part in torch.split(given, size)])
        return out if out.dtype == torch.float64 else out.float()

    def _run(self, batch: torch.Tensor, size: int) -> torch.Tensor:
        missing = size - len(batch)
        full = torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing else batch
        if self.input.dtype == "uint8":
            whole = Codes(self.network.rounding.saturate(full, 0, 255), UINT8)
            (name,), outputs = self.network.graph.inputs, self.network.graph.outputs[:1]
            made = self.network.values({name: whole}, outputs)[outputs[0]]  # type: ignore[dict-item]
        else:
            made = self.network(full.to(self.dtype))
        return class_scores(made)[: len(batch)]


def imported(graph: bytes, gradient: GradientMode, sums: Sums = "exact") -> OnnxModule:
    """The graph as a module without gradients of its constants; ``NotDifferentiable`` where it cannot be imported."""
    try:
        return import_onnx(graph, gradient, sums).requires_grad_(False)
    except UserError as error:
        raise NotDifferentiable(f"the graph cannot be imported: {' / '.join(str(error).splitlines())}") from error


def refuse_quantisers(module: OnnxModule) -> None:
    """A graph that rounds has no useful exact gradient: ``NotDifferentiable``."""
    for step in module.graph.steps:
        if step.node.operator in QUANTISERS:
            raise NotDifferentiable(f"{step.node} rounds: its exact gradient is zero; ask for straight_through")


def doubled(twin: Twin) -> Twin:
    """The twin in float64, for the numerical floor; itself where the graph holds quantisers or does not run so."""
    if any(step.node.operator in QUANTISERS | {"DequantizeLinear"} for step in twin.network.graph.steps):
        return twin
    if twin.input.dtype == "uint8":
        return twin
    wide, dtype = twin.network.double(), twin.dtype
    twin.dtype = torch.float64
    try:
        with torch.no_grad():
            twin(torch.full((2, *twin.input.shape), twin.input.bounds[0]))
    except (UserError, RuntimeError):
        wide.float()
        twin.dtype = dtype
    return twin
