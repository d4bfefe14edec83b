"""The base of the ONNX Runtime steps: from an ONNX file to an ONNX file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from bench.compression.base import Step, StepContext
from bench.networks.network import Network, OnnxNetwork

QUANTISED_ALREADY: Final = {
    "torch": "it takes an ONNX file; put onnx-export before it",
    "torch-quantised": "the network is quantised already",
    "onnx-quantised": "the network is quantised already",
}


class OrtStep(Step):
    """A step from an ONNX file to an ONNX file: a subclass writes ``convert`` and, where it must, ``check``."""

    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx")
    consumes: ClassVar[frozenset[str]] = frozenset({"onnx"})
    refusal: ClassVar[dict[str, str]] = QUANTISED_ALREADY
    quantises: ClassVar[bool] = True

    def produces(self, kind: str) -> str:
        """A quantised ONNX file, unless the step only changes the floating-point format."""
        return "onnx-quantised" if self.quantises else kind

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Convert the file and describe what came out.

        Raises:
            UserError: a file that cannot be raised to opset 13, or one that the step cannot convert.
        """
        from bench.compression.onnx_runtime.files import check_file, describe
        from bench.compression.onnx_runtime.opsets import modern

        assert isinstance(network, OnnxNetwork)
        check_file(network.model, self.name)
        source, notes = modern(network, self.name)
        model, own = self.convert(source, context)
        made = OnnxNetwork(model, network.input, quantised=self.quantises)
        record = describe(network, made)
        self.check(record["operators"])
        return made, own | record | ({"notes": notes} if notes else {})

    @abstractmethod
    def convert(self, network: OnnxNetwork, context: StepContext) -> tuple[bytes, dict[str, Any]]:
        """The new file, in canonical order of bytes, and what the step itself has to record."""

    def check(self, operators: Mapping[str, int]) -> None:
        """Refuse what came out, judged by how often each operator stands in it; accepts everything by default."""

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """The file itself is the structure: an empty one that is replaced."""
        return OnnxNetwork(b"", network.input, quantised=self.quantises)
