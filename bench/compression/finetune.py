"""Step ``finetune``: train on, after a compression or as a control without one."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.compression.base import Need, Step, StepContext, steps
from bench.graph.network import Network, TorchNetwork
from bench.models.base import Recipe
from bench.models.training import accuracy, train
from bench.registry import parameters
from bench.stats.streams import derive_seed


@steps.register("finetune")
@parameters
class Finetune(Step):
    """Train the network on with AdamW and a one-cycle learning rate; BatchNorm keeps learning its statistics."""

    epochs: Annotated[int, Field(ge=1, description="passes over the training split")] = 3
    learning_rate: Annotated[float, Field(gt=0, description="peak of the cycle")] = 1e-3
    batch: Annotated[int, Field(ge=2, description="samples a step")] = 64
    weight_decay: Annotated[float, Field(ge=0)] = 0.01

    needs: ClassVar[frozenset[Need]] = frozenset({"train"})
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "its rounding is set; fine-tune before quantising",
        "onnx": "an ONNX file cannot be trained; fine-tune before exporting",
        "onnx-quantised": "an ONNX file cannot be trained; fine-tune before exporting",
    }

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Train a copy; raises ``UserError`` without labelled training samples."""
        assert isinstance(network, TorchNetwork)
        recipe = Recipe(
            epochs=self.epochs, batch=self.batch, learning_rate=self.learning_rate, weight_decay=self.weight_decay
        )
        seed = derive_seed("finetune", context.seed)
        module = train(network.module, context.train, network.input, recipe, seed, context.progress)
        record = {
            "train_accuracy_before": accuracy(network.module, context.train, network.input),
            "train_accuracy_after": accuracy(module, context.train, network.input),
        }
        return TorchNetwork(module, network.input), record
