"""Step ``weight-shuffle``: the control that leaves nothing of what a network has learned but its weights' values."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.compression.base import Step, StepContext, steps
from bench.compression.seeding import Seed, own_seed
from bench.errors import NotApplicable
from bench.networks.network import Network, TorchNetwork
from bench.registry import parameters
from bench.stats.streams import generator


@steps.register("weight-shuffle")
@parameters
class WeightShuffle(Step):
    """Put the entries of every weight tensor of two dimensions or more in a random order; all else stays.

    What measures of similarity say of such networks is what they say by chance. One shuffled network says little, since
    its samples share its weights: take twenty and the mean over networks (Adebayo et al. 2018, arXiv 1810.03292).
    """

    seed: Seed = 0

    control: ClassVar[bool] = True
    takes_torchscript: ClassVar[bool] = True
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "its scales belong to its weights; shuffle before quantising",
        "onnx": "it changes torch modules; shuffle before exporting",
        "onnx-quantised": "it changes torch modules; shuffle before exporting",
    }

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Shuffle a copy.

        Raises:
            NotApplicable: there is no weight tensor.
        """
        import torch

        from bench.networks.torchscript import copied

        assert isinstance(network, TorchNetwork)
        made = copied(network.module).eval()
        seed, shuffled = own_seed(context.seed, self.seed), []
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                if parameter.ndim >= 2:
                    order = generator("weight-shuffle", seed, name).permutation(parameter.numel())
                    parameter.copy_(parameter.flatten()[torch.from_numpy(order)].reshape(parameter.shape))
                    shuffled.append(name)
        if not shuffled:
            raise NotApplicable("the network has no weight tensors to shuffle")
        return TorchNetwork(made, network.input), {"shuffled": shuffled}
