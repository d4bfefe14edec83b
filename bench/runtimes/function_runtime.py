"""Functions of arrays, and beside them whatever they are compared with, each network on the runtime of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from bench.errors import NotDifferentiable, UserError
from bench.networks.function_answers import answers
from bench.networks.interface import member_scores
from bench.networks.network import FunctionNetwork, Network
from bench.runtimes.base import Predictor, PredictorSpec, Runtime, Target, runtimes
from bench.runtimes.onnx_runtime import OnnxRuntime
from bench.runtimes.torch_runtime import TorchRuntime

if TYPE_CHECKING:
    import torch

FLOOR_BATCH: Final = 96
NO_GRADIENT: Final = "a function of arrays gives no input gradients; give a torch module or an ONNX file"


@runtimes.register("function")
class FunctionRuntime(Runtime):
    """Each network as it is: functions of arrays as they stand, torch modules on torch, ONNX files on ONNX Runtime.

    A function brings its own runtime along, which no other network can be moved to: so what is compared here differs in
    its runtime too. The floor of a function is another batch size.
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"function"}) | TorchRuntime.kinds | OnnxRuntime.kinds
    packages: ClassVar[tuple[str, ...]] = (*TorchRuntime.packages, *OnnxRuntime.packages)
    gradients: ClassVar[int] = 100 * TorchRuntime.gradients + OnnxRuntime.gradients  # rises with either
    view_packages: ClassVar[tuple[str, ...]] = OnnxRuntime.view_packages

    def open(self, network: Network, target: Target, device: str, *, floor: bool = False) -> Predictor:
        """Open a predictor; ``device`` is of torch modules alone."""
        if isinstance(network, FunctionNetwork):
            return FunctionPredictor(network, target, floor=floor)
        own: type[Runtime] = TorchRuntime if network.kind in TorchRuntime.kinds else OnnxRuntime
        return own().open(network, replace(target, runtime=own.name), device, floor=floor)


class FunctionPredictor(Predictor):
    """A function of arrays; threads and device are its own affair."""

    def __init__(self, network: FunctionNetwork, target: Target, *, floor: bool) -> None:
        self.network = network
        self.spec = PredictorSpec(
            input=network.input,
            target=target,
            members=network.input.members,
            batch_dependent=network.batch_dependent,
            softmax="kept" if network.input.output == "probabilities" else "",
        )
        if floor:
            self.batch_size = FLOOR_BATCH

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (members, batch, classes) of one preprocessed batch."""
        import torch

        assert isinstance(self.network, FunctionNetwork)
        scores = answers(self.network, x.detach().cpu().numpy())
        classes = len(self.spec.input.classes)
        if classes and scores.shape[-1] != classes:
            what = f"it answers {scores.shape[-1]} scores a sample, and {classes} before"
            raise UserError.at("function", what, "answer (n, classes) for every batch")
        return member_scores(torch.from_numpy(scores), self.spec.input)

    def trust(self, x: torch.Tensor) -> None:
        """A function has no differentiable view: ``NotDifferentiable``."""
        raise NotDifferentiable(NO_GRADIENT)

    def differentiable(self, gradient: object = None) -> torch.nn.Module:
        """A function has no differentiable view: ``NotDifferentiable``."""
        raise NotDifferentiable(NO_GRADIENT)
