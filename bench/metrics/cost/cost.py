"""What a network costs to store and to run."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.functional.module_cost import Bits, multiply_accumulates, parameter_count, state_bytes, weight_bits
from bench.functional.onnx_cost import onnx_figures
from bench.graph.network import FunctionNetwork, Network, OnnxNetwork
from bench.metrics.base import Arrays, Family, Metric, Observing, Value, metrics
from bench.metrics.base import Cost as CostValue
from bench.metrics.cost.peak_memory import peak_memory
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.runtimes.onnx_operators import integer_kernels, optimised_operators
from bench.runtimes.onnx_runtime import OnnxPredictor

if TYPE_CHECKING:
    import torch

NO_ARTEFACT: Final = "a function of arrays has no artefact that could be looked at"


class _Stored:
    """Reads one figure of the artefact; None where it is not known."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, arrays: Arrays) -> float | None:
        return float(arrays[self.name]) if self.name in arrays else None


class _Latency:
    """Reads one quantile of the latencies; None where there are none."""

    def __init__(self, quantile: float, name: str = "_latencies") -> None:
        self.quantile = quantile
        self.name = name

    def __call__(self, arrays: Arrays) -> float | None:
        return float(np.quantile(arrays[self.name], self.quantile)) if self.name in arrays else None


def _why_no_macs(arrays: Arrays) -> str:
    return bytes(arrays["_why_no_macs"]).decode() if "_why_no_macs" in arrays else ""


def _why_no_artefact(arrays: Arrays) -> str:
    """Why nothing is known of what is stored: a function of arrays alone has no file bytes."""
    return "" if "file_bytes" in arrays else NO_ARTEFACT


def _timing(name: str, quantile: float) -> CostValue:
    """A latency, and the reference's from the same turns."""
    reference = _Latency(quantile, "_reference_latencies")
    return CostValue(name, _Latency(quantile), unit="ms", timing=True, reference=reference)


def artefact_figures(network: Network) -> dict[str, float]:
    """Bytes, parameters, bits a weight and multiply-accumulates of a network; what cannot be told is left out."""
    return _artefact(network)[0]


def _artefact(network: Network) -> tuple[dict[str, float], str]:
    """Its figures, and why there are no multiply-accumulates among them where there are none."""
    bits: Bits | None
    macs: int | None
    if isinstance(network, FunctionNetwork):
        return {}, NO_ARTEFACT
    if isinstance(network, OnnxNetwork):
        size = len(network.model)
        parameters, bits, macs, reason = onnx_figures(network.model, network.input.network_shape)
    else:
        size, parameters = state_bytes(network.module), parameter_count(network.module)
        bits = weight_bits(network.module)
        macs, reason = multiply_accumulates(network.module, network.input.network_shape)
    known: dict[str, float] = {"file_bytes": size, "parameters": parameters}
    if bits is not None:
        known |= {"stored_bits": bits.stored, "nominal_bits": bits.nominal}
    return (known, reason) if macs is None else ({**known, "macs": macs}, "")


def running(predictor: OnnxPredictor) -> dict[str, Any]:
    """What ONNX Runtime makes of a file on its target: operators of the optimised graph, and integers among them.

    ``integer_kernels``: convolutions and matrix products that run on integers. Both are of the user's own file.
    """
    counts = optimised_operators(predictor.network, predictor.spec.target)
    return {"operators": counts, "integer_kernels": integer_kernels(counts)}


def latencies(
    predictors: Sequence[Predictor], images: list[torch.Tensor], warmup: int, rounds: int
) -> NDArray[np.float64]:
    """Milliseconds a call, batch 1, (predictors, rounds); garbage collection waits until the end.

    Each round shows one image to every predictor in turn, in another order each time: whatever else the machine does
    slows all of them alike. Each is run as it was shipped, with its final Softmax.
    """
    predictors = [predictor.as_shipped() for predictor in predictors]
    for index in range(warmup):
        for predictor in predictors:
            predictor.logits(images[index % len(images)])
    collecting = gc.isenabled()
    gc.disable()
    try:
        taken = np.empty((len(predictors), rounds))
        for index in range(rounds):
            image = images[index % len(images)]
            for turn in range(len(predictors)):
                place = (turn + index) % len(predictors)
                started = time.perf_counter_ns()
                predictors[place].logits(image)
                taken[place, index] = time.perf_counter_ns() - started
    finally:
        if collecting:
            gc.enable()
    return taken / 1e6


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

    version: ClassVar[int] = 5
    family: ClassVar[Family] = "cost"
    timing: ClassVar[bool] = True
    interleaved: ClassVar[bool] = True
    values: ClassVar[tuple[Value, ...]] = (
        CostValue("file_bytes", _Stored("file_bytes"), unit="bytes", why=_why_no_artefact),
        CostValue("parameters", _Stored("parameters"), unit="", why=_why_no_artefact),
        CostValue("stored_bits", _Stored("stored_bits"), unit="bits", why=_why_no_artefact),
        CostValue("nominal_bits", _Stored("nominal_bits"), unit="bits", why=_why_no_artefact),
        CostValue("macs", _Stored("macs"), unit="MACs", why=_why_no_macs),
        _timing("latency_median", 0.5),
        _timing("latency_p90", 0.9),
        _timing("latency_p99", 0.99),
        CostValue("peak_memory", _Stored("peak_memory"), unit="bytes", timing=True),
    )

    def observe(self, predictor: Predictor, samples: Samples, observing: Observing) -> dict[str, NDArray[Any]]:
        """Figures (0-d) of the artefact, ``_latencies`` (rounds,) in ms, and ``_running``: JSON as bytes."""
        images = _images(samples)
        figures = self._figures(predictor, images[0])
        if predictor.spec.simulated:
            return figures
        return {**figures, "_latencies": latencies([predictor], images, self.warmup, self.rounds)[0]}

    def measure(
        self, reference: Predictor, variant: Predictor, samples: Samples, observing: Observing
    ) -> dict[str, NDArray[Any]]:
        """What ``observe`` gives of the variant, and ``_reference_latencies`` (rounds,) from the same turns."""
        images = _images(samples)
        figures = self._figures(variant, images[0])
        if variant.spec.simulated or reference.spec.simulated:
            return figures
        taken = latencies([variant, reference], images, self.warmup, self.rounds)
        return {**figures, "_latencies": taken[0], "_reference_latencies": taken[1]}

    def _figures(self, predictor: Predictor, image: torch.Tensor) -> dict[str, NDArray[Any]]:
        figures, reason = _artefact(predictor.network)
        shown: dict[str, NDArray[Any]] = {}
        if reason:
            shown["_why_no_macs"] = np.frombuffer(reason.encode(), dtype=np.uint8)
        if isinstance(predictor, OnnxPredictor):
            figures["file_bytes"] = len(predictor.file)
            shown["_running"] = np.frombuffer(json.dumps(running(predictor)).encode(), dtype=np.uint8)
            if self.memory and not predictor.spec.simulated:
                figures["peak_memory"] = peak_memory(predictor, _full_batch(predictor, image))
        return {name: np.array(figure) for name, figure in figures.items()} | shown

    def protocol(self) -> dict[str, Any]:
        """How latencies and memory were taken."""
        said = {**super().protocol(), "batch": 1, "clock": "wall time of one call"}
        return {**said, "peak": "fresh process, less one that only loads the runtime"} if self.memory else said

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """The spread of the latencies: their quartiles, in ms; and what runs on ONNX Runtime."""
        ran: dict[str, Any] = json.loads(bytes(arrays["_running"])) if "_running" in arrays else {}
        if "_latencies" not in arrays:
            return ran
        low, high = np.quantile(arrays["_latencies"], (0.25, 0.75))
        return {"latency_quartiles": [float(low), float(high)], **ran}


def _images(samples: Samples) -> list[torch.Tensor]:
    """Up to 64 images, each a batch."""
    import torch

    return [torch.from_numpy(samples.x[i : i + 1].copy()) for i in range(min(len(samples), 64))]


def _full_batch(predictor: OnnxPredictor, image: torch.Tensor) -> NDArray[Any]:
    """One preprocessed image as often as the file insists on."""
    batch: NDArray[Any] = np.repeat(predictor.preprocess(image).numpy(), predictor.fixed_batch or 1, axis=0)
    return batch
