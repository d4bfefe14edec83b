"""Expected gradients: integrated gradients over a distribution of baselines, by drawing baseline and place together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.functional.input_gradients import centred_logit
from bench.functional.integrated_gradients import Attribution, path_contributions

if TYPE_CHECKING:
    import torch
    from torch import nn


class Draws(NamedTuple):
    """The draws of one sample: which baselines (k,), and where on the paths, ``alpha`` (k,) in [0, 1)."""

    baselines: NDArray[np.int64]
    alpha: NDArray[np.float64]


def draw_paths(background: int, count: int, random: np.random.Generator) -> Draws:
    """Draw so many points on paths from ``background`` baselines: no baseline again before all were drawn.

    Places are stratified: one in each of ``count`` equal parts of [0, 1), in an order that says nothing of baselines.

    >>> draws = draw_paths(3, 4, np.random.default_rng(0))
    >>> sorted(draws.baselines[:3].tolist()), sorted((draws.alpha * 4).astype(int).tolist())
    ([0, 1, 2], [0, 1, 2, 3])
    """
    rounds = -(-count // background)
    baselines = np.concatenate([random.permutation(background) for _ in range(rounds)])[:count]
    alpha = (random.permutation(count) + random.random(count)) / count
    return Draws(baselines.astype(np.int64), alpha)


def expected_gradients(
    module: nn.Module,
    x: torch.Tensor,
    target: torch.Tensor,
    background: torch.Tensor,
    baselines: torch.Tensor,
    alpha: torch.Tensor,
) -> Attribution:
    """Attribution of the centred logit of class ``target`` (n,) to the inputs of x (n, ...).

    ``EG_i = E_{x' ~ D, a ~ U(0, 1)} [(x_i − x'_i) ∂f(x' + a (x − x')) / ∂x_i]`` with ``f = z_target − mean_k z_k``, by
    the draws that are handed in: the same ones in two networks leave no noise of drawing between them (Erion et al.
    2021, arXiv 1906.10670). ``Σ_i EG_i`` tends to ``f(x) − E f(x')``; maps and sums are float64. The module must treat
    samples separately.

    Args:
        module: inputs (n, ...) to logits (n, classes).
        x: samples (n, ...).
        target: the class of each sample, int64 (n,).
        background: samples of D (m, ...).
        baselines: indices into it, int64 (n, k).
        alpha: where on the path, (n, k) in [0, 1).

    >>> import torch
    >>> linear = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))  # f = x_0 - 2 x_1
    >>> x, background = torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]])  # w (x - mean x')
    >>> once, half = torch.tensor([[0, 1]]), torch.full((1, 2), 0.5)
    >>> expected_gradients(linear, x, torch.tensor([0]), background, once, half).maps.tolist()
    [[0.5, -2.0]]
    """
    import torch

    total = torch.zeros_like(x, dtype=torch.float64)
    reached = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    with torch.no_grad():  # f of every baseline for every class, once
        logits = torch.cat([module(part).double() for part in torch.split(background, max(1, len(x)))])
        of_background = logits - logits.mean(dim=1, keepdim=True)
    for draw in range(baselines.shape[1]):
        chosen = baselines[:, draw]
        total += path_contributions(module, x, background[chosen], alpha[:, draw], target)
        reached += of_background[chosen, target]
    count = baselines.shape[1]
    with torch.no_grad():
        change = centred_logit(module(x), target) - reached / count
    return Attribution((total / count).cpu(), change.cpu())
