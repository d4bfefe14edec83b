"""The 8-bit sums of a network that can saturate on x86 without VNNI, by its weights, and how many do on samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import onnx
import torch

from bench.errors import NotApplicable, UserError
from bench.integer_sums.products import products_of
from bench.networks.network import OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.integer_sums import CPU
from bench.runtimes.onnx_predictor import OnnxPredictor
from bench.runtimes.onnx_session import graph_of

SAMPLES: Final = 64
_layers: dict[tuple[str, str], list[dict[str, Any]]] = {}


def layers_that_can_saturate(network: OnnxNetwork, target: Target) -> list[dict[str, Any]]:
    """The layers of a network, as the target's optimisation leaves them, whose 8-bit sums can saturate; no data needed.

    ``can_saturate``: the share of a layer's weight pairs for which some activations leave 16 bits; null where the
    weights are not constant, so that nothing is known.
    """
    cache_key = (network.sha256, target.optimisation)
    if cache_key not in _layers:
        own = replace(target, provider=CPU)
        products = products_of(onnx.load_model_from_string(graph_of(network.model, own)))
        shares = [(product, product.share) for product in products]
        _layers[cache_key] = [
            {"name": product.name, "operator": product.node.op_type, "can_saturate": share}
            for product, share in shares
            if share != 0
        ]
    return [dict(layer) for layer in _layers[cache_key]]


def sums_of(predictor: OnnxPredictor, x: torch.Tensor) -> dict[str, Any]:
    """The sums of a network's 8-bit products where it runs, and what saturation does to it, as JSON.

    Args:
        predictor: of a network with 8-bit products.
        x: real samples (n, channels, height, width) in the user's bounds; the first 64 are used.

    Returns:
        ``kind`` of the sums and whether they are ``simulated``; ``layers`` that can saturate, with the share of
        their weight pairs that can and the share of pair sums on the samples that do, on x86 without VNNI (null, with
        a ``reason``, where the graph cannot be imported).
    """
    spec = predictor.spec
    figures: dict[str, Any] = {"kind": spec.integer_sums, "simulated": spec.simulated, "reason": ""}
    layers = layers_that_can_saturate(predictor.network, spec.target)
    counted: dict[str, float] = {}
    try:
        counted = _counted(predictor, x[:SAMPLES]) if layers else {}
    except (NotApplicable, UserError) as error:
        figures["reason"] = " ".join(str(error).split())[:300]
    for layer in layers:
        layer["saturated"] = counted.get(layer["name"])
    return {**figures, "layers": layers, "samples": min(len(x), SAMPLES) if counted else 0}


def _counted(predictor: OnnxPredictor, x: torch.Tensor) -> dict[str, float]:
    """The share of pair sums that saturate on samples, by layer, in the twin of the user's own file."""
    twin = predictor.saturating_twin()
    size = 1 if predictor.spec.batch_dependent else min(predictor.batch_size, 16)
    with torch.no_grad(), twin.network.counting() as counted:
        for batch in torch.split(x, size):
            twin(batch)
    return {name: seen.clipped / seen.sums for name, seen in counted.items() if seen.sums}
