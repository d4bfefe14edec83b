"""Step ``ptq``: post-training quantisation with brevitas."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.quantised_graph import Widths, bound_ranges, quantised_graph, quiet_brevitas, too_small_ranges
from bench.errors import UserError
from bench.graph.bn_fold import Folded, fold_batch_norms, replace_batch_norm
from bench.graph.network import Network, TorchNetwork
from bench.models.training import preprocess, reproducible
from bench.registry import parameters

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH = 256  # part of the result: statistics are averaged over calibration batches

Bits = Annotated[int, Field(ge=2, le=8)]


@steps.register("ptq")
@parameters
class PostTrainingQuantisation(Step):
    """Quantise weights and activations to 2-8 bits, with scales from the calibration split.

    BatchNorm is folded first where it can be. The network computes with rounded values in floating point, so it runs
    and differentiates (straight through the rounding) in torch; ``onnx-export`` turns it into real integers.
    """

    bits: Annotated[int, Field(ge=2, le=8, description="of weights and activations")] = 8
    weight_bits: Annotated[Bits | None, Field(description="of weights, where they differ")] = None
    activation_bits: Annotated[Bits | None, Field(description="of activations, where they differ")] = None
    per_channel: Annotated[bool, Field(description="one weight scale an output channel, else one a tensor")] = True
    bias_correction: Annotated[bool, Field(description="shift biases by the mean error of rounded weights")] = False

    packages: ClassVar[tuple[str, ...]] = ("torch", "brevitas")
    consumes: ClassVar[frozenset[str]] = frozenset({"torch"})
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "the network is quantised already; give all bit widths in one step",
        "onnx": "it quantises torch networks; use ort-static-quant, or put ptq before onnx-export",
        "onnx-quantised": "the network is quantised already",
    }
    needs: ClassVar[frozenset[Need]] = frozenset({"calibration"})

    def produces(self, kind: str) -> str:
        """A quantised torch network."""
        return "torch-quantised"

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Fold, place quantisers, calibrate; raises ``NotApplicable`` where nothing can be quantised."""
        import torch

        assert isinstance(network, TorchNetwork)
        if len(context.calibration) == 0:
            raise UserError.at(
                "data.calibration", "no calibration samples", "give 1 or more; ptq sets its scales on them"
            )
        folding = fold_batch_norms(network.module, network.input.shape)
        module, placed = quantised_graph(folding.module, self._widths())
        x = preprocess(torch.from_numpy(context.calibration.x), network.input)
        with reproducible("ptq"), quiet_brevitas():
            smallest = calibrate(module, x, self._widths(), bias_correction=self.bias_correction)
        record = {
            "weight_bits": self._widths().weights,
            "activation_bits": self._widths().activations,
            "folded": [asdict(pair) for pair in folding.folded],
            "kept": [asdict(kept) for kept in folding.kept],
            "calibration_samples": len(context.calibration),
            **placed,
            "smallest_ranges": smallest,
            "quantisers": {
                name: {**found, **quantiser_state(module.get_submodule(name))}
                for name, found in placed["quantisers"].items()
            },
        }
        return TorchNetwork(module, network.input, quantised=True), record

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """The same layers and quantisers, these with the scales of the record; weights are loaded after it."""
        import torch

        assert isinstance(network, TorchNetwork)
        module = copy.deepcopy(network.module)
        for pair in record["folded"]:
            replace_batch_norm(module, Folded(**pair))
        quantised, _ = quantised_graph(module, self._widths())
        bound_ranges(quantised, self._widths(), record["smallest_ranges"])
        for name, found in record["quantisers"].items():
            state = {key: torch.tensor(value) for key, value in found["state"].items()}
            quantised.get_submodule(name).load_state_dict(state, strict=True)
        return TorchNetwork(quantised, network.input, quantised=True)

    def _widths(self) -> Widths:
        return Widths(self.weight_bits or self.bits, self.activation_bits or self.bits, self.per_channel)


def calibrate(module: nn.Module, x: torch.Tensor, widths: Widths, *, bias_correction: bool) -> dict[str, float]:
    """Set the activation scales from preprocessed samples x (n, channels, height, width), in place.

    A range runs from the 0.001st to the 99.999th percentile of a batch, averaged over batches. Bias correction
    takes each layer by itself, so it removes the mean error of rounded weights, not that of rounded activations.
    Returns the lower limits that some layers' weight ranges needed.
    """
    import torch
    from brevitas.graph.calibrate import bias_correction_mode, calibration_mode

    batches = [x[start : start + BATCH] for start in range(0, len(x), BATCH)]
    with torch.no_grad():
        with calibration_mode(module):
            for batch in batches:
                module(batch)
        smallest = too_small_ranges(module, widths, x[:1])
        bound_ranges(module, widths, smallest)
        if bias_correction:
            with bias_correction_mode(module, skip_if_no_bias=True):
                for batch in batches:
                    module(batch)
    module.eval()
    return smallest


def quantiser_state(quantiser: nn.Module) -> dict[str, Any]:
    """A calibrated quantiser's scale and zero point, and the numbers that bring it back."""
    state = {key: value.item() for key, value in quantiser.state_dict().items()}
    proxy: Any = quantiser.act_quant
    return {"scale": proxy.scale().item(), "zero_point": proxy.zero_point().item(), "state": state}
