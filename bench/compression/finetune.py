"""Step ``finetune``: train on, after a compression or as a control without one."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.seeding import Seed, own_seed
from bench.errors import UserError
from bench.models.base import Schedule
from bench.networks.network import Network, TorchNetwork
from bench.registry import parameters
from bench.stats.streams import derive_seed


@steps.register("finetune")
@parameters
class Finetune(Step):
    """Train the network on with AdamW; BatchNorm keeps learning its statistics.

    With ``distillation = w`` the loss is ``(1 - w) CE(y, q) + w T^2 KL(p_T || q_T)``, p of the network the chain began
    with, Hinton et al., arXiv:1503.02531. ``attribution = v`` adds ``v (1 - cos)`` between attribution maps of both
    networks, summed over channels (after Park et al., arXiv:2010.15054), of one draw of expected gradients a step
    (Erion et al., arXiv:1906.10670). With ``adversarial_epsilon`` the first loss is on images that one step from a
    random start raised it on (Wong et al., arXiv:2001.03994), the teacher's answers being those to the clean images.
    """

    epochs: Annotated[int, Field(ge=1, description="passes over the training split")] = 3
    learning_rate: Annotated[float, Field(gt=0, description="peak of the schedule")] = 1e-3
    batch: Annotated[int, Field(ge=2, description="samples a step")] = 64
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 0.01
    schedule: Annotated[Schedule, Field(description="how the learning rate goes: up and down, down, or not at all")] = (
        "one-cycle"
    )
    distillation: Annotated[
        float, Field(ge=0, le=1, description="weight of the reference's answers in the loss; at 1 no label is read")
    ] = 0.0
    temperature: Annotated[float, Field(gt=0, description="by which logits are divided for distillation")] = 4.0
    attribution: Annotated[
        float,
        Field(ge=0, description="weight of how far attributions are from the reference's"),
    ] = 0.0
    adversarial_epsilon: Annotated[
        float, Field(ge=0, description="train on images attacked within this max-norm distance; 0: on clean ones")
    ] = 0.0
    seed: Seed = 0

    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[Need]] = frozenset({"train"})
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "its rounding is set; fine-tune before quantising",
        "onnx": "an ONNX file cannot be trained; fine-tune before exporting",
        "onnx-quantised": "an ONNX file cannot be trained; fine-tune before exporting",
    }

    def canonical(self) -> dict[str, Any]:
        """Name, version and parameters; without what came later and is not used, so that networks keep their keys."""
        named = super().canonical()
        if not self.attribution:
            del named["parameters"]["attribution"]
        if not self.adversarial_epsilon:
            del named["parameters"]["adversarial_epsilon"]
        return named

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Train a copy; raises ``UserError`` without labelled training samples, or a reference to learn from."""
        from bench.compression.distillation import Training, train_on
        from bench.models.training import accuracy

        assert isinstance(network, TorchNetwork)
        if self.adversarial_epsilon and network.input.dtype == "uint8":
            what = "whole-number pixels give no gradient to attack with"
            raise UserError.at("finetune.adversarial_epsilon", what, "leave it out")
        teacher = None
        for option in ("distillation", "attribution"):
            if getattr(self, option) > 0:
                if not isinstance(context.reference, TorchNetwork):
                    what = "the reference is no torch network to learn from"
                    raise UserError.at(f"finetune.{option}", what, f"leave {option} out")
                teacher = context.reference.module
        training = Training(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            weight=self.distillation,
            temperature=self.temperature,
            attribution=self.attribution,
            adversarial_epsilon=self.adversarial_epsilon,
        )
        seed = derive_seed("finetune", own_seed(context.seed, self.seed))
        module = train_on(network.module, teacher, context.train, network.input, training, seed, context.progress)
        if context.train.y is None:
            return TorchNetwork(module, network.input), {}
        record = {
            "train_accuracy_before": accuracy(network.module, context.train, network.input),
            "train_accuracy_after": accuracy(module, context.train, network.input),
        }
        return TorchNetwork(module, network.input), record
