"""Step ``bn-fold``: fold BatchNorm into the layers before it, the null control of the whole harness."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from bench.compression.base import Step, StepContext, steps
from bench.errors import NotApplicable
from bench.graph.bn_fold import Folded, fold_batch_norms, replace_batch_norm
from bench.graph.network import InputSpec, Network, TorchNetwork
from bench.models.training import preprocess, reproducible
from bench.registry import parameters

if TYPE_CHECKING:
    from torch import nn

PROBES = 32
EXACT = 1e-9  # relative; float64 rounding alone stays near 1e-14


@steps.register("bn-fold")
@parameters
class BnFold(Step):
    """Fold each BatchNorm that directly follows a convolution or linear layer into that layer.

    The function stays the same in real arithmetic; the record holds the largest logit change in float64, and what
    became of each BatchNorm.
    """

    refusal: ClassVar[dict[str, str]] = {
        "onnx": "it folds torch modules; put bn-fold before onnx-export, which folds what is left by itself",
        "onnx-quantised": "it folds torch modules; fold before exporting",
        "torch-quantised": "the scales of a quantised layer are already set; fold before quantising",
    }

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Fold; raises ``NotApplicable`` where no BatchNorm can be folded."""
        assert isinstance(network, TorchNetwork)
        folding = fold_batch_norms(network.module, network.input.network_shape)
        if not folding.folded:
            reasons = "; ".join(f"{kept.batch_norm}: {kept.reason}" for kept in folding.kept)
            raise NotApplicable(f"no BatchNorm can be folded ({reasons or 'the network has none'})")
        record = {
            "folded": [asdict(pair) for pair in folding.folded],
            "kept": [asdict(kept) for kept in folding.kept],
            **_logit_change(network.module, folding.module, network.input),
        }
        return TorchNetwork(folding.module, network.input), record

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """Replace the same BatchNorms."""
        assert isinstance(network, TorchNetwork)
        module = copy.deepcopy(network.module)
        for pair in record["folded"]:
            replace_batch_norm(module, Folded(**pair))
        return TorchNetwork(module, network.input)


def _logit_change(before: nn.Module, after: nn.Module, declared: InputSpec) -> dict[str, Any]:
    """Largest change of a logit on seeded uniform probes, both networks evaluated in float64.

    ``exact``: folded in float64 too, relative to the largest logit; ``cast``: with the folded weights as stored.

    Raises:
        RuntimeError: the fold itself is not exact.
    """
    import torch

    double = copy.deepcopy(before).double().eval()
    with reproducible("bn-fold"), torch.no_grad():
        low, high = declared.bounds
        probes = torch.rand(PROBES, *declared.shape, dtype=torch.float64) * (high - low) + low
        x = preprocess(probes, declared)
        logits = double(x)
        exact = fold_batch_norms(double, declared.network_shape).module(x)
        cast = copy.deepcopy(after).double()(x)
    size = float(logits.abs().max().clamp_min(torch.finfo(torch.float64).tiny))
    relative = float((exact - logits).abs().max()) / size
    if not relative < EXACT:
        raise RuntimeError(f"folding changed the logits by {relative:.3g} of their size in float64")
    return {"exact_relative": relative, "cast_largest": float((cast - logits).abs().max()), "probes": PROBES}
