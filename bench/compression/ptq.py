"""Step ``ptq``: post-training quantisation with brevitas."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.quantisation.options import PERCENTILE, Calibration, Scheme, WeightRange
from bench.errors import UserError
from bench.networks.network import Network, TorchNetwork
from bench.registry import parameters

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench.compression.quantisation.equalisation import Equalised

EXACT = 1e-5  # of the largest logit: what equalisation may change before anything is rounded
STORAGE = "torch keeps float32 weights, rounded at every pass; an exported file keeps 8-bit integers whatever the bits"
WEIGHTS_ONLY = "weights only: exported convolutions and linear layers compute in floating point"
SIGNED = "signed activations: ONNX Runtime runs a convolution with a ReLU behind it in floating point"

Bits = Annotated[int, Field(ge=2, le=8)]


@parameters
class Quantisation(Step):
    """The base of every brevitas quantisation: how ranges are found and what is done to the float network."""

    activation_bits: Annotated[Bits | None, Field(description="of activations, where they differ from the rest")] = None
    weights_only: Annotated[bool, Field(description="leave activations and biases in floating point")] = False
    per_channel: Annotated[bool, Field(description="one weight scale an output channel, else one a tensor")] = True
    weight_symmetric: Annotated[
        bool, Field(description="signed weights without zero point, else unsigned ones with a zero point")
    ] = True
    weight_range: Annotated[
        WeightRange, Field(description="up to the largest weight, or the range of least squared rounding error")
    ] = "max"
    activation_symmetric: Annotated[
        bool, Field(description="signed activations without zero point, else unsigned ones with a zero point")
    ] = False
    calibration: Annotated[
        Calibration,
        Field(description="activation range: outermost percentiles, all that was seen, or least squared error"),
    ] = "percentile"
    percentile: Annotated[
        float, Field(gt=50, le=100, description="upper end of percentile calibration; the lower is 100 minus it")
    ] = PERCENTILE
    equalise: Annotated[
        bool, Field(description="first scale channels so that neighbouring layers use their ranges alike")
    ] = False
    bias_correction: Annotated[bool, Field(description="shift biases by the mean error of rounded weights")] = False

    version: ClassVar[int] = 2
    packages: ClassVar[tuple[str, ...]] = ("torch", "brevitas")
    needs: ClassVar[frozenset[Need]] = frozenset({"calibration"})

    @model_validator(mode="after")
    def _effective(self) -> Quantisation:
        """Refuse options that would do nothing."""
        plain = {"activation_bits": None, "activation_symmetric": False, "calibration": "percentile"}
        odd = [name for name, value in {**plain, "percentile": PERCENTILE}.items() if getattr(self, name) != value]
        if self.weights_only and odd:
            raise ValueError(f"{odd[0]} does nothing with weights_only")
        if self.calibration != "percentile" and self.percentile != PERCENTILE:
            raise ValueError(f'percentile does nothing with calibration "{self.calibration}"')
        return self

    def produces(self, kind: str) -> str:
        """A quantised torch network."""
        return "torch-quantised"

    def scheme(self, weight_bits: int, activation_bits: int) -> Scheme:
        """The options as one value; widths that the step does not give itself are these."""
        return Scheme(
            weights=weight_bits,
            activations=None if self.weights_only else self.activation_bits or activation_bits,
            per_channel=self.per_channel,
            weight_symmetric=self.weight_symmetric,
            activation_symmetric=self.activation_symmetric,
            weight_range=self.weight_range,
            calibration=self.calibration,
            percentile=self.percentile,
        )

    def prepare(self, network: TorchNetwork, x: torch.Tensor) -> tuple[nn.Module, dict[str, Any]]:
        """The float network as it is quantised: BatchNorm folded, channels equalised where asked; and the record."""
        from bench.batch_norm_folding.modules import fold_batch_norms
        from bench.compression.quantisation.equalisation import equalise

        folding = fold_batch_norms(network.module, network.input.network_shape)
        record: dict[str, Any] = {
            "folded": [asdict(pair) for pair in folding.folded],
            "kept": [asdict(kept) for kept in folding.kept],
        }
        if not self.equalise:
            return folding.module, record
        equalised = equalise(folding.module)
        record["equalisation"] = {
            "pairs": [asdict(pair) for pair in equalised.pairs],
            "largest_factor": equalised.largest_factor,
            "parity": _parity(folding.module, equalised, x),
        }
        return equalised.module, record

    def samples(self, network: TorchNetwork, context: StepContext) -> torch.Tensor:
        """Preprocessed calibration samples; raises ``UserError`` where there are none."""
        import torch

        from bench.models.training import preprocess

        if len(context.calibration) == 0:
            what = "no calibration samples"
            raise UserError.at("data.calibration", what, f"give 1 or more; {self.name} sets its scales on them")
        return preprocess(torch.from_numpy(context.calibration.x), network.input)

    def quantise(self, module: nn.Module, x: torch.Tensor, scheme: Scheme) -> tuple[nn.Module, dict[str, Any]]:
        """Place quantisers in a prepared network and calibrate them; answers the module and its record."""
        from bench.compression.quantisation.calibration import calibrate, quantiser_states
        from bench.compression.quantisation.graph import quantised_graph
        from bench.compression.quantisation.quantisers import quiet_brevitas
        from bench.models.training import reproducible

        made, placed = quantised_graph(module, scheme)
        if self.bias_correction:
            self._refuse_shared_bias(made)
        with reproducible("ptq"), quiet_brevitas():
            smallest = calibrate(made, x, scheme, bias_correction=self.bias_correction)
        record = {
            "weight_bits": scheme.weights,
            "activation_bits": scheme.activations,
            "calibration_samples": len(x),
            **placed,
            "smallest_ranges": smallest,
            "quantisers": quantiser_states(made, placed["quantisers"]),
            "storage": storage(placed["layers"]),
            "notes": notes(scheme),
        }
        return made, record

    def _refuse_shared_bias(self, module: nn.Module) -> None:
        from bench.networks.tied_weights import shared_names

        for name, other in shared_names(module).items():
            if name.endswith(".bias") and ".weight_quant." not in name:
                what = f"{name} and {other} are one parameter, and their layers' mean errors are not the same"
                raise UserError.at(f"{self.name}.bias_correction", what, "leave it out")

    def restructure(self, network: TorchNetwork, record: dict[str, Any], scheme: Scheme) -> nn.Module:
        """The layers and quantisers of a record, these with their scales, without data."""
        from bench.batch_norm_folding.modules import FoldedBatchNorm, replace_batch_norm
        from bench.compression.quantisation.calibration import load_states
        from bench.compression.quantisation.graph import bound_ranges, quantised_graph

        module = copy.deepcopy(network.module)
        for pair in record["folded"]:
            replace_batch_norm(module, FoldedBatchNorm(**pair))
        quantised, _ = quantised_graph(module, scheme)
        bound_ranges(quantised, record["smallest_ranges"])
        load_states(quantised, record["quantisers"])
        return quantised


REFUSAL = {
    "torch-quantised": "the network is quantised already; give all bit widths in one step",
    "onnx": "it quantises torch networks; use ort-static-quant, or put ptq before onnx-export",
    "onnx-quantised": "the network is quantised already",
}


@steps.register("ptq")
@parameters
class PostTrainingQuantisation(Quantisation):
    """Quantise weights and activations to 2-8 bits, with scales from the calibration split.

    BatchNorm is folded first where it can be. The network computes with rounded values in floating point, so it runs
    and differentiates (straight through the rounding) in torch; ``onnx-export`` turns it into real integers. Below
    8 bits the file keeps 8-bit integers: it computes what fewer bits compute, and is no smaller.
    """

    bits: Annotated[int, Field(ge=2, le=8, description="of weights and activations")] = 8
    weight_bits: Annotated[Bits | None, Field(description="of weights, where they differ")] = None

    refusal: ClassVar[dict[str, str]] = REFUSAL

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Fold, place quantisers, calibrate; raises ``NotApplicable`` where nothing can be quantised."""
        assert isinstance(network, TorchNetwork)
        x = self.samples(network, context)
        prepared, before = self.prepare(network, x)
        module, record = self.quantise(prepared, x, self._scheme())
        return TorchNetwork(module, network.input, quantised=True), {**before, **record}

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """The same layers and quantisers, these with the scales of the record; weights are loaded after it."""
        assert isinstance(network, TorchNetwork)
        return TorchNetwork(self.restructure(network, record, self._scheme()), network.input, quantised=True)

    def _scheme(self) -> Scheme:
        return self.scheme(self.weight_bits or self.bits, self.bits)


def storage(layers: dict[str, Any]) -> dict[str, Any]:
    """Nominal and stored bits of a weight: what its bit width promises, and what files hold.

    A weight that several layers share counts once for each width.

    >>> storage({"a": {"shape": [2, 3], "weight_bits": 4}, "b": {"shape": [2], "weight_bits": 8}})["nominal_bits"]
    5.0
    """
    own = {(layer.get("weight_of", name), layer["weight_bits"]): layer for name, layer in layers.items()}
    counts = {weight_key: int(np.prod(layer["shape"])) for weight_key, layer in own.items()}
    nominal = sum(count * int(bits) for (_, bits), count in counts.items())
    total = sum(counts.values())
    return {
        "weights": total,
        "nominal_bits": nominal / total,
        "nominal_bytes": -(-nominal // 8),
        "stored_bits": {"torch": 32, "onnx": 8},
    }


def notes(scheme: Scheme) -> list[str]:
    """Notes for readers of sizes and timings."""
    texts = [STORAGE]
    if scheme.activations is None:
        texts.append(WEIGHTS_ONLY)
    elif scheme.activation_symmetric:
        texts.append(SIGNED)
    return texts


def _parity(before: nn.Module, equalised: Equalised, x: torch.Tensor) -> float:
    """Largest change of a logit by equalisation, relative to the largest logit, on the calibration samples.

    Raises:
        RuntimeError: it is more than arithmetic explains.
    """
    import torch

    from bench.models.training import reproducible

    with reproducible("equalise"), torch.no_grad():
        expected, actual = before(x), equalised.module(x)
    change = float((actual - expected).abs().max() / expected.abs().max().clamp_min(torch.finfo(x.dtype).tiny))
    if not change < EXACT:
        raise RuntimeError(f"equalisation changed the logits by {change:.3g} of their size before quantising")
    return change
