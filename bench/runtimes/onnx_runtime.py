"""ONNX files on ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.networks.network import Network, OnnxNetwork
from bench.runtimes.base import Runtime, Target, runtimes

if TYPE_CHECKING:
    from bench.runtimes.onnx_predictor import OnnxPredictor

FLOOR_BATCH = 96


@runtimes.register("onnxruntime")
class OnnxRuntime(Runtime):
    """ONNX Runtime with the target's provider, threads and optimisation level.

    The floor changes batch size and thread count only: the optimisation level belongs to the target, since it
    decides which kernels a quantised graph runs on.
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"onnx", "onnx-quantised"})
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    gradients: ClassVar[int] = 2
    view_packages: ClassVar[tuple[str, ...]] = ("onnx",)

    def open(self, network: Network, target: Target, device: str, *, floor: bool = False) -> OnnxPredictor:
        """Open a predictor; where it runs is the target's provider, not ``device``.

        A missing provider, a file that cannot be loaded, or an input it does not take raises ``UserError``; sums that
        the target asks for and cannot have, ``NotApplicable``.
        """
        from bench.runtimes.onnx_predictor import OnnxPredictor, SimulatedPredictor
        from bench.runtimes.running_file import saturates

        assert isinstance(network, OnnxNetwork)
        threads = target.threads + 1 if floor else target.threads
        simulated = network.quantised and target.integer_sums == "saturating" and not saturates(network, target)
        predictor = (SimulatedPredictor if simulated else OnnxPredictor)(network, target, threads)
        if floor:
            predictor.batch_size = FLOOR_BATCH
            predictor.wide = True
        predictor.check()
        return predictor
