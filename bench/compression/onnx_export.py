"""Step ``onnx-export``: a torch network as a self-contained ONNX file."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bench.compression.base import Step, StepContext, steps
from bench.errors import UserError
from bench.networks.network import Network, OnnxNetwork, TorchNetwork
from bench.registry import parameters


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
        from bench.compression.exporting.checks import (
            check_integers,
            check_parity,
            count_batch_norms,
            parity_target,
            weight_bytes,
        )
        from bench.compression.exporting.exporters import (
            export_float,
            export_quantised,
            quantise_moves,
            quiet_exporters,
            strip_notes,
        )
        from bench.models.training import reproducible
        from bench.networks.attention import plain_attention
        from bench.runtimes.onnx_operators import integer_kernels, operators, optimised_operators

        assert isinstance(network, TorchNetwork)
        self._check(network)
        with reproducible("onnx-export"), quiet_exporters(), plain_attention():
            if network.quantised:
                model = export_quantised(network, self.opset)
            else:
                model = export_float(network, self.opset, self.exporter)
        if network.quantised:
            quantise_moves(model)
        strip_notes(model)
        exported = OnnxNetwork(
            model.SerializeToString(deterministic=True), network.input, network.record, network.quantised
        )
        counts = operators(exported.model)
        before = count_batch_norms(network.module)
        record = {
            "opset": self.opset,
            "ir": model.ir_version,
            "exporter": self.exporter,
            "batch_norms": {"before": before, "folded_by_exporter": before - counts.get("BatchNormalization", 0)},
            "operators": counts,
            "bytes": len(exported.model),
            "weight_bytes": weight_bytes(model),
            "parity": check_parity(network, exported),
        }
        if network.quantised:
            check_integers(network.module, record["weight_bytes"])
            record["integer_kernels"] = integer_kernels(optimised_operators(exported, parity_target("all")))
        return exported, record

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """The file itself is the structure: an empty one that is replaced."""
        return OnnxNetwork(b"", network.input, quantised=self.produces(network.kind) == "onnx-quantised")

    def _check(self, network: TorchNetwork) -> None:
        from bench.networks.torchscript import script_layer

        if self.exporter == "dynamo" and network.quantised:
            what = "the dynamo exporter keeps float weights of a quantised network"
            raise UserError.at("onnx-export.exporter", what, 'use "torchscript"')
        if self.exporter == "dynamo" and script_layer(network.module) is not None:
            raise UserError.at("onnx-export.exporter", "the dynamo exporter takes no TorchScript", 'use "torchscript"')
        if self.exporter == "dynamo" and self.opset < 18:
            raise UserError.at("onnx-export.opset", f"the dynamo exporter starts at 18, not {self.opset}", "give 18-20")
