"""What a network costs to store and to run."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.functional.module_cost import Bits, multiply_accumulates, parameter_count, state_bytes, weight_bits
from bench.functional.onnx_cost import onnx_figures
from bench.graph.network import Network, OnnxNetwork
from bench.metrics.base import Arrays, Family, Metric, Observing, Value, metrics
from bench.metrics.base import Cost as CostValue
from bench.registry import parameters
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    import torch


class _Stored:
    """Reads one figure of the artefact; None where it is not known."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, arrays: Arrays) -> float | None:
        return float(arrays[self.name]) if self.name in arrays else None


class _Latency:
    """Reads one quantile of the latencies."""

    def __init__(self, quantile: float) -> None:
        self.quantile = quantile

    def __call__(self, arrays: Arrays) -> float | None:
        return float(np.quantile(arrays["_latencies"], self.quantile))


def artefact_figures(network: Network) -> dict[str, float]:
    """Bytes, parameters, bits a weight and multiply-accumulates of a network; what cannot be told is left out."""
    bits: Bits | None
    macs: int | None
    if isinstance(network, OnnxNetwork):
        size = len(network.model)
        parameters, bits, macs = onnx_figures(network.model, network.input.shape)
    else:
        size, parameters = state_bytes(network.module), parameter_count(network.module)
        bits, macs = weight_bits(network.module), multiply_accumulates(network.module, network.input.shape)
    known: dict[str, float] = {"file_bytes": size, "parameters": parameters}
    if bits is not None:
        known |= {"stored_bits": bits.stored, "nominal_bits": bits.nominal}
    return known if macs is None else {**known, "macs": macs}


def latencies(predictor: Predictor, images: list[torch.Tensor], warmup: int, rounds: int) -> NDArray[np.float64]:
    """Milliseconds a call, batch 1, one image a round in turn; garbage collection waits until the end."""
    for index in range(warmup):
        predictor.logits(images[index % len(images)])
    collecting = gc.isenabled()
    gc.disable()
    try:
        taken = np.empty(rounds)
        for index in range(rounds):
            image = images[index % len(images)]
            started = time.perf_counter_ns()
            predictor.logits(image)
            taken[index] = time.perf_counter_ns() - started
    finally:
        if collecting:
            gc.enable()
    return taken / 1e6


@metrics.register("cost")
@parameters
class Cost(Metric):
    """Size, arithmetic and speed of a network as it runs on its target.

    ``file_bytes``: the ONNX file, or the state as safetensors. ``parameters``: weights and biases. ``stored_bits`` and
    ``nominal_bits``: bits a weight in the file, and after the weight's quantiser. ``macs``: multiply-accumulates of
    convolutions and matrix products for one sample. Latencies: one image a call from pixels to logits,
    preprocessing included, on the target's threads.
    """

    warmup: Annotated[int, Field(ge=0, description="calls before timing starts")] = 10
    rounds: Annotated[int, Field(ge=1, description="timed calls")] = 100

    family: ClassVar[Family] = "cost"
    timing: ClassVar[bool] = True
    values: ClassVar[tuple[Value, ...]] = (
        CostValue("file_bytes", _Stored("file_bytes"), unit="bytes"),
        CostValue("parameters", _Stored("parameters"), unit=""),
        CostValue("stored_bits", _Stored("stored_bits"), unit="bits"),
        CostValue("nominal_bits", _Stored("nominal_bits"), unit="bits"),
        CostValue("macs", _Stored("macs"), unit="MACs"),
        CostValue("latency_median", _Latency(0.5), unit="ms", timing=True),
        CostValue("latency_p90", _Latency(0.9), unit="ms", timing=True),
        CostValue("latency_p99", _Latency(0.99), unit="ms", timing=True),
    )

    def observe(self, predictor: Predictor, samples: Samples, observing: Observing) -> dict[str, NDArray[Any]]:
        """Figures (0-d) of the artefact, and ``_latencies`` (rounds,) in ms."""
        import torch

        images = [torch.from_numpy(samples.x[i : i + 1].copy()) for i in range(min(len(samples), 64))]
        figures = {name: np.array(figure) for name, figure in artefact_figures(predictor.network).items()}
        return {**figures, "_latencies": latencies(predictor, images, self.warmup, self.rounds)}

    def protocol(self) -> dict[str, Any]:
        """How the latencies were taken."""
        return {**super().protocol(), "batch": 1, "clock": "wall time of one call"}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """The spread of the latencies: their quartiles, in ms."""
        low, high = np.quantile(arrays["_latencies"], (0.25, 0.75))
        return {"latency_quartiles": [float(low), float(high)]}
