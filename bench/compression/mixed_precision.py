"""Step ``ptq-mixed``: post-training quantisation with weight bits chosen layer by layer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from bench.compression.base import StepContext, steps
from bench.compression.ptq import REFUSAL, Quantisation
from bench.errors import NotApplicable, UserError
from bench.networks.network import Network, TorchNetwork
from bench.registry import parameters

if TYPE_CHECKING:
    from bench.compression.quantisation.bit_allocation import Allocation

ACTIVATIONS = 8


@steps.register("ptq-mixed")
@parameters
class MixedPrecision(Quantisation):
    """Give each layer's weights 8, 4 or 2 bits, so that all together keep to a budget at the least damage.

    Damage is the divergence of the outputs, on the calibration split, with one layer quantised by itself; bits are
    taken greedily where a bit saved costs least. Activations have 8 bits unless told otherwise. An exported file keeps
    8-bit integers, so the budget is that of a runtime that packs them.
    """

    average_bits: Annotated[
        float | None, Field(ge=2, le=8, description="budget: mean bits of a weight over all quantised layers")
    ] = None
    weight_bytes: Annotated[int | None, Field(gt=0, description="budget: bytes of all quantised weights, packed")] = (
        None
    )

    refusal: ClassVar[dict[str, str]] = REFUSAL

    @model_validator(mode="after")
    def _one_budget(self) -> MixedPrecision:
        if (self.average_bits is None) == (self.weight_bytes is None):
            raise ValueError("give one budget: average_bits or weight_bytes")
        return self

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Measure, choose, quantise.

        Raises:
            UserError: the budget cannot be met with 2 bits everywhere, or there are no calibration samples.
            NotApplicable: nothing can be quantised, or two layers share a parameter.
        """
        from bench.compression.quantisation.bit_allocation import CHOICES, sensitivities
        from bench.networks.tied_weights import shared_layers

        assert isinstance(network, TorchNetwork)
        x = self.samples(network, context)
        for name, other in shared_layers(network.module).items():
            raise NotApplicable(f"{name} and {other} share a parameter, and bits are chosen for each layer; use ptq")
        prepared, before = self.prepare(network, x)
        scheme = self.scheme(CHOICES[0], ACTIVATIONS)
        measured = sensitivities(prepared, x, scheme, network.input)
        counts = {name: int(np.prod(_shape(prepared, name))) for name in measured}
        chosen = self._choose(counts, measured)
        module, record = self.quantise(prepared, x, replace(scheme, layer_bits=chosen.bits))
        record |= {
            "weight_bits": chosen.bits,
            "sensitivity": {name: {str(bits): kl for bits, kl in row.items()} for name, row in measured.items()},
            "order": [list(move) for move in chosen.order],
            "average_bits": chosen.total(counts) / sum(counts.values()),
        }
        return TorchNetwork(module, network.input, quantised=True), {**before, **record}

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """The same layers with the recorded bits; weights are loaded after it."""
        from bench.compression.quantisation.bit_allocation import CHOICES

        assert isinstance(network, TorchNetwork)
        scheme = replace(self.scheme(CHOICES[0], ACTIVATIONS), layer_bits=record["weight_bits"])
        return TorchNetwork(self.restructure(network, record, scheme), network.input, quantised=True)

    def _choose(self, counts: dict[str, int], measured: dict[str, dict[int, float]]) -> Allocation:
        from bench.compression.quantisation.bit_allocation import CHOICES, allocate

        total = sum(counts.values())
        if self.average_bits is not None:
            budget = self.average_bits * total
        else:
            assert self.weight_bytes is not None
            budget = 8.0 * self.weight_bytes
        chosen = allocate(counts, measured, budget)
        if chosen is None:
            least = -(-total * CHOICES[-1] // 8)
            what = f"{self.weight_bytes} bytes do not hold {total} weights of {CHOICES[-1]} bits"
            raise UserError.at("ptq-mixed.weight_bytes", what, f"give {least} or more")
        return chosen


def _shape(module: Any, name: str) -> tuple[int, ...]:
    return tuple(module.get_submodule(name).weight.shape)
