"""The probe of a network's artefact: bytes, parameters, bits, multiply-accumulates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np

from bench.data.base import Samples
from bench.networks.network import FunctionNetwork, Network, OnnxNetwork
from bench.probes.base import Context, Observation, Probe, probes
from bench.registry import parameters
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    from bench.functional.module_cost import Bits
    from bench.runtimes.onnx_predictor import OnnxPredictor

NO_ARTEFACT: Final = "a function of arrays has no artefact that could be looked at"


def artefact_figures(network: Network) -> tuple[dict[str, float], dict[str, str]]:
    """Bytes, parameters, bits a weight and multiply-accumulates; what cannot be told is left out, with why by name."""
    from bench.functional.module_cost import multiply_accumulates, parameter_count, state_bytes, weight_bits
    from bench.functional.onnx_cost import onnx_figures

    if isinstance(network, FunctionNetwork):
        return {}, dict.fromkeys(Artefact.arrays, NO_ARTEFACT)
    bits: Bits | None
    macs: int | None
    if isinstance(network, OnnxNetwork):
        size = len(network.model)
        weights, bits, macs, reason = onnx_figures(network.model, network.input.network_shape)
    else:
        size, weights = state_bytes(network.module), parameter_count(network.module)
        bits = weight_bits(network.module)
        macs, reason = multiply_accumulates(network.module, network.input.network_shape)
    known: dict[str, float] = {"file_bytes": size, "parameters": weights}
    if bits is not None:
        known |= {"stored_bits": bits.stored, "nominal_bits": bits.nominal}
    return (known, {"macs": reason} if reason else {}) if macs is None else ({**known, "macs": macs}, {})


def running(predictor: OnnxPredictor) -> dict[str, Any]:
    """The graph that ONNX Runtime makes of a file on its target: its operators, and integers among them.

    ``integer_kernels``: convolutions and matrix products that run on integers. Both are of the user's own file.
    """
    from bench.runtimes.onnx_operators import integer_kernels, optimised_operators

    counts = optimised_operators(predictor.network, predictor.spec.target)
    return {"operators": counts, "integer_kernels": integer_kernels(counts)}


@probes.register("artefact")
@parameters
class Artefact(Probe):
    """The network's file or state: ``file_bytes``, ``parameters``, ``stored_bits``, ``nominal_bits``, ``macs`` (0-d).

    ``file_bytes``: the file that ONNX Runtime opens (``.onnx`` or ``.ort``), or the state as safetensors. What is not
    known is left out, with the reason under ``why``. The notes name the operators that really run on ONNX Runtime.
    """

    version: ClassVar[int] = 2
    arrays: ClassVar[tuple[str, ...]] = ("file_bytes", "parameters", "stored_bits", "nominal_bits", "macs")
    reads: ClassVar[Literal["rows", "set", "nothing"]] = "nothing"

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """Read the figures."""
        from bench.runtimes.onnx_predictor import OnnxPredictor

        figures, why = artefact_figures(predictor.network)
        notes: dict[str, Any] = {"why": why} if why else {}
        if isinstance(predictor, OnnxPredictor):
            figures["file_bytes"] = len(predictor.file)
            notes |= running(predictor)
        return Observation({name: np.array(figure) for name, figure in figures.items()}, notes)
