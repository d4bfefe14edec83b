"""Integrated gradients by Gauss-Legendre quadrature."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.functional.input_gradients import centred_logit, input_gradient

NEAR_ZERO: Final = 0.05  # a logit's change below this share of Σ |IG|

if TYPE_CHECKING:
    import torch
    from torch import nn


class Attribution(NamedTuple):
    """Maps (n, ...) and, per sample, the change of the explained logit from the baseline to the image."""

    maps: torch.Tensor
    logit_change: torch.Tensor


def unit_interval_nodes(steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre nodes and weights on [0, 1]: exact for polynomials up to degree 2 · steps − 1.

    >>> nodes, weights = unit_interval_nodes(2)
    >>> [round(float((weights * nodes**k).sum()), 12) for k in (0, 1, 2, 3)]
    [1.0, 0.5, 0.333333333333, 0.25]
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return 0.5 * (nodes + 1.0), 0.5 * weights


def integrated_gradients(
    module: nn.Module, x: torch.Tensor, baseline: torch.Tensor, target: torch.Tensor, steps: int
) -> Attribution:
    """Attribution of the centred logit of class ``target`` (n,) to the inputs of x (n, ...).

    ``IG_i = (x_i − x'_i) ∫₀¹ ∂f(x' + a (x − x')) / ∂x_i da`` with ``f = z_target − mean_k z_k``, at the same nodes for
    every sample and network (Sundararajan et al. 2017, arXiv 1703.01365). By completeness ``Σ_i IG_i`` tends to
    ``f(x) − f(x')``; maps and sums are float64. The module must treat samples separately.

    Args:
        module: inputs (n, ...) to logits (n, classes).
        x: samples (n, ...).
        baseline: x', where the paths begin; broadcast over x.
        target: the class of each sample, int64 (n,).
        steps: nodes on each path, at least 1.

    >>> import torch
    >>> linear = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> x, nothing, first = torch.tensor([[1.0, 1.0]]), torch.zeros(2), torch.tensor([0])
    >>> attribution = integrated_gradients(linear, x, nothing, first, steps=2)  # f = (z_0 - z_1) / 2 = x_0 - 2 x_1
    >>> attribution.maps.tolist(), attribution.logit_change.tolist()
    ([[1.0, -2.0]], [-1.0])
    """
    import torch

    start = baseline.expand_as(x)
    total = torch.zeros_like(x, dtype=torch.float64)
    for node, weight in zip(*unit_interval_nodes(steps), strict=True):
        place = torch.full((len(x),), float(node), dtype=torch.float64, device=x.device)
        total += weight * path_contributions(module, x, start, place, target)
    with torch.no_grad():
        change = centred_logit(module(x), target) - centred_logit(module(start), target)
    return Attribution(total.cpu(), change.cpu())


def path_contributions(
    module: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    baseline: torch.Tensor,
    place: torch.Tensor,
    target: torch.Tensor,
) -> torch.Tensor:
    """``(x − x') ∂f(x' + a (x − x')) / ∂x`` with ``f = z_target − mean_k z_k``: (n, ...), float64.

    What one place on a path adds to integrated and to expected gradients.

    Args:
        module: inputs (n, ...) to logits (n, classes), each sample alone.
        x: samples (n, ...).
        baseline: x', (n, ...).
        place: a in [0, 1], (n,) float64.
        target: the class of each sample, int64 (n,).

    >>> import torch
    >>> x, start = torch.tensor([[3.0, 2.0]]), torch.tensor([[1.0, 1.0]])  # f = (x_0 - x_1) / 2
    >>> path_contributions(torch.nn.Identity(), x, start, torch.tensor([0.5]).double(), torch.tensor([0])).tolist()
    [[1.0, -0.5]]
    """
    difference = x.double() - baseline.double()
    a = place.reshape(-1, *[1] * (x.ndim - 1))
    point = (baseline.double() + a * difference).to(x.dtype)
    return difference * input_gradient(module, point, target)


def completeness_error(maps: NDArray[np.float64], logit_change: NDArray[np.float64]) -> NDArray[np.float64]:
    """The completeness error of attributions: ``|Σ IG − Δf| / max(|Δf|, Σ |IG|)``, (n,), from 0 to 2; 0 for 0 / 0.

    >>> completeness_error(np.array([[1.0, 2.0]]), np.array([4.0])).tolist()
    [0.25]
    """
    flat = maps.reshape(len(maps), -1)
    scale = np.maximum(np.abs(logit_change), np.abs(flat).sum(axis=1))
    return np.asarray(np.abs(flat.sum(axis=1) - logit_change) / np.where(scale > 0, scale, 1.0))


def completeness_missed(
    maps: NDArray[np.float64], logit_change: NDArray[np.float64], tolerance: float
) -> NDArray[np.bool_]:
    """Whether attributions (n, ...) miss completeness by more than a tolerance: (n,).

    ``|Σ IG − Δf| > tolerance |Δf|``; where Δf is near zero, below a twentieth of Σ |IG|, no share of it says anything,
    and the error is measured against Σ |IG|.

    >>> completeness_missed(np.array([[1.0, 2.0], [5.0, -5.0]]), np.array([3.1, 0.05]), tolerance=0.01).tolist()
    [True, False]
    """
    flat = maps.reshape(len(maps), -1)
    total = np.abs(flat).sum(axis=1)
    scale = np.where(np.abs(logit_change) < NEAR_ZERO * total, total, np.abs(logit_change))
    return np.asarray(np.abs(flat.sum(axis=1) - logit_change) > tolerance * scale)
