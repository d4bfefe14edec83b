"""Torch modules on a CPU or an accelerator."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.errors import UserError
from bench.networks.network import Network, TorchNetwork
from bench.runtimes.base import Runtime, Target, runtimes

if TYPE_CHECKING:
    from bench.runtimes.torch_predictor import TorchPredictor

FLOOR_BATCH = 96  # not a divisor of the usual batch, so that the split differs


@runtimes.register("torch")
class TorchRuntime(Runtime):
    """Eager torch: float32, evaluation mode, a private copy of the module.

    The floor is float64 with another batch size and thread count. In a quantised network float64 changes some
    rounding decisions: that is what its arithmetic leaves open, so it is the honest floor.
    """

    gradients: ClassVar[int] = 1
    kinds: ClassVar[frozenset[str]] = frozenset({"torch", "torch-quantised"})
    packages: ClassVar[tuple[str, ...]] = ("torch", "brevitas")

    def open(self, network: Network, target: Target, device: str, *, floor: bool = False) -> TorchPredictor:
        """Open a predictor; a missing device or an input the network does not take raises ``UserError``."""
        import torch

        from bench.runtimes.torch_predictor import TorchPredictor, find_device

        assert isinstance(network, TorchNetwork)
        where = find_device(device)
        if floor:
            try:
                predictor = TorchPredictor(network, target, where, torch.float64, target.threads + 1)
                predictor.check()
            except (RuntimeError, TypeError, UserError):  # no float64 on this device or in this layer
                predictor = TorchPredictor(network, target, where, torch.float32, target.threads + 1)
            predictor.batch_size = FLOOR_BATCH
        else:
            predictor = TorchPredictor(network, target, where, torch.float32, target.threads)
        predictor.check()
        return predictor
