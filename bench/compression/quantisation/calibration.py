"""Setting a quantised graph's scales from calibration samples, and what they came out as."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from brevitas.nn import QuantIdentity
from torch import nn

from bench.compression.quantisation.graph import bound_ranges, too_small_ranges
from bench.compression.quantisation.options import Scheme
from bench.compression.quantisation.quantisers import quiet_brevitas, reach_zero, set_activation_range
from bench.compression.quantisation.ranges import covering, least_squares
from bench.errors import UserError

BATCH = 256  # part of the result: percentiles are averaged over calibration batches
BINS = 4096  # of the histograms in which mse calibration looks


def calibrate(module: nn.Module, x: torch.Tensor, scheme: Scheme, *, bias_correction: bool) -> dict[str, float]:
    """Set the activation scales from preprocessed samples x (n, channels, height, width), in place.

    Percentile: a range between the two outermost percentiles of a batch, averaged over batches. Min-max: all that was
    seen. MSE: the share of that with the least squared rounding error. Bias correction takes each layer by itself, so
    it removes the mean error of rounded weights, not that of rounded activations. Returns the lower limits that some
    layers' weight ranges needed.
    """
    with quiet_brevitas():
        from brevitas.graph.calibrate import bias_correction_mode, calibration_mode

    batches = [x[start : start + BATCH] for start in range(0, len(x), BATCH)]
    smallest: dict[str, float] = {}
    with torch.no_grad(), quiet_brevitas():
        if scheme.activations is not None:
            ranges: dict[str, tuple[float, float]] = {}
            with calibration_mode(module):
                if scheme.calibration == "percentile":
                    for batch in batches:
                        module(batch)
                else:
                    ranges = _observed_ranges(module, batches, scheme)
            for name, (low, high) in ranges.items():
                set_activation_range(module.get_submodule(name), low, high)
            for quantiser in _quantisers(module).values():
                reach_zero(quantiser)
            smallest = too_small_ranges(module, x[:1])
            bound_ranges(module, smallest)
        if bias_correction:
            with bias_correction_mode(module, skip_if_no_bias=True):
                for batch in batches:
                    module(batch)
    module.eval()
    return smallest


def _quantisers(module: nn.Module) -> dict[str, nn.Module]:
    return {name: part for name, part in module.named_modules() if isinstance(part, QuantIdentity)}


def _observed_ranges(module: nn.Module, batches: list[torch.Tensor], scheme: Scheme) -> dict[str, tuple[float, float]]:
    """The range of each quantiser, from its float inputs; the graph is in calibration mode."""
    seen: dict[str, tuple[float, float]] = {}

    def extremes(name: str, value: torch.Tensor) -> None:
        low, high = seen.get(name, (0.0, 0.0))
        ends = value.aminmax()
        seen[name] = (min(low, float(ends.min)), max(high, float(ends.max)))

    _watch(module, batches, extremes)
    _refuse_overflow(seen)
    if scheme.calibration == "min-max":
        return seen
    counts = {name: torch.zeros(BINS, dtype=torch.float64) for name in seen}

    def count(name: str, value: torch.Tensor) -> None:
        low, high = seen[name]
        if high > low:
            counts[name] += torch.histc(value.float(), BINS, low, high).cpu().double()

    _watch(module, batches, count)
    assert scheme.activations is not None
    return {name: _least_squares(seen[name], counts[name], scheme.activations, scheme) for name in seen}


def _watch(module: nn.Module, batches: list[torch.Tensor], look: Any) -> None:
    """Run all batches and show each quantiser's name and input to ``look``."""
    handles = [
        part.register_forward_pre_hook(lambda _, inputs, name=name: look(name, inputs[0]))
        for name, part in _quantisers(module).items()
    ]
    try:
        for batch in batches:
            module(batch)
    finally:
        for handle in handles:
            handle.remove()


def _least_squares(seen: tuple[float, float], counts: torch.Tensor, bits: int, scheme: Scheme) -> tuple[float, float]:
    low, high = seen
    if high <= low:
        return seen
    middles = low + (np.arange(BINS) + 0.5) * (high - low) / BINS
    full = covering(np.array([low]), np.array([high]))
    best = least_squares(middles[None], counts.numpy()[None], full, bits, scheme.activation_grid)
    return float(best.low[0]), float(best.high[0])


def _refuse_overflow(seen: dict[str, tuple[float, float]]) -> None:
    for name, ends in seen.items():
        if not all(map(math.isfinite, ends)):
            what = f"the values at {name} are not finite"
            raise UserError.at("data.calibration", what, "check the network and its mean and std on these samples")


def quantiser_states(module: nn.Module, placed: dict[str, Any]) -> dict[str, Any]:
    """Each activation quantiser's position, scale and zero point, and the numbers that bring it back.

    Raises:
        UserError: a scale is not finite: the network's values overflow.
    """
    states: dict[str, Any] = {}
    for name, position in placed.items():
        quantiser: Any = module.get_submodule(name)
        state = {key: value.item() for key, value in quantiser.state_dict().items()}
        scale, zero_point = (
            float(value().item()) for value in (quantiser.act_quant.scale, quantiser.act_quant.zero_point)
        )
        _refuse_overflow({str(position["after"]): (scale, zero_point), name: (0.0, sum(state.values()))})
        states[name] = {**position, "scale": scale, "zero_point": zero_point, "state": state}
    return states


def load_states(module: nn.Module, states: dict[str, Any]) -> None:
    """Put recorded quantiser states back, in place."""
    for name, recorded in states.items():
        state = {key: torch.tensor(value) for key, value in recorded["state"].items()}
        module.get_submodule(name).load_state_dict(state, strict=True)
