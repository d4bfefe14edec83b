"""The volume of a simplex with its gradient, for training that keeps the vertices apart."""

from __future__ import annotations

from math import lgamma

import torch

from bench.functional.members.simplexes import least_eigenvalue


def differentiable_log_volume(vertices: torch.Tensor) -> torch.Tensor:
    """``simplexes.log_volume`` of vertices (k + 1, d), at least two, as a float64 scalar with gradient.

    Its gradient in a vertex is ``h / ‖h‖²``, h from the plane of the others to the vertex.

    Raises:
        FloatingPointError: The simplex is degenerate, where the gradient has no limit (a vertex that starts at the
            mean of the others, say: start it beside, by some noise).
        ValueError: If there are fewer than two vertices, or fewer numbers in a vertex than edges.

    >>> corner = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], requires_grad=True)
    >>> volume = differentiable_log_volume(corner)
    >>> volume.backward()
    >>> round(float(volume.detach().exp()), 6), [round(number, 6) for number in corner.grad[2].tolist()]
    (6.0, [0.0, 0.25])
    """
    if vertices.ndim != 2 or not 2 <= len(vertices) <= vertices.shape[1] + 1:
        raise ValueError(f"vertices of shape {tuple(vertices.shape)}: (k + 1, d) with 1 <= k <= d are needed")
    table = vertices.double()
    edges = table[1:] - table[0]
    k = len(edges)
    lengths = torch.linalg.vector_norm(edges, dim=1)
    if not (torch.isfinite(lengths) & (lengths > 0)).all():
        raise FloatingPointError("the simplex is degenerate: an edge has no length, or one that is no number")
    unit = edges / lengths[:, None]
    gram = unit @ unit.T
    spread = torch.linalg.eigvalsh(gram.detach())
    if spread[0] <= least_eigenvalue(k, float(spread[-1])):
        raise FloatingPointError("the simplex is degenerate: a vertex lies in the plane of the others")
    volume: torch.Tensor = 0.5 * torch.linalg.slogdet(gram)[1] + lengths.log().sum() - lgamma(k + 1)
    return volume
