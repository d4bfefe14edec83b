"""The metric of cost: what a network takes to store and to run."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Cost as CostValue
from bench.metrics.values import Value
from bench.probes.artefact import Artefact
from bench.probes.base import Probe
from bench.probes.latency import Latency
from bench.probes.peak_memory import PeakMemory
from bench.registry import parameters


def _latency(name: str, quantile: float) -> CostValue:
    """A quantile of the latencies, and the reference's from the same turns."""
    return CostValue(name, "latencies", "ms", quantile=quantile, against="reference_latencies", timing=True)


@metrics.register("cost")
@parameters
class Cost(Metric):
    """Size, arithmetic and speed of a network as it runs on its target.

    ``file_bytes``: the file that ONNX Runtime opens (``.onnx`` or ``.ort``), or the state as safetensors.
    ``parameters``: weights and biases. ``stored_bits`` and ``nominal_bits``: bits a weight in the file, and after the
    weight's quantiser. ``macs``: multiply-accumulates of all convolutions and matrix products for one sample,
    those of functions outside of layers and of attention among them; where an operator hides its products, none and its
    name. Latencies: one image a call from pixels to logits, preprocessing included, on the target's threads; reference
    and variant in turn, so that their ratio holds on a busy machine (rounds of one process are not independent: no
    interval).
    ``peak_memory``: what opening the file and running one image adds to a process that has loaded the runtime; of ONNX
    Runtime targets alone, since a torch network has no file that its runtime opens by itself.
    What is simulated has neither latencies nor memory. The details name the operators that really run on ONNX Runtime
    and how many of them run on integers.
    """

    warmup: Annotated[int, Field(ge=0, description="calls before timing starts")] = 10
    rounds: Annotated[int, Field(ge=1, description="timed calls")] = 100
    memory: Annotated[
        bool, Field(description="measure peak_memory too: a process of its own, about a second a network")
    ] = False

    family: ClassVar[Family] = "cost"
    values: ClassVar[tuple[Value, ...]] = (
        CostValue("file_bytes", "file_bytes", "bytes"),
        CostValue("parameters", "parameters", ""),
        CostValue("stored_bits", "stored_bits", "bits"),
        CostValue("nominal_bits", "nominal_bits", "bits"),
        CostValue("macs", "macs", "MACs"),
        _latency("latency_median", 0.5),
        _latency("latency_p90", 0.9),
        _latency("latency_p99", 0.99),
        CostValue("peak_memory", "peak_memory", "bytes", timing=True, absent="not measured: memory = false"),
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The artefact, the latencies and, where it is asked for, the memory."""
        asked: tuple[Probe, ...] = (Artefact(), Latency(warmup=self.warmup, rounds=self.rounds))
        return (*asked, PeakMemory()) if self.memory else asked

    def protocol(self) -> dict[str, Any]:
        """The protocol of latencies and memory."""
        said = {**super().protocol(), "batch": 1, "clock": "wall time of one call"}
        return {**said, "peak": "fresh process, less one that only loads the runtime"} if self.memory else said
