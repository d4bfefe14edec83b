"""Quantisation-aware training: the loop, its loss, and which parameters learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from brevitas.proxy.quant_proxy import QuantProxyFromInjector
from torch import nn
from torch.nn import functional

from bench.compression.quantisation.options import TrainingOptions
from bench.compression.quantisation.quantisers import layer_classes
from bench.errors import UserError
from bench.models.descent import Descent, batches, descend
from bench.models.training import reproducible
from bench.networks.interface import by_member, raw_logits
from bench.networks.memory_layout import keep_contiguous
from bench.networks.network import InputSpec
from bench.stats.streams import derive_seed


def train_quantised(
    options: TrainingOptions,
    module: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    teacher: nn.Module | None,
    declared: InputSpec,
    seed: int,
    progress: Callable[[str], None],
) -> None:
    """Train a quantised module in place with AdamW and a one-cycle learning rate; deterministic under the seed.

    Args:
        options: of training.
        module: quantised, with its scales set.
        x: preprocessed samples (n, ...).
        y: labels (n,).
        teacher: the float network to learn from; None without distillation.
        declared: whether the network puts out logits or probabilities.
        seed: of the order of batches and of dropout.
        progress: called with a line an epoch.
    """
    with reproducible("qat", seed), keep_contiguous(module):
        shuffle = torch.Generator().manual_seed(derive_seed("shuffle", seed))
        weights = _trainable(module, options.learn_ranges)
        targets = None if teacher is None else _outputs(teacher, x, declared)

        def batch_loss(index: torch.Tensor) -> torch.Tensor:
            scores = raw_logits(module(x[index]), declared)
            return _loss(options, scores, y[index], None if targets is None else targets[index])

        descent = Descent(options.epochs, options.learning_rate, options.weight_decay, key="qat.learning_rate")
        bounds = batches(len(x), options.batch, least=1)  # BatchNorm keeps its statistics
        descend(weights, batch_loss, bounds, descent, shuffle, progress)
    module.zero_grad(set_to_none=True)
    module.requires_grad_(True).eval()


def _loss(options: TrainingOptions, scores: torch.Tensor, y: torch.Tensor, target: torch.Tensor | None) -> torch.Tensor:
    loss = functional.cross_entropy(*by_member(scores, y))
    if target is None:
        return loss
    return (1 - options.distillation) * loss + options.distillation * divergence(target, scores, options.temperature)


def divergence(target: torch.Tensor, scores: torch.Tensor, temperature: float) -> torch.Tensor:
    """``T^2 KL(softmax(target / T) || softmax(scores / T))``, mean over rows of logits (..., classes).

    Hinton et al., arXiv:1503.02531.

    >>> import torch
    >>> a, b = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 2.0]]).log1p()  # (1/2, 1/2) and (1/4, 3/4)
    >>> round(divergence(a, b, 1.0).item(), 4)  # ln(2)/2 + ln(2/3)/2
    0.1438
    """
    expected, other = (functional.log_softmax(logits.flatten(0, -2) / temperature, 1) for logits in (target, scores))
    return temperature**2 * functional.kl_div(other, expected, reduction="batchmean", log_target=True)


def _outputs(module: nn.Module, x: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([raw_logits(module(batch), declared) for batch in torch.split(x, 256)])


def _trainable(module: nn.Module, ranges: bool) -> list[dict[str, Any]]:
    """Set what trains, and dropout; answers the optimiser's groups: weights, and ranges, which do not decay.

    Everything else stays in evaluation mode: quantisers would collect ranges again, BatchNorm its statistics.

    Raises:
        UserError: ranges are to be learned and none is stored.
    """
    module.eval().requires_grad_(False)
    own: dict[int, nn.Parameter] = {}
    of_quantisers: dict[int, nn.Parameter] = {}
    for part in module.modules():
        if isinstance(part, nn.Dropout | nn.Dropout2d):
            part.train()
        if isinstance(part, QuantProxyFromInjector):
            of_quantisers.update((id(parameter), parameter) for parameter in part.parameters())
    for part in module.modules():
        if isinstance(part, layer_classes()):
            own.update((id(parameter), parameter) for parameter in part.parameters(recurse=False))
    # quantisers list the weights of their layers too
    stored = [parameter for key, parameter in of_quantisers.items() if key not in own]
    if ranges and not stored:
        what = "no range is stored: weights alone are quantised, up to the largest"
        raise UserError.at("qat.learn_ranges", what, 'leave it out, or give weight_range = "mse"')
    weights = [parameter for key, parameter in _by_identity(module).items() if key in own or key not in of_quantisers]
    groups: list[dict[str, Any]] = [{"params": weights}]
    if ranges:
        groups.append({"params": stored, "weight_decay": 0.0})
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    return groups


def _by_identity(module: nn.Module) -> dict[int, nn.Parameter]:
    return {id(parameter): parameter for parameter in module.parameters()}
