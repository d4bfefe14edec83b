"""Step ``qat``: quantisation-aware training with straight-through gradients."""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import Any, ClassVar

from pydantic import model_validator

from bench.compression.base import Need, StepContext, steps
from bench.compression.ptq import PostTrainingQuantisation
from bench.compression.quantisation.options import TEMPERATURE, TrainingOptions
from bench.errors import UserError
from bench.networks.network import Network, TorchNetwork
from bench.registry import parameters
from bench.stats.streams import derive_seed


@steps.register("qat")
@parameters
class QuantisationAwareTraining(PostTrainingQuantisation, TrainingOptions):
    """Quantise as ``ptq`` does, then train on with rounding in the forward pass.

    The gradient passes straight through the rounding, inside its range. BatchNorm is folded before, and what cannot be
    folded keeps its statistics. After ``ptq`` or ``ptq-mixed`` the network is trained as they left it, and all options
    of quantisation belong to them. Jacob et al., arXiv:1712.05877; learned ranges: Esser et al., arXiv:1902.08153.
    """

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
        from bench.compression.quantisation.training import train_quantised
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
            train_quantised(self, module, x, y, teacher, network.input, seed, context.progress)
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
