"""Torch's exporters to ONNX: float networks by tracing or ``torch.export``, quantised ones as integers by brevitas."""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import onnx
import torch
from onnx import ModelProto, helper
from torch import nn

from bench.compression.quantisation.quantisers import quiet_brevitas
from bench.networks.network import TorchNetwork
from bench.networks.torchscript import copied, exportable

with quiet_brevitas():
    from brevitas.export import export_onnx_qcdq

NEWEST_IR = 10  # enough up to opset 21; runtimes lag behind the newest
MOVES = frozenset({"Flatten", "Reshape", "MaxPool", "Identity"})
LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")


def export_float(network: TorchNetwork, opset: int, exporter: Literal["torchscript", "dynamo"]) -> ModelProto:
    """The file of a float network, its batch dynamic, by one of torch's exporters."""
    example = torch.zeros(2, *network.input.network_shape)
    module = exportable(copied(network.module).eval(), example)
    names: dict[str, Any] = {"input_names": ["input"], "output_names": ["logits"], "opset_version": opset}
    if exporter == "dynamo":
        dynamic = ({0: torch.export.Dim("batch")},)
        program = torch.onnx.export(module, (example,), dynamo=True, dynamic_shapes=dynamic, verbose=False, **names)
        assert program is not None
        return program.model_proto
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(module, (example,), str(path), dynamo=False, **_dynamic_axes(), **names)
        return onnx.load(path)


def _dynamic_axes() -> dict[str, Any]:
    return {"dynamic_axes": {"input": {0: "batch"}, "logits": {0: "batch"}}}


def export_quantised(network: TorchNetwork, opset: int) -> ModelProto:
    """Integers through brevitas; its handlers change the module, so a copy is exported, inside a plain module."""

    class Plain(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.network = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.network(x)
            return out

    module = Plain(copy.deepcopy(network.module)).eval()
    example = torch.zeros(2, *network.input.network_shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export_onnx_qcdq(
            module,
            args=example,
            export_path=str(path),
            dynamo=False,
            keep_initializers_as_inputs=False,
            opset_version=opset,
            input_names=["input"],
            output_names=["logits"],
            **_dynamic_axes(),
        )
        return onnx.load(path)


def quantise_moves(model: ModelProto) -> None:
    """Quantise again, with the same scale, what only moved or was pooled by maximum; in place.

    Rounding a rounded value changes nothing, and a runtime that looks for quantisers directly before an operator
    then finds them there: without it, a linear layer after a flattening runs on floating point.
    """
    made: dict[str, Any] = {}  # the dequantiser of each value that has one
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type == "DequantizeLinear":
            made[node.output[0]] = node
        source = made.get(node.input[0]) if node.input else None
        if node.op_type not in MOVES or source is None:
            continue
        name = node.output[0]
        node.output[0] = f"{name}_moved"
        scale = list(source.input[1:])
        nodes.append(helper.make_node("QuantizeLinear", [node.output[0], *scale], [f"{name}_integer"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_integer", *scale], [name]))
        made[name] = nodes[-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Silence what exporters print and warn: deprecations of their own and notes on absent packages."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def strip_notes(model: ModelProto) -> None:
    """Remove notes of the exporter (they hold paths of this machine) and pin the format's version, in place."""
    model.ir_version = min(model.ir_version, NEWEST_IR)
    graph = model.graph
    holders = [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]
    for function in model.functions:
        holders += [function, *function.node, *function.value_info]
    for holder in holders:
        holder.ClearField("doc_string")
        holder.ClearField("metadata_props")
