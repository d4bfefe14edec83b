"""Whether an exported file computes what the torch network does, and holds its weights as integers."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import torch
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from onnx import ModelProto, TensorProto, numpy_helper
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.compression.quantisation.quantisers import quiet_brevitas
from bench.models.training import reproducible
from bench.networks.network import OnnxNetwork, TorchNetwork
from bench.runtimes.base import Optimisation, Target
from bench.runtimes.onnx_runtime import OnnxRuntime
from bench.runtimes.torch_runtime import TorchRuntime
from bench.stats.streams import generator

PROBES = 29  # one sample alone, then four batches of seven
FLOAT_TOLERANCE = 1e-3  # of the largest logit
QUANTISED_TOLERANCE = 0.1  # of the logits' spread, for the median probe: single roundings may fall the other way


def weight_bytes(model: ModelProto) -> dict[str, int]:
    """Bytes of the stored tensors by type."""
    sizes: dict[str, int] = {}
    for tensor in model.graph.initializer:
        name = TensorProto.DataType.Name(tensor.data_type).lower()
        sizes[name] = sizes.get(name, 0) + numpy_helper.to_array(tensor).nbytes
    return dict(sorted(sizes.items()))


def check_integers(module: nn.Module, stored: dict[str, int]) -> None:
    """Raise ``RuntimeError`` where a file stores fewer 8-bit integers than the module has quantised weights."""
    different: dict[tuple[Any, ...], int] = {}  # the exporter writes equal tensors once: tied weights, say
    with torch.no_grad(), quiet_brevitas():
        for layer in module.modules():
            if isinstance(layer, QuantWeightBiasInputOutputLayer):
                integers = layer.quant_weight().int().contiguous()
                different[(tuple(integers.shape), integers.numpy().tobytes())] = integers.numel()
    weights = sum(different.values())
    held = stored.get("int8", 0) + stored.get("uint8", 0)  # unsigned where weights have a zero point
    if held < weights:
        raise RuntimeError(f"the exported file holds {held} of {weights} quantised weights as 8-bit integers")


def count_batch_norms(module: nn.Module) -> int:
    """The number of BatchNorms of any dimension in a module."""
    return sum(isinstance(part, _BatchNorm) for part in module.modules())


def parity_target(optimisation: Optimisation) -> Target:
    """The target of parity checks: with exact sums, so that the record is the same on every processor."""
    return Target(name="parity", runtime="onnxruntime", optimisation=optimisation, integer_sums="exact")


def check_parity(network: TorchNetwork, exported: OnnxNetwork) -> dict[str, Any]:
    """Largest and median (over probes) difference of a logit between torch and ONNX Runtime, by optimisation level.

    Raises:
        RuntimeError: they differ by more than arithmetic and single roundings explain.
    """
    low, high = network.input.bounds
    draws = generator("onnx-export", "parity").uniform(low, high, (PROBES, *network.input.shape))
    x = torch.from_numpy(draws.astype(np.float32))
    with reproducible("onnx-export"):
        expected = TorchRuntime().open(network, Target(name="parity"), "cpu").logits(x)
    figures: dict[str, Any] = {"probes": PROBES, "largest_logit": float(expected.abs().max()), "levels": {}}
    for level in get_args(Optimisation):
        predictor = OnnxRuntime().open(exported, parity_target(level), "cpu")
        predictor.batch_size = 7
        actual = torch.cat([predictor.logits(x[:1]), predictor.logits(x[1:])], dim=1)
        worst = (actual - expected).abs().amax(dim=-1)
        flips = int((actual.argmax(dim=-1) != expected.argmax(dim=-1)).sum())
        figures["levels"][level] = {"largest": float(worst.max()), "median": float(worst.median()), "flips": flips}
    _judge(figures["levels"]["disabled"], expected, network.quantised)
    return figures


def _judge(figures: dict[str, float], expected: torch.Tensor, quantised: bool) -> None:
    if quantised:
        difference, limit = figures["median"], QUANTISED_TOLERANCE * float(expected.std())
    else:
        difference, limit = figures["largest"], FLOAT_TOLERANCE * float(expected.abs().max())
    if not difference <= max(limit, math.ulp(1.0)):
        raise RuntimeError(
            f"the exported file computes something else: logits differ by {difference:.3g} (limit {limit:.3g})"
        )
