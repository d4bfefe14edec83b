"""Step ``qat``: quantisation-aware training with straight-through gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator

from bench.compression.base import Need, StepContext, steps
from bench.compression.ptq import PostTrainingQuantisation
from bench.errors import UserError
from bench.networks.network import InputSpec, Network, TorchNetwork
from bench.registry import parameters
from bench.stats.streams import derive_seed

if TYPE_CHECKING:
    import torch
    from torch import nn

TEMPERATURE = 2.0


@steps.register("qat")
@parameters
class QuantisationAwareTraining(PostTrainingQuantisation):
    """Quantise as ``ptq`` does, then train on with rounding in the forward pass.

    The gradient passes straight through the rounding, inside its range. BatchNorm is folded before, and what cannot be
    folded keeps its statistics. After ``ptq`` or ``ptq-mixed`` the network is trained as they left it, and all options
    of quantisation belong to them. Jacob et al., arXiv:1712.05877; learned ranges: Esser et al., arXiv:1902.08153.
    """

    epochs: Annotated[int, Field(ge=1, description="passes over the training split")] = 3
    learning_rate: Annotated[float, Field(gt=0, description="peak of the cycle")] = 1e-3
    batch: Annotated[int, Field(ge=1, description="samples a step")] = 64
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 0.01
    learn_ranges: Annotated[bool, Field(description="train stored ranges too, else they stay as calibrated")] = False
    distillation: Annotated[
        float, Field(ge=0, le=1, description="share of the loss that is the divergence from the float network")
    ] = 0.0
    temperature: Annotated[float, Field(gt=0, description="at which the two networks are compared")] = TEMPERATURE

    consumes: ClassVar[frozenset[str]] = frozenset({"torch", "torch-quantised"})
    needs: ClassVar[frozenset[Need]] = frozenset({"train", "calibration"})
    refusal: ClassVar[dict[str, str]] = {
        "onnx": "an ONNX file cannot be trained; put qat before onnx-export",
        "onnx-quantised": "an ONNX file cannot be trained; put qat before onnx-export",
    }

    @model_validator(mode="after")
    def _temperature(self) -> QuantisationAwareTraining:
        if not self.distillation and self.temperature != TEMPERATURE:
            raise ValueError("temperature does nothing without distillation")
        return self

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Quantise where that is not done yet, and train.

        Raises:
            UserError: no labelled samples, options of quantisation for a quantised network, a loss that is not finite.
            NotApplicable: nothing can be quantised.
        """
        from bench.compression.quantisation.graph import bound_ranges, too_small_ranges
        from bench.compression.quantisation.quantisers import quiet_brevitas
        from bench.models.training import accuracy, labelled_tensors

        assert isinstance(network, TorchNetwork)
        x, y = labelled_tensors(context.train, network.input, "qat")
        record: dict[str, Any] = {}
        if network.quantised:
            self._refuse_quantising()
            module = copy.deepcopy(network.module)
        else:
            start, record = super().apply(network, context)
            assert isinstance(start, TorchNetwork)
            module = start.module
        record["train_accuracy_before"] = accuracy(module, context.train, network.input)
        teacher = network.module if self.distillation else None
        seed = derive_seed("qat", context.seed)
        with quiet_brevitas():
            self._train(module, x, y, teacher, network.input, seed, context.progress)
            trained_limits = too_small_ranges(module, x[:1])
            bound_ranges(module, trained_limits)
        record["trained_smallest_ranges"] = trained_limits
        record["train_accuracy_after"] = accuracy(module, context.train, network.input)
        return TorchNetwork(module.eval(), network.input, quantised=True), record

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """The structure of ``ptq``, or of the quantised network it took; weights are loaded after it."""
        from bench.compression.quantisation.graph import bound_ranges

        assert isinstance(network, TorchNetwork)
        made = network if network.quantised else super().rebuild(network, record)
        assert isinstance(made, TorchNetwork)
        module = copy.deepcopy(made.module)
        bound_ranges(module, record["trained_smallest_ranges"])
        return TorchNetwork(module, network.input, quantised=True)

    def _refuse_quantising(self) -> None:
        own = {field.name for field in fields(PostTrainingQuantisation)}
        plain = type(self)()
        odd = sorted(name for name in own if getattr(self, name) != getattr(plain, name))
        if odd:
            what = "the network is quantised already"
            raise UserError.at(f"qat.{odd[0]}", what, "give it in the ptq step before, or quantise in qat alone")
        if self.distillation:
            what = "the float network is gone: the one that comes in is quantised already"
            raise UserError.at("qat.distillation", what, "leave ptq out and quantise in qat")

    def _train(
        self,
        module: nn.Module,
        x: torch.Tensor,
        y: torch.Tensor,
        teacher: nn.Module | None,
        declared: InputSpec,
        seed: int,
        progress: Callable[[str], None],
    ) -> None:
        """Minimise the loss in place with AdamW and a one-cycle learning rate; deterministic under the seed."""
        import torch

        from bench.models.descent import Descent, batches, descend
        from bench.models.training import reproducible
        from bench.networks.memory_layout import keep_contiguous

        with reproducible("qat", seed), keep_contiguous(module):
            shuffle = torch.Generator().manual_seed(derive_seed("shuffle", seed))
            weights = _trainable(module, self.learn_ranges)
            targets = None if teacher is None else _outputs(teacher, x, declared)

            def batch_loss(index: torch.Tensor) -> torch.Tensor:
                scores = _scores(module(x[index]), declared)
                return self._loss(scores, y[index], None if targets is None else targets[index])

            descent = Descent(self.epochs, self.learning_rate, self.weight_decay, key="qat.learning_rate")
            bounds = batches(len(x), self.batch, least=1)  # BatchNorm keeps its statistics
            descend(weights, batch_loss, bounds, descent, shuffle, progress)
        module.zero_grad(set_to_none=True)
        module.requires_grad_(True).eval()

    def _loss(self, scores: torch.Tensor, y: torch.Tensor, target: torch.Tensor | None) -> torch.Tensor:
        from torch.nn import functional

        loss = functional.cross_entropy(scores, y)
        if target is None:
            return loss
        return (1 - self.distillation) * loss + self.distillation * divergence(target, scores, self.temperature)


def divergence(target: torch.Tensor, scores: torch.Tensor, temperature: float) -> torch.Tensor:
    """``T^2 KL(softmax(target / T) || softmax(found / T))``, mean over logits (n, classes). Hinton, arXiv:1503.02531.

    >>> import torch
    >>> a, b = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 2.0]]).log1p()  # (1/2, 1/2) and (1/4, 3/4)
    >>> round(divergence(a, b, 1.0).item(), 4)  # ln(2)/2 + ln(2/3)/2
    0.1438
    """
    from torch.nn import functional

    expected, other = (functional.log_softmax(logits / temperature, dim=1) for logits in (target, scores))
    return temperature**2 * functional.kl_div(other, expected, reduction="batchmean", log_target=True)


def _scores(output: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    import torch

    return output.clamp_min(torch.finfo(output.dtype).tiny).log() if declared.output == "probabilities" else output


def _outputs(module: nn.Module, x: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    import torch

    with torch.no_grad():
        return torch.cat([_scores(module(batch), declared) for batch in torch.split(x, 256)])


def _trainable(module: nn.Module, ranges: bool) -> list[dict[str, Any]]:
    """Set what trains, and dropout; answers the optimiser's groups: weights, and ranges, which do not decay.

    Everything else stays in evaluation mode: quantisers would collect ranges again, BatchNorm its statistics.

    Raises:
        UserError: ranges are to be learned and none is stored.
    """
    from brevitas.proxy.quant_proxy import QuantProxyFromInjector
    from torch import nn

    from bench.compression.quantisation.quantisers import layer_classes

    module.eval().requires_grad_(False)
    own: dict[int, nn.Parameter] = {}
    of_quantisers: dict[int, nn.Parameter] = {}
    for part in module.modules():
        if isinstance(part, nn.Dropout | nn.Dropout2d):
            part.train()
        if isinstance(part, QuantProxyFromInjector):
            of_quantisers.update((id(parameter), parameter) for parameter in part.parameters())
    for part in module.modules():
        if isinstance(part, layer_classes()):
            own.update((id(parameter), parameter) for parameter in part.parameters(recurse=False))
    stored = [
        parameter for key, parameter in of_quantisers.items() if key not in own
    ]  # quantisers list weights as theirs
    if ranges and not stored:
        what = "no range is stored: weights alone are quantised, up to the largest"
        raise UserError.at("qat.learn_ranges", what, 'leave it out, or give weight_range = "mse"')
    weights = [parameter for key, parameter in _by_identity(module).items() if key in own or key not in of_quantisers]
    groups: list[dict[str, Any]] = [{"params": weights}]
    if ranges:
        groups.append({"params": stored, "weight_decay": 0.0})
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    return groups


def _by_identity(module: nn.Module) -> dict[int, nn.Parameter]:
    return {id(parameter): parameter for parameter in module.parameters()}
