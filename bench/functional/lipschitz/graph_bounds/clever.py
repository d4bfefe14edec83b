"""An estimate of a local constant from extremes of sampled Jacobians: no bound, from neither side."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.canonical_form.graph import Graph
from bench.functional.jacobian import input_jacobian, spectral_norms
from bench.functional.lipschitz.certificate import LipschitzBound
from bench.stats.streams import generator


def clever(
    graph: Graph, sample: NDArray[Any], radius: float, batches: int = 50, size: int = 64, seed: int = 0
) -> LipschitzBound:
    """CLEVER's estimate of the l2 constant in a ball (Weng et al. 2018, arXiv 1801.10578).

    The largest Jacobian norms of batches of points, uniform in the ball, follow a reverse Weibull distribution; its
    right end, by maximum likelihood, is the estimate. Of logits centred over classes. It may lie on either side of the
    constant, and takes part in no minimum or maximum with bounds.

    Args:
        graph: a network.
        sample: the centre, (*shape).
        radius: of the ball, l2, in the units of the input.
        batches: how many maxima are fitted.
        size: points of a batch.
        seed: of the points.

    Raises:
        ValueError: radius, batches or size are out of range.
    """
    if not radius > 0 or batches < 3 or size < 1:
        raise ValueError(f"radius {radius}, {batches} batches of {size}: a radius above 0 and 3 batches are needed")
    started, random = time.perf_counter(), generator("lipschitz.clever", seed)
    centre = np.asarray(sample, dtype=np.float64).reshape(graph.nodes[0].shape)
    maxima = []
    for _ in range(batches):
        away = random.normal(size=(size, centre.size))
        away *= radius * random.random((size, 1)) ** (1 / centre.size) / np.linalg.norm(away, axis=1, keepdims=True)
        points = torch.from_numpy(centre[None] + away.reshape(size, *centre.shape))
        jacobian = input_jacobian(_Flat(graph), points)
        maxima.append(float(spectral_norms(jacobian.numpy()).max()))
    value = right_end(np.array(maxima))
    domain, seconds = f"ball of radius {radius:g}", time.perf_counter() - started
    return LipschitzBound("CLEVER", "estimate", value, "l2", domain, 0.0, seconds, note="no bound")


def right_end(maxima: NDArray[np.float64]) -> float:
    """The right end of a reverse Weibull distribution by maximum likelihood; of equal maxima that number.

    >>> right_end(np.array([2.0, 2.0, 2.0]))
    2.0
    """
    largest, spread = float(maxima.max()), float(np.ptp(maxima))
    if spread <= 1e-9 * largest:
        return largest
    from scipy.stats import weibull_max

    scaled = (maxima - largest) / spread
    _, location, _ = weibull_max.fit(scaled, 1.0, loc=0.1, scale=0.5)
    return largest + spread * max(0.0, float(location))


class _Flat(torch.nn.Module):
    """A graph as a module from points (n, *shape) to logits (n, classes)."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits."""
        return self.graph(x).flatten(1)
