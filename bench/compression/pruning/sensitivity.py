"""The sensitivity of a network to pruning one layer alone, measured layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from bench.compression.pruning.graph import ChannelGroup, Channels, find_channels, shrink
from bench.compression.pruning.importance import Scores, score_units
from bench.compression.pruning.options import Importance
from bench.compression.pruning.plan import units_kept, weakest
from bench.models.training import accuracy, preprocess, reproducible
from bench.networks.interface import answer_of
from bench.networks.network import InputSpec, TorchNetwork

if TYPE_CHECKING:
    from bench.data.base import Samples

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
Measure = Literal["kl", "accuracy"]


def prune_sensitivity(
    network: TorchNetwork,
    samples: Samples,
    ratios: Sequence[float] = RATIOS,
    importance: Importance = "l2",
    measure: Measure = "kl",
    seed: int = 0,
) -> dict[str, dict[float, float]]:
    """Prune each group of coupled channels alone by each ratio and measure what is left; the network is not changed.

    Args:
        network: a torch network.
        samples: calibration samples, never those of the evaluation; with labels for accuracy and taylor.
        ratios: shares of a group's channels to remove.
        importance: which channels go.
        measure: ``kl`` is the mean of ``sum_k p_k log(p_k / q_k)``, p of the network and q of the pruned one, in nats,
            0 or more, lower is better; ``accuracy`` is the pruned network's own, in [0, 1].
        seed: of a random importance.

    Returns:
        The figure by ratio, by the layer that names the group (the first of its layers).

    Raises:
        UserError: the importance does not apply, or accuracy is asked without labels.
    """
    channels = find_channels(network.module, network.input)
    scores = score_units(network.module, channels.groups, importance, network.input, samples, seed)
    return scan(network, channels, scores, samples, ratios, measure)


def scan(
    network: TorchNetwork,
    channels: Channels,
    scores: Scores,
    samples: Samples,
    ratios: Sequence[float] = RATIOS,
    measure: Measure = "kl",
) -> dict[str, dict[float, float]]:
    """``prune_sensitivity`` for channels that are found and scored already."""
    figure = _figure(network.module, samples, network.input, measure)
    return {group.name: _curve(network, group, scores, ratios, figure) for group in channels.groups}


def _curve(
    network: TorchNetwork,
    group: ChannelGroup,
    scores: Scores,
    ratios: Sequence[float],
    figure: Callable[[nn.Module], float],
) -> dict[float, float]:
    """The figure by ratio for one group; ratios that keep as many units are one network."""
    kept = {ratio: units_kept(group.size, ratio, 1, group.size) for ratio in ratios}
    sizes = sorted(set(kept.values()), reverse=True)
    cuts = [weakest(scores, (group,), {group.name: size})[group.name] for size in sizes]
    figures = [figure(module) for module in shrink(network.module, network.input, group, cuts)]
    by_size = dict(zip(sizes, figures, strict=True))
    return {ratio: by_size[kept[ratio]] for ratio in ratios}


def _figure(
    reference: nn.Module, samples: Samples, declared: InputSpec, measure: Measure
) -> Callable[[nn.Module], float]:
    if measure == "accuracy":
        return lambda module: accuracy(module, samples, declared)
    expected = _log_probabilities(reference, samples, declared)

    def divergence(module: nn.Module) -> float:
        log_probabilities = _log_probabilities(module, samples, declared)
        return max(0.0, float((expected.exp() * (expected - log_probabilities)).sum(1).mean()))

    return divergence


def _log_probabilities(module: nn.Module, samples: Samples, declared: InputSpec) -> torch.Tensor:
    """(n, classes) in float64."""
    x = preprocess(torch.from_numpy(samples.x), declared)
    with reproducible("sensitivity"), torch.no_grad():
        out = torch.cat([module.eval()(part) for part in torch.split(x, 256)]).double()
    return answer_of(out, declared).log_softmax(1)
