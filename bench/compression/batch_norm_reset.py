"""Step ``bn-reset``: estimate the statistics of BatchNorm again, after a change of the layers before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.seeding import Seed, own_seed
from bench.errors import NotApplicable, UserError
from bench.networks.network import Network, TorchNetwork
from bench.registry import parameters
from bench.stats.streams import generator

if TYPE_CHECKING:
    from bench.data.base import Samples


@steps.register("bn-reset")
@parameters
class BatchNormReset(Step):
    """Set the mean and variance of every BatchNorm anew from training images; no weight changes, no label is read."""

    samples: Annotated[int, Field(ge=2, description="training images, drawn by the seed")] = 512
    seed: Seed = 0

    needs: ClassVar[frozenset[Need]] = frozenset({"train"})
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "its scales are set for the present statistics; reset before quantising",
        "onnx": "it changes torch modules; reset before exporting",
        "onnx-quantised": "it changes torch modules; reset before exporting",
    }

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Estimate; raises ``NotApplicable`` without a BatchNorm, ``UserError`` without training images."""
        from bench.models.batch_norm_statistics import batch_norms, estimate_again

        assert isinstance(network, TorchNetwork)
        if not batch_norms(network.module):
            raise NotApplicable("bn-reset found no BatchNorm with running statistics")
        chosen = draw(context.train, self.samples, own_seed(context.seed, self.seed))
        module = estimate_again(network.module, chosen, network.input)
        return TorchNetwork(module, network.input), {
            "batch_norms": sorted(batch_norms(module)),
            "samples": len(chosen),
        }


def draw(samples: Samples, count: int, seed: int) -> Samples:
    """Draw at most ``count`` training samples by the seed, without replacement.

    Raises:
        UserError: there are fewer than two.
    """
    if len(samples) < 2:
        raise UserError.at("data", f"{len(samples)} training images, 2 or more are needed", "leave some for training")
    return samples.take(generator("draw", seed).permutation(len(samples))[:count])
