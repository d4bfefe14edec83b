"""Step ``onnx-export``: a torch network as a self-contained ONNX file."""

from __future__ import annotations

import copy
import logging
import math
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

import numpy as np
from pydantic import Field

from bench.compression.base import Step, StepContext, steps
from bench.compression.quantisation.quantisers import quiet_brevitas
from bench.errors import UserError
from bench.models.training import reproducible
from bench.networks.attention import plain_attention
from bench.networks.network import Network, OnnxNetwork, TorchNetwork
from bench.networks.torchscript import copied, exportable, script_layer
from bench.registry import parameters
from bench.runtimes.base import Optimisation, Target
from bench.runtimes.onnx_operators import integer_kernels, operators, optimised_operators
from bench.runtimes.onnx_runtime import OnnxRuntime
from bench.runtimes.torch_runtime import TorchRuntime
from bench.stats.streams import generator

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto
    from torch import nn

NEWEST_IR = 10  # enough up to opset 21; runtimes lag behind the newest
PROBES = 29  # one sample alone, then four batches of seven
FLOAT_TOLERANCE = 1e-3  # of the largest logit
QUANTISED_TOLERANCE = 0.1  # of the logits' spread, for the median probe: single roundings may fall the other way
MOVES = frozenset({"Flatten", "Reshape", "MaxPool", "Identity"})
LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")


@steps.register("onnx-export")
@parameters
class OnnxExport(Step):
    """Export with a dynamic batch; a quantised network becomes integers (QuantizeLinear and DequantizeLinear pairs).

    Both exporters of torch fold BatchNorm by themselves; the record counts it. Quantised networks need
    ``torchscript``: with the other exporter the file keeps float weights. The file is run against the torch network
    on seeded uniform probes at each optimisation level; the differences of logits are in the record (``parity``), and
    a file that computes something else with optimisation disabled is refused.
    """

    opset: Annotated[int, Field(ge=13, le=20, description="version of the ONNX operators")] = 18
    exporter: Annotated[
        Literal["torchscript", "dynamo"], Field(description="torch's exporter: by tracing, or by torch.export")
    ] = "torchscript"

    version: ClassVar[int] = 2
    packages: ClassVar[tuple[str, ...]] = ("torch", "onnx", "onnxscript", "onnxoptimizer", "brevitas")
    consumes: ClassVar[frozenset[str]] = frozenset({"torch", "torch-quantised"})
    takes_torchscript: ClassVar[bool] = True
    refusal: ClassVar[dict[str, str]] = {
        "onnx": "the network is an ONNX file already",
        "onnx-quantised": "the network is an ONNX file already",
    }

    def produces(self, kind: str) -> str:
        """An ONNX file, quantised where the network was."""
        return "onnx-quantised" if kind == "torch-quantised" else "onnx"

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Export and compare; raises ``UserError`` where the exporter does not fit the network or the opset.

        Raises:
            RuntimeError: the file keeps float weights of a quantised network, or computes something else.
        """
        assert isinstance(network, TorchNetwork)
        self._check(network)
        with reproducible("onnx-export"), _quiet(), plain_attention():
            model = _export_quantised(network, self.opset) if network.quantised else self._export_float(network)
        if network.quantised:
            _quantise_moves(model)
        _strip(model)
        exported = OnnxNetwork(
            model.SerializeToString(deterministic=True), network.input, network.record, network.quantised
        )
        counts = operators(exported.model)
        before = _batch_norms(network.module)
        record = {
            "opset": self.opset,
            "ir": model.ir_version,
            "exporter": self.exporter,
            "batch_norms": {"before": before, "folded_by_exporter": before - counts.get("BatchNormalization", 0)},
            "operators": counts,
            "bytes": len(exported.model),
            "weight_bytes": _weight_bytes(model),
            "parity": _parity(network, exported),
        }
        if network.quantised:
            _check_integers(network.module, record["weight_bytes"])
            record["integer_kernels"] = integer_kernels(optimised_operators(exported, _target("all")))
        return exported, record

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """The file itself is the structure: an empty one that is replaced."""
        return OnnxNetwork(b"", network.input, quantised=self.produces(network.kind) == "onnx-quantised")

    def _check(self, network: TorchNetwork) -> None:
        if self.exporter == "dynamo" and network.quantised:
            what = "the dynamo exporter keeps float weights of a quantised network"
            raise UserError.at("onnx-export.exporter", what, 'use "torchscript"')
        if self.exporter == "dynamo" and script_layer(network.module) is not None:
            raise UserError.at("onnx-export.exporter", "the dynamo exporter takes no TorchScript", 'use "torchscript"')
        if self.exporter == "dynamo" and self.opset < 18:
            raise UserError.at("onnx-export.opset", f"the dynamo exporter starts at 18, not {self.opset}", "give 18-20")

    def _export_float(self, network: TorchNetwork) -> ModelProto:
        import onnx
        import torch

        example = torch.zeros(2, *network.input.network_shape)
        module = exportable(copied(network.module).eval(), example)
        names: dict[str, Any] = {"input_names": ["input"], "output_names": ["logits"], "opset_version": self.opset}
        if self.exporter == "dynamo":
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


def _export_quantised(network: TorchNetwork, opset: int) -> ModelProto:
    """Integers through brevitas; its handlers change the module, so a copy is exported, inside a plain module."""
    import onnx
    import torch
    from brevitas.export import export_onnx_qcdq
    from torch import nn

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


def _quantise_moves(model: ModelProto) -> None:
    """Quantise again, with the same scale, what only moved or was pooled by maximum; in place.

    Rounding a rounded value changes nothing, and a runtime that looks for quantisers directly before an operator
    then finds them there: without it, a linear layer after a flattening runs on floating point.
    """
    from onnx import helper

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
def _quiet() -> Iterator[None]:
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


def _strip(model: ModelProto) -> None:
    """Remove notes of the exporter (they hold paths of this machine) and pin the format's version, in place."""
    model.ir_version = min(model.ir_version, NEWEST_IR)
    graph = model.graph
    holders = [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]
    for function in model.functions:
        holders += [function, *function.node, *function.value_info]
    for holder in holders:
        holder.ClearField("doc_string")
        holder.ClearField("metadata_props")


def _weight_bytes(model: ModelProto) -> dict[str, int]:
    """Bytes of the stored tensors by type."""
    from onnx import TensorProto, numpy_helper

    sizes: dict[str, int] = {}
    for tensor in model.graph.initializer:
        name = TensorProto.DataType.Name(tensor.data_type).lower()
        sizes[name] = sizes.get(name, 0) + numpy_helper.to_array(tensor).nbytes
    return dict(sorted(sizes.items()))


def _check_integers(module: nn.Module, stored: dict[str, int]) -> None:
    import torch
    from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer

    different: dict[tuple[Any, ...], int] = {}  # the exporter writes equal tensors once: tied weights, say
    with torch.no_grad(), quiet_brevitas():
        for layer in module.modules():
            if isinstance(layer, QuantWeightBiasInputOutputLayer):
                integers = layer.quant_weight().int().contiguous()
                different[(tuple(integers.shape), integers.numpy().tobytes())] = integers.numel()
    weights = sum(different.values())
    held = stored.get("int8", 0) + stored.get("uint8", 0)  # unsigned where weights have a zero point
    if held < weights:
        raise RuntimeError(f"the exported file holds {held} of {weights} quantised weights as 8-bit integers")


def _batch_norms(module: nn.Module) -> int:
    from torch.nn.modules.batchnorm import _BatchNorm

    return sum(isinstance(part, _BatchNorm) for part in module.modules())


def _target(optimisation: Optimisation) -> Target:
    """With exact sums: what the record holds is the same on every processor."""
    return Target(name="parity", runtime="onnxruntime", optimisation=optimisation, integer_sums="exact")


def _parity(network: TorchNetwork, exported: OnnxNetwork) -> dict[str, Any]:
    """Largest and median (over probes) difference of a logit between torch and ONNX Runtime, by optimisation level.

    Raises:
        RuntimeError: they differ by more than arithmetic and single roundings explain.
    """
    import torch

    low, high = network.input.bounds
    draws = generator("onnx-export", "parity").uniform(low, high, (PROBES, *network.input.shape))
    x = torch.from_numpy(draws.astype(np.float32))
    with reproducible("onnx-export"):
        expected = TorchRuntime().open(network, Target(name="parity"), "cpu").logits(x)[0]
    figures: dict[str, Any] = {"probes": PROBES, "largest_logit": float(expected.abs().max()), "levels": {}}
    for level in get_args(Optimisation):
        predictor = OnnxRuntime().open(exported, _target(level), "cpu")
        predictor.batch_size = 7
        found = torch.cat([predictor.logits(x[:1])[0], predictor.logits(x[1:])[0]])
        worst = (found - expected).abs().amax(dim=1)
        flips = int((found.argmax(dim=1) != expected.argmax(dim=1)).sum())
        figures["levels"][level] = {"largest": float(worst.max()), "median": float(worst.median()), "flips": flips}
    _judge(figures["levels"]["disabled"], expected, network.quantised)
    return figures


def _judge(figures: dict[str, float], expected: torch.Tensor, quantised: bool) -> None:
    if quantised:
        found, limit = figures["median"], QUANTISED_TOLERANCE * float(expected.std())
    else:
        found, limit = figures["largest"], FLOAT_TOLERANCE * float(expected.abs().max())
    if not found <= max(limit, math.ulp(1.0)):
        raise RuntimeError(
            f"the exported file computes something else: logits differ by {found:.3g} (limit {limit:.3g})"
        )
