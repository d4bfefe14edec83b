"""Step ``bn-reset``: estimate the statistics of BatchNorm again, after a change of the layers before it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.seeding import Seed, own_seed
from bench.errors import NotApplicable, UserError
from bench.networks.network import InputSpec, Network, TorchNetwork
from bench.registry import parameters
from bench.stats.streams import generator

if TYPE_CHECKING:
    from torch import nn

    from bench.data.base import Samples

BATCH = 128  # part of the result: statistics are averaged over batches


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


def batch_norms(module: nn.Module) -> dict[str, nn.Module]:
    """BatchNorms with running statistics, by name."""
    from torch import nn

    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return {
        name: layer for name, layer in module.named_modules() if isinstance(layer, kinds) and layer.track_running_stats
    }


def estimate_again(module: nn.Module, samples: Samples, declared: InputSpec) -> nn.Module:
    """A copy in eval mode whose BatchNorms hold the mean over batches of batch mean and unbiased batch variance.

    Every layer sees the batch statistics of the layers before it; dropout stays off.
    """
    import torch

    from bench.models.training import preprocess, reproducible

    fresh = copy.deepcopy(module).eval()
    x = preprocess(torch.from_numpy(samples.x), declared)
    momenta: dict[str, Any] = {}
    for name, layer in batch_norms(fresh).items():
        norm: Any = layer
        momenta[name] = norm.momentum
        norm.reset_running_stats()
        norm.momentum = None  # torch then keeps the plain average
        norm.train()
    starts = [start for start in range(0, len(x), BATCH) if start == 0 or len(x) - start > 1]
    with reproducible("bn-reset"), torch.no_grad():
        for start, stop in zip(starts, [*starts[1:], len(x)], strict=True):
            fresh(x[start:stop])
    for name, layer in batch_norms(fresh).items():
        restored: Any = layer
        restored.momentum = momenta[name]
    return fresh.eval()
